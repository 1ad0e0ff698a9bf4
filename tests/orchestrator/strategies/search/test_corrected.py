"""Answers that keep a rule: corrected, drawn again, voted on; closed forms and the bill."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from nbest import (
    Corrected,
    FakeBackend,
    JsonEquivalence,
    JsonValid,
    JsonValue,
    MajorityVote,
    Reply,
    VoteByField,
    run,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import Constraint, SamplingParams
from nbest.orchestrator.strategies.search.corrected import BROKEN, CORRECT
from nbest.orchestrator.types import Message, Query, Record, Request, Status

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
GOOD, MENDED, BAD = '{"name": "Ann", "age": 34}', "{'name': 'Ann', 'age': 34}", '{"name": "Ann"}'


@dataclass(frozen=True)
class Writer:
    """A model whose answers are valid by a chance, and its corrections by another."""

    first: float
    corrects: float
    requests: list[Request] = field(default_factory=list, compare=False)

    def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        chance = self.corrects if len(request.prompt) > 1 else self.first
        is_valid = np.random.default_rng(request.seed).random() < chance
        return Reply(tokens=(GOOD if is_valid else BAD, " "))


def corrected(**settings: object) -> Corrected:
    fixed: dict[str, object] = {
        "rule": JsonValid(schema=SCHEMA, of="answer"),
        "select": MajorityVote(),
        "extract": JsonValue(),
        "equivalence": JsonEquivalence(),
    }
    return Corrected(**{**fixed, **settings})  # type: ignore[arg-type]


def answered(strategy: Corrected, script: object, count: int = 1) -> list[Record]:
    chat = (Message(role="user", content="Ann, 34"),)
    queries = [Query(id=f"q{i}", prompt=chat) for i in range(count)]
    return run(queries, strategy, FakeBackend(script=script))  # type: ignore[arg-type]


@pytest.mark.parametrize(("v", "c"), [(0.3, 0.5), (0.1, 0.0), (0.6, 0.9)])
def test_what_corrections_and_retries_are_worth_and_cost(v: float, c: float) -> None:
    """An attempt is valid by 1 - (1 - v)(1 - c); each costs 1 + (1 - v) samples."""
    count, retries = 1500, 2
    records = answered(corrected(corrections=1, retries=retries), Writer(v, c), count)
    valid = 1 - (1 - v) * (1 - c)
    expected = 1 - (1 - valid) ** (1 + retries)
    share = sum(record.answer is not None for record in records) / count
    assert abs(share - expected) < 4 * (expected * (1 - expected) / count) ** 0.5
    attempts = sum((1 - valid) ** k for k in range(1 + retries))
    samples = sum(record.usage.samples for record in records) / count
    assert abs(samples - attempts * (2 - v)) < 4 * 2.5 / count**0.5
    tokens = sum(record.usage.generated_tokens for record in records)
    assert tokens == 2 * sum(record.usage.samples for record in records)
    assert sum(r.usage.pruned_tokens for r in records) == tokens - 2 * count


def test_a_correction_shows_the_answer_and_why_it_breaks_the_rule() -> None:
    writer = Writer(0.0, 1.0)
    (record,) = answered(corrected(), writer)
    first, correction = writer.requests
    assert record.selection is not None
    assert json.loads(record.answer or "") == {"name": "Ann", "age": 34}
    assert correction.prompt[:1] == first.prompt
    _, said, asked = correction.prompt
    assert isinstance(said, Message)
    assert isinstance(asked, Message)
    assert (said.role, said.content.strip()) == ("assistant", BAD)
    assert asked.content == f"{BROKEN}\n/: must have the key age\n{CORRECT}"


def test_a_retry_has_another_seed_and_the_same_prompt() -> None:
    writer = Writer(0.0, 0.0)
    (record,) = answered(corrected(corrections=0, retries=3), writer)
    assert len({request.seed for request in writer.requests}) == 4
    assert len({request.prompt for request in writer.requests}) == 1
    assert record.answer is None
    assert record.selection is not None
    (sample,) = record.selection.samples
    assert (sample.text, sample.error) == ("", "it breaks the rule, corrected or not")
    assert sample.status is Status.OK  # it has ended, and counts where accuracy is counted


def test_what_was_cut_off_is_drawn_again_and_not_corrected() -> None:
    writer = Writer(1.0, 1.0)
    params = SamplingParams(max_tokens=1)
    (record,) = answered(corrected(params=params, retries=1), writer)
    assert [len(request.prompt) for request in writer.requests] == [1, 1]
    assert record.answer is None


def test_only_valid_answers_vote() -> None:
    @dataclass(frozen=True)
    class Lanes:
        def __call__(self, request: Request) -> Reply:
            lane = int(request.id.rpartition("/s")[2])
            return Reply(tokens=([GOOD, MENDED, BAD, BAD, BAD][lane],))

    (record,) = answered(corrected(n=5, corrections=0, retries=0), Lanes())
    assert json.loads(record.answer or "") == {"name": "Ann", "age": 34}
    assert record.confidence == 1.0  # of the valid ones


def test_every_second_answer_is_free_where_that_is_wanted() -> None:
    writer = Writer(0.5, 0.5)
    constraint = Constraint(json=json.dumps(SCHEMA))
    params = SamplingParams(constraint=constraint)
    answered(corrected(n=4, params=params, half_free=True), writer)
    lanes: dict[int, set[object]] = {}
    for request in writer.requests:
        _, _, node = request.id.partition("/t")
        lane = int(node.split("-")[0].split(".")[0]) if node else int(request.id.split("/s")[1])
        lanes.setdefault(lane, set()).add(request.params.constraint)
    assert lanes == {0: {None}, 1: {constraint}, 2: {None}, 3: {constraint}}


@dataclass(frozen=True)
class Fields:
    """Records of six fields, each right by a chance, else one of many wrong values."""

    chance: float

    def __call__(self, request: Request) -> Reply:
        rng = np.random.default_rng(request.seed)
        value = {
            f"f{i}": 0 if rng.random() < self.chance else int(rng.integers(1, 4)) for i in range(6)
        }
        return Reply(tokens=(json.dumps(value),))


def test_a_vote_by_field_is_right_more_often_than_one_on_records() -> None:
    """Chance .8, nine records: .89 by field, .71 by record, simulated beside the strategy."""
    count, truth = (
        800,
        json.dumps(dict.fromkeys((f"f{i}" for i in range(6)), 0), separators=(",", ":")),
    )
    shares = {}
    for name, compose in (("record", None), ("field", VoteByField())):
        strategy = corrected(n=9, rule=JsonValid(of="answer"), compose=compose)
        records = answered(strategy, Fields(0.8), count)
        shares[name] = sum(record.answer == truth for record in records) / count
    rng = np.random.default_rng(1)
    simulated = {"record": 0, "field": 0}
    for _ in range(4000):
        said = np.where(rng.random((9, 6)) < 0.8, 0, rng.integers(1, 4, (9, 6)))
        modes = [
            min(np.unique(column), key=lambda v: (-np.sum(column == v), v)) for column in said.T
        ]
        simulated["field"] += not any(modes)
        rows, counts = np.unique(said, axis=0, return_counts=True)
        wrong = max((c for row, c in zip(rows, counts, strict=True) if row.any()), default=0)
        right = sum(int(c) for row, c in zip(rows, counts, strict=True) if not row.any())
        simulated["record"] += right > wrong
    for name, share in shares.items():
        expected = simulated[name] / 4000
        assert abs(share - expected) < 0.02 + 4 * (expected * (1 - expected) / count) ** 0.5
    assert shares["field"] > shares["record"] + 0.1


def test_a_composed_answer_that_breaks_the_rule_gives_way_to_the_vote_on_records() -> None:
    @dataclass(frozen=True)
    class Lanes:
        def __call__(self, request: Request) -> Reply:
            lane = int(request.id.rpartition("/s")[2])
            said = ['{"a": "A", "n": 1}', '{"a": "A", "n": 2}', '{"a": "B", "n": 2}'][lane]
            return Reply(tokens=(said,))

    schema = {
        "anyOf": [
            {"properties": {"a": {"const": "A"}, "n": {"const": 1}}},
            {"properties": {"a": {"const": "B"}}},
            {"properties": {"a": {"const": "A"}, "n": {"const": 2}}},
        ]
    }
    forbids = {**schema, "not": {"properties": {"a": {"const": "A"}, "n": {"const": 2}}}}
    settings: dict[str, object] = {"n": 3, "corrections": 0, "retries": 0, "compose": VoteByField()}
    (free,) = answered(corrected(rule=JsonValid(of="answer"), **settings), Lanes())
    assert free.selection is not None
    assert json.loads(free.answer or "") == {"a": "A", "n": 2}
    assert free.selection.fields == {"a": pytest.approx(2 / 3), "n": pytest.approx(2 / 3)}
    rule = JsonValid(schema=forbids, of="answer")
    (bound,) = answered(corrected(rule=rule, **settings), Lanes())
    assert json.loads(bound.answer or "") in ({"a": "A", "n": 1}, {"a": "B", "n": 2})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"corrections": -1}, "corrections must be at least 0, got -1"),
        ({"retries": -1}, "retries must be at least 0, got -1"),
    ],
)
def test_wrong_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        corrected(**settings)
    assert str(caught.value) == message
