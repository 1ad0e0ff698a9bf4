"""Pairwise judging: a slot earns nothing, failures tell nothing, calls are known in advance."""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Message, Query, Sample, Status, TopLogprobs
from nbest.scorers.judges.tournament import KINDS, Tournament, schedule

Kind = Literal["knockout", "league", "bradley_terry", "pivots"]
QUERY = Query(id="q", prompt="Which is it?")
BODY = re.compile(r"Response [AB]:\n<<<[0-9a-f]{16}\n(.*?)\n[0-9a-f]{16}>>>", re.DOTALL)

every_kind = pytest.mark.parametrize("kind", KINDS)


@dataclass
class Script:
    """A judge whose preference for A is a function of the two texts; None: the call fails."""

    prefer: Callable[[str, str], float | None]
    has_tokens: bool = True
    calls: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(
        self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
    ) -> Sample:
        assert name == "tournament"
        assert isinstance(prompt, str)
        a, b = BODY.findall(prompt)
        self.calls.append((a, b))
        p = self.prefer(a, b)
        if p is None:
            return Sample(id="r", text="", status=Status.ERROR, error="refused")
        letters = ("A", "B") if p >= 0.5 else ("B", "A")
        packed = array("f", (math.log(max(p, 1 - p)), math.log(max(1e-9, min(p, 1 - p)))))
        top = TopLogprobs(k=2, packed=packed.tobytes(), texts=letters)
        return Sample(id="r", text=letters[0], top_logprobs=top if self.has_tokens else None)


def pool(ask: Script | None, *texts: str) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=text) for i, text in enumerate(texts))
    return Candidates(samples=samples, answers=tuple(text or None for text in texts), ask=ask)


def better(a: str, b: str) -> float:
    """The larger number, by a margin that grows with the difference."""
    return 1 / (1 + math.exp(int(b) - int(a)))


EIGHT = tuple(str(i) for i in range(8))


@every_kind
@pytest.mark.parametrize("num", [2, 3, 5, 8, 11])
async def test_the_best_wins_and_the_calls_are_those_announced(kind: Kind, num: int) -> None:
    script = Script(better)
    texts = [str(i) for i in range(num)]
    tournament = Tournament(kind=kind)
    scores = await tournament(QUERY, pool(script, *texts, texts[-1]))
    assert int(np.argmax(scores)) == num - 1
    assert scores[-1] == scores[num - 1]
    # Of two pivots that are no neighbours, one more has met all its opponents before.
    fewer = {0, 2} if kind == "pivots" else {0}
    assert tournament.num_calls(num) - len(script.calls) in fewer
    assert all(script.calls.count((b, a)) == 1 for a, b in script.calls)
    if kind != "knockout":
        assert (np.diff(scores[:num]) > 0).all()


@pytest.mark.parametrize("bias", [0.05, 0.1, 0.2])
@every_kind
async def test_a_slot_that_is_preferred_is_no_advantage(kind: Kind, bias: float) -> None:
    """Eight equal candidates: what a judge gives to slot A, the other order takes away."""
    scores = await Tournament(kind=kind)(QUERY, pool(Script(lambda a, b: 0.5 + bias), *EIGHT))
    fair = await Tournament(kind=kind)(QUERY, pool(Script(lambda a, b: 0.5), *EIGHT))
    np.testing.assert_array_equal(scores, fair)
    if kind != "knockout":
        assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("bias", [0.05, 0.1, 0.2])
@every_kind
@pytest.mark.no_cover
async def test_nor_where_the_judge_only_says_a_letter(kind: Kind, bias: float) -> None:
    """Equal candidates and a coin that favours slot A: each wins about as often as the others."""

    def coin(a: str, b: str) -> float:
        digest = hashlib.sha256(f"{a}|{b}".encode()).digest()
        return float(int.from_bytes(digest[:6]) / 2**48 < 0.5 + bias)

    wins: Counter[int] = Counter()
    rounds = 100
    for r in range(rounds):
        texts = [f"{r} {i}" for i in range(8)]
        scores = await Tournament(kind=kind)(QUERY, pool(Script(coin, has_tokens=False), *texts))
        best = np.flatnonzero(scores == scores.max())
        wins.update({int(i): 1 for i in best[[r % len(best)]]})
    # The standard error of a share of 1/8 over 100 rounds is 0.0331.
    assert max(abs(wins[i] / rounds - 1 / 8) for i in range(8)) < 4 * 0.0331


@every_kind
async def test_without_swapping_a_slot_is_an_advantage_and_half_the_calls(kind: Kind) -> None:
    script = Script(lambda a, b: 0.7)
    tournament = Tournament(kind=kind, swap=False)
    scores = await tournament(QUERY, pool(script, *EIGHT))
    assert len(set(scores.tolist())) > 1
    assert tournament.num_calls(8) == Tournament(kind=kind).num_calls(8) // 2
    fewer = {0, 1} if kind == "pivots" else {0}
    assert tournament.num_calls(8) - len(script.calls) in fewer


@every_kind
async def test_a_comparison_that_failed_in_one_order_is_left_out(kind: Kind) -> None:
    """Not a tie: whoever has no verdict at all has no score."""
    script = Script(lambda a, b: None if "3" in (a, b) and a < b else better(a, b))
    scores = await Tournament(kind=kind)(QUERY, pool(script, *EIGHT))
    assert np.isnan(scores[3])
    others = [int(i) for i in np.argsort(scores) if not np.isnan(scores[i])]
    assert 3 not in others
    if kind == "league":
        alone = await Tournament(kind=kind)(
            QUERY, pool(Script(better), *(t for t in EIGHT if t != "3"))
        )
        np.testing.assert_array_equal(scores[[0, 1, 2, 4, 5, 6, 7]], alone)


@every_kind
async def test_if_all_fail_nobody_is_chosen(kind: Kind) -> None:
    scores = await Tournament(kind=kind)(QUERY, pool(Script(lambda a, b: None), *EIGHT))
    assert np.isnan(scores).all()


@every_kind
async def test_order_changes_nothing(kind: Kind) -> None:
    def odd(a: str, b: str) -> float:
        return int.from_bytes(hashlib.sha256(f"{a}|{b}".encode()).digest()[:4]) / 2**32

    texts = (*EIGHT, "", "3")
    scores = await Tournament(kind=kind)(QUERY, pool(Script(odd), *texts))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(texts))
        shuffled = pool(Script(odd), *(texts[i] for i in order))
        again = await Tournament(kind=kind)(QUERY, shuffled)
        np.testing.assert_array_equal(again, scores[order])


@pytest.mark.parametrize("num", range(9))
@pytest.mark.parametrize("opponents", [None, 2, 4, 6, 100])
def test_in_a_league_each_meets_as_many(num: int, opponents: int | None) -> None:
    pairs = schedule(num, opponents)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    met = Counter(i for pair in pairs for i in pair)
    expected = num - 1 if opponents is None else min(opponents, num - 1)
    assert all(met[i] == max(0, expected) for i in range(num))


async def test_with_opponents_a_league_asks_less() -> None:
    script = Script(better)
    tournament = Tournament(kind="bradley_terry", opponents=2)
    await tournament(QUERY, pool(script, *EIGHT))
    assert len(script.calls) == tournament.num_calls(8) == 16


@pytest.mark.parametrize("num", [2, 3, 8, 40])
@pytest.mark.parametrize("pivots", [1, 2, 5, 100])
async def test_with_pivots_everybody_meets_neighbours_and_the_strongest(
    num: int, pivots: int
) -> None:
    script = Script(better)
    tournament = Tournament(kind="pivots", pivots=pivots)
    texts = tuple(map(str, range(num)))
    scores = await tournament(QUERY, pool(script, *texts))
    assert int(np.argmax(scores)) == num - 1
    met = {frozenset(call) for call in script.calls}
    assert len(script.calls) == 2 * len(met) <= tournament.num_calls(num)
    meetings = Counter(text for pair in met for text in pair)
    everybody = sum(count == num - 1 for count in meetings.values())
    assert everybody >= min(pivots, num)
    assert min(meetings.values()) >= min(num - 1, pivots)


def test_pivots_take_a_number_of_comparisons_that_grows_with_the_entrants() -> None:
    calls = [Tournament(kind="pivots", swap=False).num_calls(num) for num in (2, 3, 10, 100, 1000)]
    assert calls == [1, 3, 24, 294, 2994]
    assert Tournament(kind="bradley_terry", swap=False).num_calls(1000) == 499_500


async def test_a_pivot_tournament_favours_no_slot_in_any_round() -> None:
    """Equal candidates and a judge who leans to slot A: none gains, pivots neither."""
    for bias in (0.05, 0.1, 0.2):
        lean = Script(lambda a, b, bias=bias: 0.5 + bias)  # type: ignore[misc]
        scores = await Tournament(kind="pivots", pivots=3)(QUERY, pool(lean, *EIGHT))
        np.testing.assert_allclose(scores, scores[0], atol=1e-9)


async def test_one_alone_is_asked_about_by_nobody() -> None:
    script = Script(better)
    scores = await Tournament()(QUERY, pool(script, "7", "7"))
    np.testing.assert_array_equal(scores, [0.0, 0.0])
    assert script.calls == []


async def test_without_a_model_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"^tournament needs a model to ask: "):
        await Tournament()(QUERY, pool(None, "7"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Tournament(opponents=2),
            "opponents must be null in a knockout and with pivots, where nobody chooses, got 2",
        ),
        (
            lambda: Tournament(kind="league", opponents=3),
            "opponents must be even, and at least 2, got 3",
        ),
        (
            lambda: Tournament(kind="cup"),  # type: ignore[arg-type] # what a config may say
            "kind must be one of knockout, league, bradley_terry, pivots, got 'cup'",
        ),
        (
            lambda: Tournament(kind="league", pivots=2),
            "pivots must be null but of the kind pivots, got 2",
        ),
        (lambda: Tournament(kind="pivots", pivots=0), "pivots must be at least 1, got 0"),
    ],
)
def test_wrong_settings(make: Callable[[], Tournament], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message
