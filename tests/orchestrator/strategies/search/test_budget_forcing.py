"""Budget forcing: how often a thought goes on, and where it is ended by force."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nbest import FakeBackend, LastNumber, MajorityVote, Reply, run
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.budget_forcing import BudgetForcing
from nbest.orchestrator.types import Query, Record, Request, Sample, Status

END = 9  # the token that ends a thought


class Thinker:
    """A model whose thoughts have some tokens and an end; it answers by how long they were."""

    def __init__(self, length: int = 3) -> None:
        self.length = length
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        prefix = request.prefix or ()
        if any(isinstance(part, str) and "</think>" in part for part in prefix):
            count = sum(isinstance(part, int) for part in prefix)
            return Reply(tokens=(f"it is {count}",), token_ids=(5,))
        texts = (*[" hm"] * self.length, "</think>")
        return Reply(tokens=texts, token_ids=(*range(1, self.length + 1), END))


def forced(**settings: object) -> BudgetForcing:
    fixed: dict[str, object] = {
        "n": 1,
        "end": END,
        "budget": 100,
        "select": MajorityVote(),
        "extract": LastNumber(),
        "params": SamplingParams(max_tokens=20),
    }
    return BudgetForcing(**{**fixed, **settings})  # type: ignore[arg-type]


def answered(strategy: BudgetForcing, script: Callable[[Request], Reply]) -> tuple[Record, Sample]:
    (record,) = run([Query(id="q", prompt="?")], strategy, FakeBackend(script=script))
    assert record.selection is not None, record.error
    return record, record.selection.samples[0]


@pytest.mark.parametrize("waits", [0, 1, 3])
def test_a_thought_goes_on_as_often_as_it_is_told_to(waits: int) -> None:
    model = Thinker()
    record, sample = answered(forced(waits=waits), model)
    assert len(model.requests) == waits + 2
    assert sample.reasoning == "hm hm hm" + "Wait hm hm hm" * waits
    assert (sample.text, record.answer) == (f"it is {3 * (waits + 1)}", str(3 * (waits + 1)))
    last = model.requests[-1].prefix
    assert last == (*[1, 2, 3, *["Wait", 1, 2, 3] * waits], "</think>\n\n")
    assert END not in last  # the token that ends a thought is taken out again


@pytest.mark.parametrize(("budget", "parts"), [(2, [2]), (4, [4]), (6, [4, 2]), (7, [4, 3])])
def test_no_part_of_a_thought_goes_beyond_the_budget(budget: int, parts: list[int]) -> None:
    """The end of a thought is a token, too; at the budget it is ended by force."""
    model = Thinker()
    record, sample = answered(forced(waits=5, budget=budget), model)
    assert sample.reasoning_tokens == sum(parts) <= budget
    assert [request.params.max_tokens for request in model.requests[:-1]] == [
        budget - sum(parts[:i]) for i in range(len(parts))
    ]
    assert record.answer is not None
    assert sample.status is Status.OK


def test_the_bill_has_what_was_generated_and_not_what_was_put_in() -> None:
    record, sample = answered(forced(waits=2), Thinker())
    assert record.usage.generated_tokens == sample.generated_tokens == 3 * 4 + 1
    assert (record.usage.samples, record.usage.pruned_tokens) == (4, 0)
    assert len(sample.token_ids) == 13


def test_a_model_that_answers_without_an_end_of_its_thought_has_answered() -> None:
    _, sample = answered(forced(), lambda request: Reply(tokens=("it is 7",), token_ids=(1,)))
    assert (sample.text, sample.reasoning, sample.status) == ("it is 7", "", Status.OK)


def test_a_part_that_fails_is_a_failed_sample() -> None:
    def script(request: Request) -> Reply:
        error = RequestRejected("too long") if request.prefix else None
        return Reply(tokens=(" hm", "</think>"), token_ids=(1, END), error=error)

    strategy = forced(n=2)
    (record,) = run([Query(id="q", prompt="?")], strategy, FakeBackend(script=script))
    assert record.error == "too long"


def test_samples_differ_by_their_seeds() -> None:
    model = Thinker()
    answered(forced(n=3, waits=1), model)
    assert len({request.seed for request in model.requests}) == len(model.requests) == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"budget": 0}, "budget must be at least 1 token, got 0"),
        ({"waits": -1}, "waits must be at least 0, got -1"),
        ({"wait": ""}, "wait must be a text, got ''"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        forced(**settings)
    assert str(caught.value) == message
