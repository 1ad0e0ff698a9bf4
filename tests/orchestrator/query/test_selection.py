"""Selection: the argmax over what may be voted for, and nothing else, in any order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import MajorityVote
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.selection import (
    WholeText,
    choose,
    merge_answers,
    read_answers,
    select,
)
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Ask, Candidates, Query, Sample, Scores, Selection, Status

QUERY = Query(id="q", prompt="?")
NAN = math.nan
INF = math.inf


def pool_of(*answers: str | None) -> Candidates:
    samples = tuple(Sample(id=f"r/q/s{i}", text=answer or "") for i, answer in enumerate(answers))
    return Candidates(samples=samples, answers=answers)


def choose_by(candidates: Candidates, *scores: float) -> Selection:
    return choose(candidates, np.array(scores, np.float64))


def test_the_best_score_wins() -> None:
    selection = choose_by(pool_of("a", "b", "c"), 0.1, 0.9, 0.5)
    assert (selection.index, selection.answer) == (1, "b")


def test_a_tie_goes_to_the_lowest_index() -> None:
    assert choose_by(pool_of("a", "b", "c", "d"), 0.1, 0.9, 0.9, 0.9).index == 1


def test_nan_cannot_say_and_never_wins() -> None:
    assert choose_by(pool_of("a", "b", "c"), NAN, -5.0, -9.0).index == 1


def test_what_has_no_answer_never_wins_whatever_its_score() -> None:
    selection = choose_by(pool_of(None, "b", "c"), 9.0, 1.0, 2.0)
    assert (selection.index, selection.answer) == (2, "c")
    np.testing.assert_array_equal(selection.scores, [NAN, 1.0, 2.0])


@pytest.mark.parametrize("worst", [-INF, -1e308])
def test_the_lowest_score_there_is_still_beats_no_answer(worst: float) -> None:
    """A scorer may say `never this one`; if there is no other candidate, this one wins."""
    selection = choose_by(pool_of(None, "b"), 0.0, worst)
    assert (selection.index, selection.answer, selection.confidence) == (1, "b", 1.0)
    assert choose_by(pool_of("a", "b"), NAN, worst).index == 1


def test_infinity_wins_over_every_number() -> None:
    assert choose_by(pool_of("a", "b", "c"), 1e308, INF, INF).index == 1


@pytest.mark.parametrize(
    ("answers", "scores"),
    [((), ()), ((None, None), (1.0, 2.0)), (("a", "b"), (NAN, NAN)), ((None, "b"), (1.0, NAN))],
    ids=["nothing drawn", "no answer", "no score", "never both"],
)
def test_it_abstains_without_an_answer_that_has_a_score(
    answers: tuple[str | None, ...], scores: tuple[float, ...]
) -> None:
    selection = choose_by(pool_of(*answers), *scores)
    assert (selection.index, selection.answer) == (None, None)
    assert math.isnan(selection.confidence)
    assert len(selection.samples) == len(selection.scores) == len(answers)


def test_confidence_is_the_share_of_the_answers_that_agree() -> None:
    """Three of the four answers agree; samples without an answer do not count."""
    selection = choose_by(pool_of("7", None, "7", "8", None, "7"), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert selection.confidence == 3 / 4
    assert choose_by(pool_of("7", None, "7", "8", None, "7"), 0, 0, 0, 1, 0, 0).confidence == 1 / 4


def test_an_answer_without_a_score_still_counts_for_or_against() -> None:
    assert choose_by(pool_of("7", "7", "8"), 1.0, NAN, NAN).confidence == 2 / 3


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_only_ok_samples_have_an_answer(status: Status) -> None:
    samples = [Sample(id="s0", text=" 7 ", status=status), Sample(id="s1", text=" 7 ")]
    read = read_answers(samples, WholeText())
    assert read.answers == (None, "7")
    assert read.samples == tuple(samples)


def test_the_extractor_never_sees_a_text_that_may_not_vote() -> None:
    seen: list[str] = []

    def extract(text: str) -> str | None:
        seen.append(text)
        return text

    samples = [Sample(id=str(s), text=str(s), status=s) for s in Status]
    read_answers(samples, extract)
    assert seen == ["ok"]


def test_the_whole_text_is_an_answer_unless_it_is_empty() -> None:
    read = WholeText()
    assert read("  two\nlines \n") == "two\nlines"
    assert (read(""), read(" \n\t")) == (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedScores:
    """A scorer that returns the scores of its test for any candidates."""

    scores: Scores
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        assert query is QUERY
        return self.scores


async def test_select_asks_the_scorer_and_chooses() -> None:
    selection = await select(QUERY, pool_of("a", "b"), FixedScores(scores=np.array([0.0, 1.0])))
    assert selection.answer == "b"


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (2, 1), (1, 2), ()])
async def test_scores_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    scorer = FixedScores(scores=np.zeros(shape))
    with pytest.raises(InputError) as caught:
        await select(QUERY, pool_of("a", "b"), scorer)
    assert str(caught.value) == f"the scores of {scorer!r} must have shape (2,), got {shape}"


async def test_selection_leaves_the_scorers_own_array_alone() -> None:
    scores = np.array([3.0, 1.0])
    await select(QUERY, pool_of(None, "b"), FixedScores(scores=scores))
    np.testing.assert_array_equal(scores, [3.0, 1.0])


# Few values, so that ties are common, and every odd one.
scores = st.sampled_from([NAN, INF, -INF, -1.0, 0.0, 0.5]) | st.floats(width=16)
pools = st.lists(st.tuples(st.none() | st.sampled_from("abc"), scores), max_size=12)


@given(data=st.data(), pool=pools)
def test_permuting_the_candidates_permutes_the_selection(
    data: st.DataObject, pool: list[tuple[str | None, float]]
) -> None:
    """The same score wins in every order, and the very same sample if no other has that score."""
    order = data.draw(st.permutations(range(len(pool))))
    first = choose_by(pool_of(*(answer for answer, _ in pool)), *(score for _, score in pool))
    moved = [pool[i] for i in order]
    second = choose_by(pool_of(*(answer for answer, _ in moved)), *(score for _, score in moved))
    assert (first.index is None) == (second.index is None)
    np.testing.assert_array_equal(second.scores, first.scores[np.array(order, np.intp)])
    if first.index is not None and second.index is not None:
        best = first.scores[first.index]
        assert second.scores[second.index] == best
        if np.count_nonzero(first.scores == best) == 1:
            assert order[second.index] == first.index
            assert second.confidence == first.confidence


@given(pool=pools)
def test_what_is_chosen_is_the_first_of_the_best(pool: list[tuple[str | None, float]]) -> None:
    """The selection is what a plain loop finds."""
    best: int | None = None
    for i, (answer, score) in enumerate(pool):
        can_win = answer is not None and not math.isnan(score)
        if can_win and (best is None or score > pool[best][1]):
            best = i
    selection = choose_by(pool_of(*(answer for answer, _ in pool)), *(score for _, score in pool))
    assert selection.index == best
    assert selection.answer == (None if best is None else pool[best][0])
    if selection.answer is not None:
        answers = [answer for answer, _ in pool if answer is not None]
        assert selection.confidence == answers.count(selection.answer) / len(answers)


# Equivalence and abstention


class SameLength:
    """An equivalence by which answers of one length mean the same."""

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        assert len(set(answers)) == len(answers)
        return [len(answer) for answer in answers]


@given(st.permutations(["aa", "bb", "bb", "c", None, "zz", "ddd", "eee"]))
async def test_answers_that_mean_the_same_get_one_text(answers: list[str | None]) -> None:
    merged = await merge_answers(QUERY, pool_of(*answers), SameLength())
    name_of = {"aa": "bb", "bb": "bb", "zz": "bb", "ddd": "ddd", "eee": "ddd", "c": "c", None: None}
    assert merged.answers == tuple(name_of[answer] for answer in answers)


async def test_without_an_equivalence_nothing_is_merged() -> None:
    candidates = pool_of("1/2", "0.5")
    assert await merge_answers(QUERY, candidates, None) is candidates


@pytest.mark.parametrize(("least", "answer"), [(0.0, "7"), (0.6, "7"), (0.61, None)])
async def test_a_choice_that_too_few_agree_with_is_an_abstention(
    least: float, answer: str | None
) -> None:
    selection = await select(QUERY, pool_of("7", "8", "7", None, "7", "9"), MajorityVote(), least)
    assert (selection.answer, selection.confidence) == (answer, 0.6)
    assert (selection.index is None) == (answer is None)


async def test_a_strategy_merges_and_abstains() -> None:
    texts = ["aa", "bb", "c", "c"]

    class Drawn:
        async def __call__(self, index: int, params: SamplingParams) -> Sample:
            return Sample(id=str(index), text=texts[index])

        async def ask(self, name: str, prompt: object, params: SamplingParams) -> Sample:
            raise AssertionError("nobody asks")

        def ask_model(self, identity: Mapping[str, object]) -> Ask:
            raise AssertionError("nobody asks")

        async def rate(
            self, identity: Mapping[str, object], responses: Sequence[str]
        ) -> tuple[Sample, ...]:
            raise AssertionError("nobody asks")

        async def abort(self, index: int) -> None: ...

    strategy = BestOfN(n=4, select=MajorityVote(), equivalence=SameLength(), min_confidence=0.6)
    assert (await strategy(QUERY, Drawn())).answer is None
    strategy = BestOfN(n=3, select=MajorityVote(), equivalence=SameLength(), min_confidence=0.6)
    assert (await strategy(QUERY, Drawn())).answer == "aa"
