"""Mistakes that are easily made when one of many answers is chosen, one test each.

The name of a test says what must not happen. Everything runs through the functions of a real run:
read the answers, merge them, score, choose.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from nbest import (
    AmongValid,
    Borda,
    Boxed,
    ChoiceLetter,
    FinalAnswer,
    First,
    JsonEquivalence,
    JsonValid,
    LastNumber,
    MajorityOfBests,
    MajorityVote,
    MathEquivalence,
    MeanLogprob,
    MinimumBayesRisk,
    Regex,
    RoutedVote,
    Shortest,
    SumLogprob,
    WeightedVote,
)
from nbest.orchestrator.protocols import Equivalence, Extractor, Scorer
from nbest.orchestrator.query.selection import WholeText, merge_answers, read_answers, select
from nbest.orchestrator.types import Query, Sample, Selection, Status

QUERY = Query(id="q", prompt="?")
ALL: tuple[Scorer, ...] = (
    First(),
    MajorityVote(),
    WeightedVote(by=MeanLogprob(), transform="softmax"),
    Borda(by=MeanLogprob()),
    MajorityOfBests(by=MeanLogprob()),
    RoutedVote(threshold=0.5),
    MinimumBayesRisk(),
    Shortest(),
)


def ok(text: str, *logprobs: float) -> Sample:
    return Sample(id="s", text=text, logprobs=logprobs or (-0.5,), generated_tokens=1)


def bad(text: str, status: Status = Status.TRUNCATED) -> Sample:
    return Sample(id="s", text=text, logprobs=(-0.01,), status=status, generated_tokens=1)


async def chosen(
    samples: Sequence[Sample],
    scorer: Scorer | None = None,
    extract: Extractor | None = None,
    equivalence: Equivalence | None = None,
) -> Selection:
    read = read_answers(samples, extract or WholeText())
    merged = await merge_answers(QUERY, read, equivalence)
    return await select(QUERY, merged, scorer or MajorityVote())


# What is no answer does not vote


@pytest.mark.parametrize("scorer", ALL, ids=repr)
async def test_truncated_texts_do_not_outvote_answers(scorer: Scorer) -> None:
    samples = [bad("so 7"), bad("so 7"), bad("so 7"), bad("so 7"), ok("8"), ok("8")]
    assert (await chosen(samples, scorer)).answer == "8"


async def test_texts_without_an_answer_are_no_group_of_votes() -> None:
    samples = [ok("no idea"), ok("hm"), ok("well"), ok("it is 42"), ok("42")]
    assert (await chosen(samples, extract=LastNumber())).answer == "42"


async def test_empty_answers_are_no_votes() -> None:
    samples = [ok(""), ok("  "), ok("\n"), ok("42"), ok("42")]
    assert (await chosen(samples)).answer == "42"
    assert (await chosen(samples, extract=Regex(pattern=r"^(\d*)$"))).answer == "42"


@pytest.mark.parametrize("scorer", ALL, ids=repr)
async def test_errors_are_no_candidates(scorer: Scorer) -> None:
    failed = [bad("Error: out of memory", Status.ERROR)] * 3
    assert (await chosen([*failed, ok("42")], scorer)).answer == "42"


async def test_cut_off_agreement_is_no_confidence() -> None:
    selection = await chosen([bad("7"), bad("7"), bad("7"), ok("8"), ok("9")])
    assert selection.confidence == 0.5


@pytest.mark.parametrize("scorer", ALL, ids=repr)
async def test_nothing_to_choose_from_is_an_abstention_and_no_crash(scorer: Scorer) -> None:
    for samples in ([], [bad("7")], [ok("")]):
        selection = await chosen(samples, scorer)
        assert (selection.index, selection.answer) == (None, None)
        assert math.isnan(selection.confidence)


# Counting


async def test_an_outvoted_answer_never_wins_by_its_shape() -> None:
    """Calls of a tool, as JSON: nine with one argument against one with two."""
    few, more = json.dumps({"a": 1}), json.dumps({"a": 1, "b": 2})
    for place in range(10):
        samples = [ok(few)] * 9
        samples.insert(place, ok(more))
        assert (await chosen(samples, equivalence=JsonEquivalence())).answer == few


async def test_the_order_of_arrival_decides_nothing_but_ties() -> None:
    for order in permutations(["7", "7", "8", "8", "8", "9"]):
        assert (await chosen([ok(text) for text in order])).answer == "8"


async def test_similar_reasoning_with_other_answers_is_no_agreement() -> None:
    long = "First we add the apples, then we take away those that were eaten, so there are "
    samples = [ok(f"{long}18."), ok(f"{long}18."), ok(f"{long}81."), ok("81"), ok("It is 81")]
    assert (await chosen(samples, extract=LastNumber())).answer == "81"


async def test_a_majority_of_right_answers_wins_where_the_wrong_ones_scatter() -> None:
    samples = [ok("7")] * 4 + [ok(str(n)) for n in range(10, 16)]
    assert (await chosen(samples)).answer == "7"


async def test_scores_stay_with_their_candidates_when_some_fail() -> None:
    samples = [ok("a", -3.0), bad("b", Status.ERROR), ok("c", -1.0), ok("d", -2.0)]
    selection = await chosen(samples, MeanLogprob())
    assert selection.index == 2
    np.testing.assert_array_equal(selection.scores, [-3.0, np.nan, -1.0, -2.0])


async def test_no_sample_votes_twice() -> None:
    selection = await chosen([ok("7"), bad("8"), bad("8")])
    assert len(selection.samples) == len(selection.scores) == 3
    assert selection.confidence == 1.0


# Weights


@pytest.mark.parametrize("transform", ["rank", "softmax"])
async def test_more_support_is_not_worse_where_scores_are_negative(transform: str) -> None:
    samples = [ok("7", -1.0), ok("7", -1.0), ok("7", -1.0), ok("8", -2.0)]
    by = WeightedVote(by=SumLogprob(), transform=transform)  # type: ignore[arg-type]
    assert (await chosen(samples, by)).answer == "7"


async def test_negative_scores_do_not_tie_at_zero() -> None:
    samples = [ok("6", -9.0), ok("7", -1.0), ok("8", -5.0)]
    assert (await chosen(samples, MeanLogprob())).answer == "7"
    by = WeightedVote(by=MeanLogprob(), transform="softmax")
    assert (await chosen(samples, by)).answer == "7"


async def test_one_confident_loner_does_not_beat_a_majority_by_the_scale_of_its_score() -> None:
    samples = [ok("7", -1.0)] * 5 + [ok("8", -0.001)]
    for transform in ("rank", "softmax"):
        by = WeightedVote(by=MeanLogprob(), transform=transform)  # type: ignore[arg-type]
        assert (await chosen(samples, by)).answer == "7"


async def test_a_weighted_vote_is_not_quietly_the_plain_one() -> None:
    samples = [ok("7", -8.0), ok("7", -8.0), ok("8", -0.1)]
    by = WeightedVote(by=MeanLogprob(), transform="softmax")
    assert (await chosen(samples)).answer == "7"
    assert (await chosen(samples, by)).answer == "8"


async def test_a_sum_of_logprobs_prefers_the_short_and_a_mean_does_not() -> None:
    samples = [ok("short", -0.9, -0.9), ok("long", *(-0.5,) * 10)]
    assert (await chosen(samples, SumLogprob())).answer == "short"
    assert (await chosen(samples, MeanLogprob())).answer == "long"


async def test_nan_does_not_win_from_the_first_place() -> None:
    samples = [ok("a", math.nan), ok("b", -0.9)]
    assert (await chosen(samples, MeanLogprob())).answer == "b"


# Reading answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"A train travels for 3 hours. \boxed{30}", "30"),
        ("The answer is 3. Wait, no. The answer is 5.", "5"),
        ("It is 3.14", "3.14"),
        (r"\boxed{\frac{1}{2}}", "0.5"),
    ],
)
def test_the_answer_is_the_last_one_and_whole(text: str, answer: str) -> None:
    assert FinalAnswer()(text) == answer


def test_an_article_is_no_choice() -> None:
    assert ChoiceLetter()("A train travels for hours.") is None
    assert ChoiceLetter()("A train travels. The answer is (B).") == "B"


@pytest.mark.parametrize(("text", "answer"), [("-5", "-5"), ("0.5", "0.5"), ("A", "A")])
def test_signs_points_and_single_letters_are_kept(text: str, answer: str) -> None:
    assert FinalAnswer()(text) == answer


def test_a_fraction_is_not_read_as_a_whole_number() -> None:
    assert LastNumber()("1/2") == "0.5"


async def test_votes_for_the_letter_a_do_not_vanish() -> None:
    samples = [ok("The answer is A.")] * 3 + [ok("The answer is B.")] * 2
    assert (await chosen(samples, extract=ChoiceLetter())).answer == "A"


async def test_an_unbalanced_box_is_no_answer() -> None:
    assert (await chosen([ok(r"\boxed{4"), ok(r"\boxed{5}")], extract=Boxed())).answer == "5"


# What means the same


@pytest.fixture(scope="module")
def mathematics() -> MathEquivalence:
    pytest.importorskip("math_verify")
    return MathEquivalence()


async def test_spellings_of_one_value_do_not_split_its_votes(mathematics: MathEquivalence) -> None:
    samples = [ok("7"), ok("7"), ok("0.5"), ok(r"\frac12"), ok(r"\dfrac{1}{2}")]
    assert (await chosen(samples, equivalence=mathematics)).answer == "0.5"


def test_equality_is_no_other_in_a_thread(mathematics: MathEquivalence) -> None:
    samples = [ok("1/2"), ok(r"\frac{2}{4}"), ok(r"\sqrt{9}/6"), ok("7"), ok("7")]
    answers: list[str | None] = []

    def in_thread() -> None:
        answers.append(asyncio.run(chosen(samples, equivalence=mathematics)).answer)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    here = asyncio.run(chosen(samples, equivalence=mathematics)).answer
    assert answers == [here]
    assert here not in ("7", None)


@pytest.mark.parametrize(
    ("one", "two"),
    [(r"\left(3,\frac{\pi}{2}\right)", "3"), ("(1,2)", r"\{1,2\}"), ("(1,2)", "(2,1)")],
)
async def test_a_pair_is_neither_a_number_nor_a_set(
    mathematics: MathEquivalence, one: str, two: str
) -> None:
    selection = await chosen([ok(one), ok(two)], equivalence=mathematics)
    assert selection.confidence == 0.5


# Validity


async def test_an_invalid_majority_does_not_win() -> None:
    samples = [ok("{'x': 1}")] * 3 + [ok('{"x": 1}')]
    assert (await chosen(samples, AmongValid(rule=JsonValid(), by=MajorityVote()))).index == 3


async def test_where_all_is_invalid_nothing_is_chosen_by_length() -> None:
    samples = [ok("{"), ok("{{{{")]
    assert (await chosen(samples, AmongValid(rule=JsonValid(), by=Shortest()))).index is None
