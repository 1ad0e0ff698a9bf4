"""The selectors of a run: by name, with the models that its config names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError

from nbest.experiments.config.model_names import Unbound, unbound_names, with_models
from nbest.experiments.config.model_section import ModelSection
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.config.selector_names import check_names, shown_name
from nbest.experiments.language.errors import describe
from nbest.experiments.language.expressions import split_expressions
from nbest.experiments.runs.user_choice import chosen_by_user
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig, Scorer
from nbest.orchestrator.store.reader import RunReader

T = TypeVar("T")


def named_scorers(names: Sequence[str] | None, run: RunReader) -> dict[str, Scorer]:
    """The scorers of expressions, or of the names in the run's config, by how tables name them.

    None stands for the run's own. InputError where one cannot be built, or two have one name.
    """
    if names is not None:
        check_names(names)
    chosen = selectors_of(run) if names is None else names
    typed = names is not None
    return {shown_name(text): named_scorer(text, run, typed=typed) for text in chosen}


def named(selectors: str | None) -> tuple[str, ...] | None:
    """The expressions of an option, or None where it is left out: then the run has its own."""
    return None if selectors is None else split_expressions(selectors)


def named_scorer(name: str, run: RunReader, *, typed: bool = False) -> Scorer:
    """Build the scorer of a name; `user` stands for what a person chose in this run.

    A name that the run's config gives one of its selectors stands for that selector. Only what the
    user has `typed` whole is trusted: the run may be somebody else's.
    """
    if name == "user":
        return chosen_by_user(run)
    text = _stored_texts(run).get(name, name)
    return with_models_of(build_scorer(text, trusted=typed and text == name), run)


def with_models_of(part: T, run: RunReader) -> T:
    """The same scorer or strategy with the models that its names mean in a run's config.

    Nothing is started. InputError where the run has no such model, or it cannot be used here.
    """
    if not (names := unbound_names(part)):
        return part
    models = run.manifest.config.get("models")
    sections = models if isinstance(models, dict) else {}
    known = {name: section for name, section in sections.items() if name in names}
    others = {name: Unbound(name=name) for name in sections.keys() - names}  # for the nearest name
    return with_models(part, others | {name: _model(name, known[name]) for name in known})


def _model(name: str, section: object) -> BackendConfig:
    try:
        return ModelSection.model_validate(section).build()
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], {})
        raise InputError(f"models.{name} of the run cannot be used here: {what}") from error


def selectors_of(run: RunReader) -> tuple[str, ...]:
    """The names of a run's selectors; a vote where it has none, as an imported run."""
    return tuple(_stored_texts(run)) or ("vote",)


def _stored_texts(run: RunReader) -> dict[str, str]:
    """The expressions of the run's config by their names."""
    select = run.manifest.config.get("select")
    texts = [str(text) for text in select] if isinstance(select, list) else []
    return {shown_name(text): text for text in texts}


def model_name_of(run: RunReader) -> str:
    """The model that drew a run, or the backend where it names none; empty of an imported run."""
    model = run.manifest.config.get("model")
    return str(model.get("model", model.get("backend", ""))) if isinstance(model, dict) else ""


def known_scorers(
    names: Sequence[str] | None, run: RunReader
) -> tuple[dict[str, Scorer], tuple[str, ...]]:
    """The selectors that can be built here, and a line for each that cannot, as a plugin.

    None stands for the run's own.
    """
    scorers: dict[str, Scorer] = {}
    notes = []
    for text in selectors_of(run) if names is None else names:
        shown = shown_name(text)
        try:
            scorers[shown] = named_scorer(text, run, typed=names is not None)
        except InputError as error:
            notes.append(f"{shown} is left out: {error}")
    return scorers, tuple(notes)
