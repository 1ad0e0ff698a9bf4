"""GenSelect: windows of like size, the response named last, and nothing where no reply says one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Message, Query, Sample, Status
from nbest.scorers.judges.gen_select import GenSelect, windows

QUERY = Query(id="q", prompt="Which is it?")
LISTED = re.compile(r"Response (\d+):\n<<<\w+\n(.*?)\n\w+>>>", re.DOTALL)
TWENTY = tuple(map(str, range(20)))


@dataclass
class Reasoner:
    """A judge that says something about all responses, and names one of them in its last line."""

    best: Callable[[list[str]], str | None]  # of the texts that it sees; None: it names none
    status: Status = Status.OK
    seen: list[list[str]] = field(default_factory=list)

    async def __call__(
        self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
    ) -> Sample:
        assert name == "gen_select"
        assert isinstance(prompt, str)
        listed = LISTED.findall(prompt)
        texts = [body for _, body in listed]
        self.seen.append(texts)
        best = self.best(texts)
        named = "none of them" if best is None else str(1 + texts.index(best))
        said = "\n".join(f"Response {number}\nsays {body}." for number, body in listed)
        text = f"{said}\n1\n\nBest response: {named}\n"
        return Sample(id="r", text=text, status=self.status)


def pool(ask: Reasoner | None, *texts: str) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=text) for i, text in enumerate(texts))
    return Candidates(samples=samples, answers=tuple(text or None for text in texts), ask=ask)


def largest(texts: list[str]) -> str:
    return max(texts, key=int)


@pytest.mark.parametrize("window", [2, 3, 8, 16, 100])
@pytest.mark.parametrize("rotations", [1, 2])
async def test_the_best_one_survives_every_round(window: int, rotations: int) -> None:
    judge = Reasoner(largest)
    scorer = GenSelect(window=window, rotations=rotations)
    scores = await scorer(QUERY, pool(judge, *TWENTY))
    assert int(np.argmax(scores)) == 19
    assert np.sum(scores == scores.max()) == 1
    assert len(judge.seen) == scorer.num_calls(20)
    assert max(map(len, judge.seen)) <= window


@pytest.mark.parametrize("num", range(1, 40))
@pytest.mark.parametrize("size", [2, 3, 8])
def test_windows_hold_everybody_once_and_are_of_like_size(num: int, size: int) -> None:
    found = windows(range(num), size)
    assert [entrant for window in found for entrant in window] == list(range(num))
    sizes = [len(window) for window in found]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


async def test_rotations_take_away_what_a_place_gives() -> None:
    """A judge that always names the first response names each of them once."""
    by_place = Reasoner(lambda texts: texts[0])
    wins: Counter[str] = Counter()
    for r in range(60):
        texts = [f"{r}.{i}" for i in range(4)]
        scores = await GenSelect(window=4, rotations=4)(QUERY, pool(by_place, *texts))
        assert {tuple(sorted(seen)) for seen in by_place.seen[-4:]} == {tuple(sorted(texts))}
        assert len({seen[0] for seen in by_place.seen[-4:]}) == 4
        wins[texts[int(np.argmax(scores))].partition(".")[2]] += 1
    assert len(wins) == 4  # the hash of the texts decides, and no place


@pytest.mark.parametrize("status", [Status.OK, Status.TRUNCATED, Status.ERROR])
async def test_a_reply_that_names_none_or_was_cut_off_chooses_nobody(status: Status) -> None:
    """Of a cut-off reply the last line is not the last word, whatever it says."""
    judge = Reasoner(largest if status is not Status.OK else lambda texts: None, status)
    scores = await GenSelect(window=4)(QUERY, pool(judge, *TWENTY))
    assert np.isnan(scores).all()


async def test_a_window_without_a_reply_sends_on_what_came_most() -> None:
    texts = (*TWENTY[:8], "5", "5", "2")
    judge = Reasoner(lambda seen: None if len(seen) == 4 else seen[0])
    scores = await GenSelect(window=4)(QUERY, pool(judge, *texts))
    (final,) = [seen for seen in judge.seen if len(seen) == 2]
    assert "5" in final
    assert not np.isnan(scores[5])
    assert np.isnan(scores[[i for i, text in enumerate(texts) if text not in final]]).all()


async def test_the_order_of_the_candidates_changes_nothing() -> None:
    texts = (*TWENTY, "3", "")
    scores = await GenSelect(window=6, rotations=2)(QUERY, pool(Reasoner(largest), *texts))
    assert np.isnan(scores[-1])
    order = np.random.default_rng(1).permutation(len(texts))
    shuffled = pool(Reasoner(largest), *(texts[i] for i in order))
    again = await GenSelect(window=6, rotations=2)(QUERY, shuffled)
    np.testing.assert_array_equal(again, scores[order])


async def test_one_alone_is_asked_about_by_nobody() -> None:
    judge = Reasoner(largest)
    scores = await GenSelect()(QUERY, pool(judge, "7", "7"))
    np.testing.assert_array_equal(scores, [0.0, 0.0])
    assert judge.seen == []


async def test_a_reply_that_repeats_its_instructions_is_not_read() -> None:
    class Leaking(Reasoner):
        async def __call__(
            self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
        ) -> Sample:
            return Sample(id="r", text=f"{prompt}\nBest response: 1")

    scores = await GenSelect()(QUERY, pool(Leaking(largest), *TWENTY[:4]))
    assert np.isnan(scores).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GenSelect(window=1), "window must be at least 2, got 1"),
        (lambda: GenSelect(window=4, rotations=5), "rotations must lie in 1..4, window, got 5"),
        (lambda: GenSelect(criterion=" "), "criterion must hold a text, got ' '"),
    ],
)
def test_wrong_settings(make: Callable[[], GenSelect], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


async def test_without_a_model_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"^gen_select needs a model to ask: "):
        await GenSelect()(QUERY, pool(None, "7"))
