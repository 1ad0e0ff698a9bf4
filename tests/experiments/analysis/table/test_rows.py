"""Selectors on stored samples, against examples that are worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import (
    Confidence,
    First,
    LastNumber,
    MajorityVote,
    MeanLogprob,
    clustered_interval,
)
from nbest.experiments.analysis.table.baselines import baseline_rows
from nbest.experiments.analysis.table.rows import (
    JSON_KEYS,
    Row,
    selector_row,
)
from nbest.experiments.analysis.table.sample_counts import SampleCounter, SampleCounts
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.plain import Exact, Grader, Number, Ungraded
from nbest.experiments.runs.case import Case, graded_case
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Extractor
from nbest.orchestrator.query.selection import WholeText, read_answers
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Sample, Scores, Status, TopLogprobs
from nbest.scorers.given import UserChoice

NAN = math.nan


def one_sample_row(cases: Sequence[Case]) -> Row:
    return baseline_rows(cases)[0]


def any_right_row(cases: Sequence[Case]) -> Row:
    return baseline_rows(cases)[1]


def sample(text: str, tokens: int = 1, total_s: float = 1.0) -> Sample:
    """An answer; `-` stands for a sample that ended badly and `` for one without an answer."""
    status = Status.TRUNCATED if text == "-" else Status.OK
    return Sample(id=text, text=text, status=status, generated_tokens=tokens, total_s=total_s)


def cases_of(
    queries: Sequence[Query],
    samples: Mapping[str, Sequence[Sample]],
    gold: Mapping[str, Gold],
    extract: Extractor,
    grade: Grader,
) -> list[Case]:
    candidates = {query: read_answers(group, extract) for query, group in samples.items()}

    async def all_cases() -> list[Case]:
        present = [query for query in queries if query.id in candidates]
        return [await graded_case(q, candidates[q.id], gold.get(q.id), grade) for q in present]

    return wait_for(all_cases())


def graded(
    answers: Mapping[str, str], gold: Mapping[str, str], grade: Grader | None = None
) -> list[Case]:
    """The cases of `{"q1": "7 8 -"}`, each word a sample, `_` one without an answer."""
    samples = {
        query: [sample(word.replace("_", "")) for word in words.split()]
        for query, words in answers.items()
    }
    queries = [Query(id=query, prompt="?") for query in answers]
    gold_answers = {query: Gold(answer=answer) for query, answer in gold.items()}
    return cases_of(queries, samples, gold_answers, WholeText(), grade or Exact())


# Votes: q1 right, q2 wrong, q3 abstains, q4 right by a tie that the first sample breaks.
ANSWERS = {"q1": "7 7 8 -", "q2": "1 1 5 _", "q3": "- - _ -", "q4": "3 4 4 3"}
GOLD = {"q1": "7", "q2": "5", "q3": "9", "q4": "3"}


async def test_the_row_of_a_selector_by_hand() -> None:
    row = await selector_row("vote", MajorityVote(), graded(ANSWERS, GOLD))
    low, high = clustered_interval([1.0, 0.0, 0.0, 1.0])
    assert row == Row(
        select="vote",
        accuracy=2 / 4,  # q1 and q4; the abstention of q3 is not right, and counts
        low=low,
        high=high,
        abstained=1,
        n_queries=4,
        n_samples=16,
        tokens=16,
        seconds=1.0,
        n_graded=4,
        samples_each=(4, 4),
        choices=row.choices,
    )
    assert row.verdicts == {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 1.0}
    assert row.answers == {"q1": "7", "q2": "1", "q3": None, "q4": "3"}
    assert [is_right for _, is_right in row.answered] == [True, False, True]


async def test_below_the_least_confidence_there_is_no_answer() -> None:
    pool = graded({"q1": "7 7 7 8", "q2": "7 8 9 7", "q3": "_"}, {"q1": "7", "q2": "7", "q3": "7"})
    row = await selector_row("vote", MajorityVote(), pool, min_confidence=0.6)
    assert (row.abstained, row.accuracy) == (2, pytest.approx(1 / 3))
    assert row.answered == [(0.75, True)]
    assert row.n_graded == 3


def test_the_row_of_one_sample_by_hand() -> None:
    row = one_sample_row(graded(ANSWERS, GOLD))
    shares = [2 / 4, 1 / 4, 0.0, 2 / 4]
    low, high = clustered_interval(shares)
    assert row.accuracy == pytest.approx(sum(shares) / 4)
    assert (row.low, row.high) == (low, high)
    assert (row.abstained, row.n_queries, row.n_samples, row.tokens) == (0, 4, 4, 4)


def test_the_row_of_any_right_by_hand() -> None:
    row = any_right_row(graded(ANSWERS, GOLD))
    low, high = clustered_interval([1.0, 1.0, 0.0, 1.0])
    assert row.select == "any of 4 right"
    assert (row.accuracy, row.low, row.high) == (3 / 4, low, high)
    assert (row.abstained, row.n_queries, row.n_samples, row.tokens) == (0, 4, 16, 16)


async def test_each_selector_is_asked_on_its_own() -> None:
    row = await selector_row("first", First(), graded(ANSWERS, GOLD))
    assert row.accuracy == 2 / 4  # q1 and q4 begin with the right one
    only_last = graded({"q": "8 - 7"}, {"q": "7"})
    assert (await selector_row("first", First(), only_last)).accuracy == 0.0


async def test_a_question_without_a_gold_answer_is_left_out_of_every_mean() -> None:
    """It has samples and a choice, and nobody knows whether it is right."""
    pool = graded({**ANSWERS, "open": "7 7 7 7", "mute": "- - - -"}, GOLD)
    row = await selector_row("vote", MajorityVote(), pool)
    assert (row.accuracy, row.n_queries, row.n_samples) == (2 / 4, 6, 24)
    assert row.abstained == 2  # q3 and the one of which nobody knows
    assert one_sample_row(pool).accuracy == one_sample_row(graded(ANSWERS, GOLD)).accuracy
    assert any_right_row(pool).accuracy == 3 / 4


async def rows(pool: Sequence[Case]) -> list[Row]:
    return [
        await selector_row("vote", MajorityVote(), pool),
        one_sample_row(pool),
        any_right_row(pool),
    ]


@pytest.mark.parametrize("grader", [Ungraded(), Number()], ids=repr)
async def test_what_the_grader_cannot_tell_is_ungraded_and_never_wrong(grader: Grader) -> None:
    """Whether it was answered or abstained from: `seven` is no number to compare with."""
    answers = {"q1": "7 7", "q2": "- -", "q3": "7 -"}
    for row in await rows(graded(answers, dict.fromkeys(answers, "seven"), grader)):
        assert math.isnan(row.accuracy), row.select
        assert math.isnan(row.low)
        assert math.isnan(row.high)
        assert row.n_queries == 3


async def test_what_the_grader_cannot_say_counts_both_ways_and_is_told() -> None:
    """Samples 7 (right), odd (no verdict), 8 (wrong), and none: one or two of four are right."""

    @dataclass(frozen=True)
    class Unsure:
        def __call__(self, answer: str | None, gold: Gold) -> float:
            return NAN if answer in (None, "odd") else float(answer == gold.answer)

    pool = graded({"q": "7 odd 8 _"}, {"q": "7"}, Unsure())
    np.testing.assert_array_equal(pool[0].worths, [1.0, NAN, 0.0, 0.0])
    row = one_sample_row(pool)
    assert (row.accuracy, row.unknown, row.n_graded) == (0.25, 1, 1)
    assert (row.low, row.high) == (
        clustered_interval([0.25]).low,
        clustered_interval([0.5]).high,
    )
    odd = graded({"q": "odd", "r": "7"}, {"q": "7", "r": "7"}, Unsure())
    first = await selector_row("first", First(), odd)
    assert (first.accuracy, first.unknown, first.n_graded) == (0.5, 1, 2)
    assert first.high == clustered_interval([1.0, 1.0]).high
    assert first.as_json()["unknown"] == 1


@pytest.mark.parametrize("share", [0.02, 0.2])
async def test_the_truth_lies_inside_where_the_grader_fails_at_wrong_samples(share: float) -> None:
    """It fails at hard questions; to leave these out would show too much."""
    rng = np.random.default_rng(6)

    @dataclass(frozen=True)
    class Fails:
        def __call__(self, answer: str | None, gold: Gold) -> float:
            return NAN if answer == "odd" else float(answer == gold.answer)

    def words(right: float) -> str:
        wrong = np.where(rng.random(16) < share, "odd", "8")
        return " ".join(np.where(rng.random(16) < right, "7", wrong))

    names = [f"q{i}" for i in range(60)]
    answers = {name: words(rng.beta(4, 4)) for name in names}
    pool = graded(answers, dict.fromkeys(names, "7"), Fails())
    whole = np.mean([np.mean([w == 1.0 for w in case.worths]) for case in pool])
    row = one_sample_row(pool)
    assert (row.accuracy, row.n_graded) == (pytest.approx(whole), 60)
    assert row.low <= whole <= row.high
    assert row.unknown == sum(np.isnan(case.worths).sum() for case in pool) > 0


def test_pools_of_unequal_size_are_named_as_what_they_are() -> None:
    pool = graded({"q": "7 8", "r": "8 8 8 8 8 8 8 7"}, {"q": "7", "r": "7"})
    assert any_right_row(pool).select == "any of 2 to 8 right"
    lengths = [replace(sample("7" * n), generated_tokens=n) for n in (10, 2, 2, 2)]
    samples = {"q": lengths[:1], "r": lengths[1:]}
    queries = [Query(id=q, prompt="?") for q in samples]
    uneven = cases_of(queries, samples, {}, WholeText(), Exact())
    assert one_sample_row(uneven).tokens == 12  # 10 of one question and 2 of the other


async def test_without_any_query_there_is_nothing_to_say() -> None:
    for row in await rows([]):
        assert math.isnan(row.accuracy)
        assert math.isnan(row.seconds)
        assert (row.n_queries, row.n_samples, row.tokens, row.abstained) == (0, 0, 0, 0)
    assert any_right_row([]).select == "any of 0 right"


def test_a_query_without_samples_is_no_case() -> None:
    samples = {"q1": [sample("7")]}
    queries = [Query(id="q1", prompt="?"), Query(id="q2", prompt="?")]
    pool = cases_of(queries, samples, {"q2": Gold(answer="7")}, WholeText(), Exact())
    assert [case.query.id for case in pool] == ["q1"]


def test_every_distinct_answer_is_graded_and_none_is_not() -> None:
    graded_answers: list[str | None] = []

    @dataclass(frozen=True)
    class Noting:
        def __call__(self, answer: str | None, gold: Gold) -> float:
            graded_answers.append(answer)
            return float(answer == gold.answer)

    (case,) = graded({"q": "8 7 7 8 - _"}, {"q": "7"}, Noting())
    assert case.verdicts == {"7": 1.0, "8": 0.0}
    assert None not in graded_answers
    assert graded_answers.count("8") == 1  # graders may be slow: once each, however many say it


def test_answers_are_graded_as_they_were_read() -> None:
    samples = {"q": [sample("It is 7, not 8"), sample("so: 1,000.0")]}
    query = Query(id="q", prompt="?")
    (case,) = cases_of([query], samples, {"q": Gold(answer="1000")}, LastNumber(), Number())
    assert case.candidates.answers == ("8", "1000")
    assert case.verdicts == {"8": 0.0, "1000": 1.0}


def timed(*totals_s: float) -> list[Sample]:
    return [sample("7", tokens=10, total_s=total_s) for total_s in totals_s]


async def test_seconds_of_n_samples_are_those_of_the_slowest_and_of_one_alone_unknown() -> None:
    samples = {"q1": timed(1.0, 3.0), "q2": timed(2.0, 6.0, 4.0)}
    queries = [Query(id=q, prompt="?") for q in samples]
    pool = cases_of(queries, samples, {}, WholeText(), Exact())
    assert (await selector_row("vote", MajorityVote(), pool)).seconds == (3.0 + 6.0) / 2
    assert math.isnan(one_sample_row(pool).seconds)  # it shared the engine with the others


async def test_samples_that_failed_or_were_aborted_are_in_no_baseline() -> None:
    """A won race of eight: one right sample, and seven that nobody let end."""
    texts = {Status.OK: "7", Status.CANCELLED: "8", Status.ERROR: "", Status.TRUNCATED: "cut"}

    def drawn(*statuses: Status) -> list[Sample]:
        return [
            Sample(id=f"r/q/s{i}", text=texts[status], status=status, total_s=1.0)
            for i, status in enumerate(statuses)
        ]

    def pool(*statuses: Status) -> list[Case]:
        queries = [Query(id="q", prompt="?")]
        samples = {"q": drawn(*statuses)}
        return cases_of(queries, samples, {"q": Gold(answer="7")}, WholeText(), Exact())

    assert one_sample_row(pool(Status.OK, *[Status.CANCELLED] * 7)).accuracy == 1.0
    assert one_sample_row(pool(Status.OK, Status.ERROR, Status.ERROR)).accuracy == 1.0
    assert one_sample_row(pool(Status.OK, Status.TRUNCATED)).accuracy == 0.5  # drawn like others
    every = pool(Status.OK, Status.TRUNCATED, Status.ERROR, Status.CANCELLED)
    counter = SampleCounter()
    counter.add(every[0].candidates)
    assert counter.counts() == SampleCounts(answered=1, cut_off=1, failed=1, aborted=1)
    counter.add(every[0].candidates)
    assert counter.counts().sentences() == [
        "8 samples: 2 with an answer, 2 cut off, 2 failed, 2 aborted",
        "25% of the samples were cut off: raise sampling.max_tokens",
    ]


async def test_a_question_that_nobody_has_judged_is_no_abstention() -> None:
    samples = {"q1": timed(1.0, 3.0), "q2": timed(2.0, 6.0), "q3": timed(1.0, 1.0)}
    queries = [Query(id=q, prompt="?") for q in samples]
    gold = {q: Gold(answer="7") for q in samples}
    pool = cases_of(queries, samples, gold, WholeText(), Exact())
    chosen = {"q1": samples["q1"][0].id, "q2": ""}  # of the second, none was good
    row = await selector_row("user", UserChoice(chosen=chosen), pool)
    assert (row.n_queries, row.abstained, row.n_graded) == (2, 1, 2)
    assert set(row.verdicts) == {"q1", "q2"}


async def test_tokens_are_those_of_all_samples_and_of_one_the_mean() -> None:
    """The cost of a vote is what its losers cost, too; 5 samples of 10 tokens, 2 questions."""
    samples = {"q1": timed(1.0, 3.0), "q2": timed(2.0, 6.0, 4.0)}
    queries = [Query(id=q, prompt="?") for q in samples]
    pool = cases_of(queries, samples, {}, WholeText(), Exact())
    assert (await selector_row("vote", MajorityVote(), pool)).tokens == 50
    assert one_sample_row(pool).tokens == 20


def test_json_has_the_promised_keys_in_order_and_null_for_nan() -> None:
    row = one_sample_row(graded({"q": "7"}, {}))
    document = row.as_json()
    assert tuple(document) == JSON_KEYS
    assert [document[key] for key in ("accuracy", "low", "high")] == [None] * 3
    text = json.dumps(document, allow_nan=False)  # NaN is no JSON
    assert json.loads(text)["n_queries"] == 1
    assert {field.name for field in fields(Row)} - set(JSON_KEYS) == {
        "seconds",
        "samples_each",
        "choices",
        "n_graded",
        "scorer_s",
        "scorer_tokens",
    }


async def test_numbers_in_json_are_not_rounded_and_zero_is_no_null() -> None:
    row = await selector_row("first", First(), graded({"q": "8"}, {"q": "7"}))
    assert row.as_json()["accuracy"] == 0.0
    assert row.as_json()["low"] == 0.0
    assert row.as_json()["high"] == row.high
    assert replace(row, accuracy=1 / 3).as_json()["accuracy"] == 1 / 3


async def test_a_selector_says_what_it_lacks() -> None:
    pool = graded(ANSWERS, GOLD)
    with pytest.raises(InputError) as caught:
        await selector_row("mean_logprob", MeanLogprob(), pool)
    assert str(caught.value) == (
        "mean_logprob needs log-probabilities, and this run kept none: "
        "sample it again with sampling.logprobs: 0, or import them with the samples (docs/pools.md)"
    )
    assert (await selector_row("mean_logprob", MeanLogprob(), [])).n_queries == 0


@pytest.mark.parametrize(("stored_k", "message"), [(0, "kept 0"), (2, "kept 2")])
async def test_a_selector_says_how_many_of_the_likeliest_tokens_it_needs(
    stored_k: int, message: str
) -> None:
    top = TopLogprobs(k=stored_k, packed=b"\0" * 4 * stored_k) if stored_k else None
    drawn = replace(sample("7"), logprobs=(-1.0,), top_logprobs=top)
    pool = cases_of([Query(id="q", prompt="?")], {"q": [drawn]}, {}, WholeText(), Exact())
    with pytest.raises(
        InputError, match=f"needs those of the 5 likeliest tokens.*{message}: .* 5, or"
    ):
        await selector_row("confidence", Confidence(k=5), pool)
    if stored_k:
        assert (await selector_row("confidence", Confidence(k=2), pool)).n_queries == 1


async def test_some_log_probabilities_are_enough() -> None:
    with_logprobs = replace(sample("7"), logprobs=(-1.0,))
    samples = {"q1": [sample("8"), with_logprobs], "q2": [sample("7")]}
    queries = [Query(id=q, prompt="?") for q in samples]
    gold = {q: Gold(answer="7") for q in samples}
    pool = cases_of(queries, samples, gold, WholeText(), Exact())
    row = await selector_row("mean_logprob", MeanLogprob(), pool)
    assert (row.accuracy, row.abstained) == (0.5, 1)


@dataclass(frozen=True)
class Best:
    """What knows the verdicts: no selector can do better."""

    right: str = "7"
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.array([float(a == self.right) for a in candidates.answers])


questions = st.lists(
    st.lists(st.sampled_from(["7", "8", "9", "-", "_"]), min_size=1, max_size=5).map(" ".join),
    min_size=1,
    max_size=6,
)


@given(texts=questions)
async def test_no_selector_beats_any_right_and_a_perfect_one_meets_it(texts: list[str]) -> None:
    answers = {f"q{i}": text for i, text in enumerate(texts)}
    pool = graded(answers, dict.fromkeys(answers, "7"))
    ceiling = any_right_row(pool).accuracy
    assert (await selector_row("best", Best(), pool)).accuracy == ceiling
    assert (await selector_row("vote", MajorityVote(), pool)).accuracy <= ceiling
    assert one_sample_row(pool).accuracy <= ceiling + 1e-12


@given(texts=questions, data=st.data())
async def test_the_order_of_the_questions_changes_nothing(
    texts: list[str], data: st.DataObject
) -> None:
    answers = {f"q{i}": text for i, text in enumerate(texts)}
    gold = dict.fromkeys(answers, "7")
    moved = {q: answers[q] for q in data.draw(st.permutations(list(answers)))}
    for before, after in zip(
        await rows(graded(answers, gold)), await rows(graded(moved, gold)), strict=True
    ):
        assert after.accuracy == pytest.approx(before.accuracy)
        assert (after.abstained, after.tokens) == (before.abstained, before.tokens)


@dataclass(frozen=True)
class Breaks:
    """A selector that fails at one question."""

    at: str
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if query.id == self.at:
            raise ZeroDivisionError("the verifier broke")
        return np.ones(len(candidates))


async def test_a_selector_that_fails_at_a_question_is_neither_wrong_nor_abstains_there() -> None:
    samples = {"q1": timed(1.0, 3.0), "q2": timed(2.0, 6.0, 4.0)}
    queries = [Query(id=q, prompt="?") for q in samples]
    pool = cases_of(queries, samples, {}, WholeText(), Exact())
    row = await selector_row("breaks", Breaks(at="q2"), pool)
    line = Breaks.__call__.__code__.co_firstlineno + 2
    assert (row.n_queries, row.n_samples, row.abstained, row.failed) == (1, 2, 0, 1)
    assert (
        row.failure
        == f"q2: select Breaks: ZeroDivisionError: the verifier broke (test_rows.py:{line})"
    )
