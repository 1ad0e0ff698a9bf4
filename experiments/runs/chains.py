"""Chains of a searched run: its trees, grown again from the steps that are stored.

What is stored are steps. The chains that a selector chooses among are what the search makes of
them, and it makes the same of the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from nbest.experiments.config.objects import Objects
from nbest.experiments.config.plugins import build_extractor
from nbest.experiments.config.sections import SamplingSection
from nbest.experiments.config.strategy import StrategySection, tree_named
from nbest.experiments.language.errors import describe
from nbest.experiments.runs.stored_calls import NotAsked
from nbest.experiments.runs.stored_sampler import NotStored, StoredSteps
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.store.reader import RunReader, StoredSamples
from nbest.orchestrator.strategies.search.grown import WEIGHT, Grown, TreeStrategy
from nbest.orchestrator.types import Query, Sample, Status
from nbest.scorers.baselines import First


def tree_of(run: RunReader) -> TreeStrategy | None:
    """The strategy by which a run was drawn, where its samples are nodes of a tree; else None.

    InputError where a part of it, as a plugin, cannot be built here.
    """
    section = run.manifest.config.get("strategy")
    if tree_named(section) is None:
        return None
    sampling = run.manifest.config.get("sampling", {})
    try:
        params = SamplingSection.model_validate(sampling).build()
        strategy = StrategySection.model_validate(section)
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], {})
        raise InputError(f"the run's strategy cannot be built here: {what}") from error
    config = run.manifest.config
    seed, extract = config.get("seed", 0), config.get("extract")
    choice = Choice(select=First(), params=params)
    if isinstance(extract, str):
        choice = replace(choice, extract=build_extractor(extract))
    built = strategy.build(choice, Objects(), seed if isinstance(seed, int) else 0)
    assert isinstance(built, TreeStrategy)
    return built


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a question has: its samples, and what comes with them."""

    samples: tuple[Sample, ...] = ()
    scores: Mapping[str, dict[int, float]] = field(default_factory=dict)  # by name and index
    tokens: int | None = None  # generated for all of them, where they share steps
    steps: tuple[tuple[str, ...], ...] = ()  # [N] what the steps of each chain say
    grown: Grown | None = None  # the whole tree, where there is one
    missing: int = 0  # steps at least that the search wants and the run has not


async def drawn_samples(
    query: Query, stored: StoredSamples, tree: TreeStrategy | None, *, has_ended: bool = False
) -> Drawn:
    """The samples of a question: those that are stored, or what a tree of them comes to.

    Chains come with the weights that the search gave them; there are none where steps are missing.
    They are numbered as the samples of the question.
    """
    if tree is None:
        return Drawn(samples=stored.of(query.id))
    steps = StoredSteps(query, _by_index(stored), has_ended=has_ended)
    try:
        grown = await tree.grown(query, steps)
    except (NotStored, NotAsked):
        return Drawn(missing=max(1, steps.missing))
    chains = (replace(chain, id=f"{query.id}/s{i}") for i, chain in enumerate(grown.chains))
    return Drawn(
        samples=tuple(chains),
        scores={WEIGHT: dict(enumerate(grown.weights.tolist()))},
        tokens=grown.tokens,
        steps=grown.steps,
        grown=grown,
    )


def _by_index(stored: StoredSamples) -> Callable[[str, int], Sample | None]:
    """Finds a sample by its key; siblings are asked for one after the other, and read once."""
    known: dict[str, dict[int, Sample]] = {}

    def find(key: str, index: int) -> Sample | None:
        if key not in known:
            whole = [s for s in stored.of(key) if s.status is not Status.CANCELLED]
            known[key] = {index_of(sample.id): sample for sample in whole}
        return known[key].get(index)

    return find
