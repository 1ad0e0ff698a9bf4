"""Chains of a searched run: its trees, grown again from the steps that are stored.

What is stored are steps. The chains that a selector chooses among are what the search makes of
them, and it makes the same of the same steps.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from nbest.experiments.config.objects import Objects
from nbest.experiments.config.sections import SamplingSection
from nbest.experiments.config.strategy import StrategySection
from nbest.experiments.language.errors import describe
from nbest.experiments.runs.stored_calls import NotAsked
from nbest.experiments.runs.stored_sampler import NotStored, StoredSteps
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.store.reader import RunReader, StoredSamples
from nbest.orchestrator.strategies.search.search import WEIGHT, Grown, Search
from nbest.orchestrator.types import Query, Sample
from nbest.scorers.baselines import First


def search_of(run: RunReader) -> Search | None:
    """The search by which a run was drawn; None where it has whole samples.

    InputError where a part of it, as a plugin, cannot be built here.
    """
    section = run.manifest.config.get("strategy")
    if not isinstance(section, dict) or section.get("search") is None:
        return None
    sampling = run.manifest.config.get("sampling", {})
    try:
        params = SamplingSection.model_validate(sampling).build()
        strategy = StrategySection.model_validate(section)
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], {})
        raise InputError(f"strategy.search of the run cannot be built here: {what}") from error
    built = strategy.build(Choice(select=First(), params=params), Objects())
    assert isinstance(built, Search)
    return built


async def drawn_samples(
    query: Query, stored: StoredSamples, search: Search | None
) -> tuple[tuple[Sample, ...], dict[str, dict[int, float]]]:
    """The samples of a question, and the numbers that come with them, by name and index.

    Of a search they are its chains, with their weights; none where it has not come to its end.
    """
    if search is None:
        return stored.of(query.id), {}
    grown = await stored_chains(query, search, stored)
    if grown is None:
        return (), {}
    return grown.chains, {WEIGHT: dict(enumerate(grown.weights.tolist()))}


async def stored_chains(query: Query, search: Search, stored: StoredSamples) -> Grown | None:
    """What the search makes of the stored steps of a question; None where steps are missing.

    The chains are numbered as the samples of the question.
    """
    known: dict[str, dict[int, Sample]] = {}  # siblings are asked for one after the other

    def find(key: str, index: int) -> Sample | None:
        if key not in known:
            known[key] = {index_of(sample.id): sample for sample in stored.of(key)}
        return known[key].get(index)

    try:
        grown = await search.grown(query, StoredSteps(query, find))
    except (NotStored, NotAsked):
        return None
    chains = (replace(chain, id=f"{query.id}/s{i}") for i, chain in enumerate(grown.chains))
    return replace(grown, chains=tuple(chains))
