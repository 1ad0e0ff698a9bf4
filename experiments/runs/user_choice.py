"""The selector `user`: what a person chose with `nbest pick`."""

from __future__ import annotations

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.choices import read_choices
from nbest.orchestrator.store.reader import RunReader
from nbest.scorers.given import UserChoice


def chosen_by_user(run: RunReader) -> UserChoice:
    """Build the selector `user` of a run; InputError where nobody has chosen anything.

    It abstains where a person found none of the samples right. A question that was skipped is one
    that nobody has decided.
    """
    choices = read_choices(run.path)
    places = {key: choice.index for key, choice in choices.items() if choice.is_decided}
    if not places:
        raise InputError(f"user needs choices, and nobody has made any: nbest pick {run.path}")
    chosen: dict[str, str] = {}
    for query_id, samples in run.samples(columns=()):
        if query_id in places:
            by_index = {index_of(sample.id): sample.id for sample in samples}
            place = places[query_id]
            chosen[query_id] = "" if place is None else by_index.get(place, "")
    return UserChoice(chosen=chosen)
