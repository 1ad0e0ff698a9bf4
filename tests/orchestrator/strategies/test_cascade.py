"""Cascades: which stages are drawn, by which arms, and what a replay of them says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nbest import (
    Arm,
    ArmWeight,
    Cascade,
    FakeBackend,
    LastNumber,
    MajorityVote,
    Panel,
    Reply,
    Stage,
    WeightedVote,
)
from nbest.experiments.analysis.replay.cascade import ReplayedCascade
from nbest.experiments.analysis.replay.drawn import Drawn
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.types import Candidates, Query, Request, Sample, Selection, Status

QUERY = Query(id="q", prompt="?")
PANEL = Panel(arms=(Arm(name="small"), Arm(name="large")), stages=(4, 3))
WEIGHTED = WeightedVote(by=ArmWeight(weights={"small": 1, "large": 10}))


def cascade(min_confidence: float = 0.75, select: object = None) -> Cascade:
    stages = (Stage(n=4, min_confidence=min_confidence), Stage(n=3))
    scorer = MajorityVote() if select is None else select
    return Cascade(stages=stages, select=scorer, extract=LastNumber())  # type: ignore[arg-type]


def live(strategy: Cascade, answers: Sequence[str], panel: Panel | None = None) -> Selection:
    """Run it on a fake engine: sample i says `answers[i]`, or fails where that is "!"."""

    def script(request: Request) -> Reply:
        answer = answers[int(request.id.rpartition("/s")[2])]
        return Reply(tokens=(answer,), error=RequestRejected("broken") if answer == "!" else None)

    async def run() -> Selection:
        work = Work(run="r", seed=1, strategy=strategy, directory=None, panel=panel)
        async with open_loop(work, FakeBackend(script=script)) as here:
            answered = await here.loop.answer(QUERY)
        assert answered.selection is not None, answered.record.error
        return answered.selection

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answers", "drawn", "answer"),
    [
        ("7778 999", 4, "7"),  # three of four agree: the second stage is not drawn
        ("7788 999", 7, "9"),
        ("7xxx 999", 4, "7"),  # all that has an answer agrees
        ("xxxx 999", 7, "9"),  # no answer is not sure
        ("7788 777", 7, "7"),
    ],
)
def test_a_stage_is_drawn_where_those_before_are_not_sure(
    answers: str, drawn: int, answer: str
) -> None:
    selection = live(cascade(), answers.replace(" ", ""))
    assert (len(selection.samples), selection.answer) == (drawn, answer)


def test_a_stage_in_which_a_sample_failed_is_not_sure() -> None:
    """Its threshold was fitted on four votes."""
    selection = live(cascade(), "777!999")
    assert [sample.status for sample in selection.samples].count(Status.ERROR) == 1
    assert len(selection.samples) == 7


def test_an_answer_that_is_abstained_from_is_not_sure() -> None:
    """Three of four agree: enough for the stage, too few for the strategy."""
    strict = replace(cascade(0.5), min_confidence=0.8)
    selection = live(strict, "7778777")
    assert (len(selection.samples), selection.answer) == (7, "7")


def test_stages_of_the_panel_are_those_of_the_cascade() -> None:
    with pytest.raises(InputError, match=r"stages must be those of the cascade, \(4, 3\)"):
        live(cascade(), "7778999", replace(PANEL, stages=(2, 5)))


def test_the_last_stage_never_ends() -> None:
    assert [PANEL.arm_of(i).name for i in (0, 3, 4, 6, 7, 99)] == ["small"] * 2 + ["large"] * 4
    assert PANEL.turns_by_name == replace(PANEL, stages=(4, 9)).turns_by_name
    assert PANEL.turns_by_name != replace(PANEL, stages=(3, 3)).turns_by_name


def test_each_stage_is_drawn_by_its_arm_and_counts_by_its_weight() -> None:
    selection = live(cascade(select=WEIGHTED), "7778999", PANEL)
    assert [s.arm for s in selection.samples] == ["small"] * 4
    selection = live(cascade(0.9, select=WEIGHTED), "7778899", PANEL)
    assert [s.arm for s in selection.samples] == ["small"] * 4 + ["large"] * 3
    assert selection.answer == "9"
    assert live(cascade(0.9), "7778899", PANEL).answer == "7"


@pytest.mark.parametrize("answers", ["7778999", "7788999", "xxxx999", "7777777", "7xx8999"])
def test_what_is_stored_ends_where_the_live_run_ended(answers: str) -> None:
    strategy = cascade()
    ended = len(live(strategy, answers).samples)
    samples = [Sample(id=f"r/q/s{i}", text=text) for i, text in enumerate(answers)]
    calls = StoredCalls(query_id="r/q", find=lambda key: None)

    async def first_enough() -> int:
        for n in range(1, 8):
            if await strategy.is_enough(QUERY, samples[:n], calls):
                return n
        return 7

    assert asyncio.run(first_enough()) == ended


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((), "stages must be at least one"),
        ((Stage(n=4), Stage(n=2)), "stages must have a min_confidence each but for the last"),
        ((Stage(n=4, min_confidence=0.5),), "stages must have a min_confidence each"),
    ],
)
def test_stages_that_do_not_fit_are_refused(stages: tuple[Stage, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cascade(stages=stages, select=MajorityVote())


@pytest.mark.parametrize(
    ("n", "share", "message"),
    [(0, None, "n must be at least 1"), (1, 0.0, "lie in"), (1, math.nan, "lie in"), (1, 2, "lie")],
)
def test_a_stage_is_checked(n: int, share: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Stage(n=n, min_confidence=share)


@pytest.mark.parametrize("stages", [(4,), (4, 2, 1), (4, 0)])
def test_a_panel_has_a_stage_for_each_arm(stages: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="stages must be 2, one an arm"):
        Panel(arms=(Arm(name="a"), Arm(name="b")), stages=stages)
    with pytest.raises(InputError, match="weight must be left out where arms have stages"):
        Panel(arms=(Arm(name="a"), Arm(name="b", weight=2)), stages=(4, 2))


def pool(small: str, large: str) -> Case:
    """A question whose samples two arms drew in turns, a token each, sample i in i + 1 s."""
    pairs = zip(small, large, strict=True)
    turns = [turn for s, g in pairs for turn in (("small", s), ("large", g))]
    samples = tuple(
        Sample(id=f"r/q/s{i}", text=text, arm=arm, generated_tokens=1, total_s=float(i + 1))
        for i, (arm, text) in enumerate(turns)
    )
    candidates = Candidates(samples=samples, answers=tuple(text for _, text in turns))
    verdicts = {"7": 1.0, "8": 0.0, "9": 0.0}
    return Case(query=QUERY, candidates=candidates, verdicts=verdicts, is_graded=True)


@pytest.mark.parametrize(("small", "large"), [("7778", "9999"), ("7788", "9999"), ("7787", "7878")])
def test_a_replay_of_a_panel_says_what_a_live_cascade_does(small: str, large: str) -> None:
    case = pool(small, large)
    replayed = ReplayedCascade(n=(4, 3), min_confidence=(0.75,), arms=("small", "large"))
    (spent,) = asyncio.run(replayed.outcomes([Drawn(case=case, order=range(8), whole=None)]))
    selection = live(cascade(), small + large[:3], PANEL)
    assert (spent.answer, spent.samples) == (selection.answer, len(selection.samples))
    assert spent.tokens == spent.samples
    # The last of the small arm ends after 7 s, the third of the large one after 6 s more.
    assert spent.seconds == (7.0 if spent.samples == 4 else 13.0)


def test_a_replay_in_other_orders_and_with_weights_says_the_same_as_a_live_one() -> None:
    rng = np.random.default_rng(5)
    replayed = ReplayedCascade(
        n=(4, 3), min_confidence=(0.9,), arms=("small", "large"), select=WEIGHTED
    )
    case = pool("778879", "987789")
    for _ in range(30):
        order = rng.permutation(12).tolist()
        drawn = Drawn(case=case, order=order, whole=None)
        (spent,) = asyncio.run(replayed.outcomes([drawn]))
        texts = {
            arm: [case.candidates.answers[i] for i in order if case.arms[i] == arm]
            for arm in ("small", "large")
        }
        answers = [*texts["small"][:4], *texts["large"][:3]]
        assert spent.answer == live(cascade(0.9, WEIGHTED), answers, PANEL).answer  # type: ignore[arg-type]


def test_a_pool_with_too_few_samples_of_an_arm_is_refused() -> None:
    replayed = ReplayedCascade(n=(2, 3), min_confidence=(1.0,), arms=("small", "large"))
    sure = Drawn(case=pool("77", "88"), order=range(4), whole=None)
    (spent,) = asyncio.run(replayed.outcomes([sure]))
    assert spent.samples == 2  # the second stage was not needed
    unsure = Drawn(case=pool("78", "88"), order=range(4), whole=None)
    with pytest.raises(
        InputError, match=r"find 3 samples of arm 'large' in stage 1; .* has 2 left"
    ):
        asyncio.run(replayed.outcomes([unsure]))
