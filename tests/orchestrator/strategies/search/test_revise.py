"""Revision and synthesis: chains of answers beside their closed forms, prompts, and the bill."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from nbest import FakeBackend, LastNumber, MajorityVote, Matches, Reply, run
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.best_first import UCT, BestFirst
from nbest.orchestrator.strategies.search.branching import (
    AdaptiveBranching,
    drawn_score,
)
from nbest.orchestrator.strategies.search.levels import DVTS, Beam
from nbest.orchestrator.strategies.search.plan import Node, PlanSettings
from nbest.orchestrator.strategies.search.revise import CRITICISE, REVISE, Revise
from nbest.orchestrator.strategies.search.synthesis import Synthesis
from nbest.orchestrator.types import Candidates, Message, Query, Record, Request, Scores, Status

RUNS = 1500
RIGHT, WRONG = "it is 1", "it is 2"


@dataclass(frozen=True)
class Truth:
    """1 for a right answer, 0 for another."""

    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.array([float(answer == "1") for answer in candidates.answers])


@dataclass(frozen=True)
class Last:
    """The answer of the last round."""

    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.arange(len(candidates), dtype=np.float64)


@dataclass(frozen=True)
class Reviser:
    """A model that is right at first by a chance, and mends or spoils answers by others."""

    first: float
    mends: float
    spoils: float

    def __call__(self, request: Request) -> Reply:
        chance = self.first
        said = [turn.content for turn in request.prompt if isinstance(turn, Message)]
        answers = [text for text in said if text in (RIGHT, WRONG)]
        if answers:
            chance = 1.0 - self.spoils if answers[-1] == RIGHT else self.mends
        is_right = np.random.default_rng(request.seed).random() < chance
        return Reply(tokens=(RIGHT if is_right else WRONG,))


def answered(strategy: object, script: Callable[[Request], Reply], count: int = 1) -> list[Record]:
    chat = (Message(role="user", content="How many?"),)
    queries = [Query(id=f"q{i}", prompt=chat) for i in range(count)]
    return run(queries, strategy, FakeBackend(script=script))  # type: ignore[arg-type]


def share_right(strategy: object, script: Callable[[Request], Reply]) -> float:
    records = answered(strategy, script, RUNS)
    return sum(record.answer == "1" for record in records) / RUNS


def revise(plan: PlanSettings | None = None, **settings: object) -> Revise:
    fixed: dict[str, object] = {"score": Truth(), "select": Truth(), "extract": LastNumber()}
    plans = {} if plan is None else {"plan": plan}
    return Revise(**{**fixed, **plans, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "rounds", "expected"),
    [(0.5, 1, 0.45), (0.5, 2, 0.415), (0.5, 3, 0.3905), (0.2, 1, 0.24), (0.2, 3, 0.2876)],
)
def test_revision_is_a_markov_chain(first: float, rounds: int, expected: float) -> None:
    """p_m = u/(u+d) + (1-u-d)^m (p_0 - u/(u+d)): it helps only below u/(u+d)."""
    strategy = revise(rounds=rounds, select=Last())
    share = share_right(strategy, Reviser(first, mends=0.1, spoils=0.2))
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / RUNS)


ANY_SHAPE: list[PlanSettings] = [
    DVTS(n=1, width=1),
    DVTS(n=3, width=1),
    AdaptiveBranching(n=6),
    Beam(n=2, width=2),
]


@pytest.mark.parametrize("plan", ANY_SHAPE)
def test_where_a_revision_is_a_fresh_draw_the_shape_does_not_count(plan: PlanSettings) -> None:
    """P(any right of n) = 1 - (1 - q)^n, chosen by an oracle among all rounds."""
    q, rounds = 0.15, 2
    n = 6 if isinstance(plan, AdaptiveBranching) else plan.n * (1 + rounds)
    strategy = revise(plan, rounds=rounds if not isinstance(plan, AdaptiveBranching) else 99)
    expected = 1 - (1 - q) ** n
    share = share_right(strategy, Reviser(q, mends=q, spoils=1 - q))
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / RUNS)


@pytest.mark.parametrize("plan", [BestFirst(n=2, width=2), UCT(n=2, width=2)])
def test_any_plan_revises_and_ends(plan: PlanSettings) -> None:
    (record,) = answered(revise(plan, rounds=2), Reviser(0.3, 0.3, 0.3))
    assert record.selection is not None
    depths = {sample.id.count(".") for sample in record.selection.samples if "/t" in sample.id}
    assert depths == {0, 1}  # children of a root, and of its children


def test_branching_goes_deep_where_depth_pays() -> None:
    """Each revision adds to the answer: the best is reached only by going deep."""
    (plan,) = AdaptiveBranching(n=120).plans("q")
    while paths := plan.ask():
        (path,) = paths
        plan.tell(path, Node(score=1 - 0.5 ** len(path)))
    depths = [len(leaf.path) for leaf in plan.leaves()]
    assert max(depths) >= 4
    assert np.mean(depths[60:]) > 1.2 * np.mean(depths[:20])


def test_branching_goes_wide_where_revision_spoils() -> None:
    (plan,) = AdaptiveBranching(n=40).plans("q")
    while paths := plan.ask():
        (path,) = paths
        plan.tell(path, Node(score=0.7 if len(path) == 1 else 0.0))
    depths = [len(leaf.path) for leaf in plan.leaves()]
    assert depths[10:].count(1) > 24


def test_what_is_believed_of_a_score_is_its_posterior() -> None:
    """With many scores, draws are like them; with none, like the prior."""
    rng = np.random.default_rng(1)
    scores = rng.normal(0.6, 0.1, 400).tolist()
    drawn = [drawn_score(scores, rng) for _ in range(4000)]
    assert abs(np.mean(drawn) - 0.6) < 0.02
    assert abs(np.std(drawn) - 0.1) < 0.02
    assert abs(np.median([drawn_score([], rng) for _ in range(4000)])) < 0.05


def test_the_model_sees_its_answer_and_what_is_wanted() -> None:
    seen: list[Request] = []

    def script(request: Request) -> Reply:
        seen.append(request)
        return Reply(tokens=(WRONG,))

    answered(revise(rounds=1), script)
    first, second = seen
    assert second.prompt == (
        *first.prompt,
        Message(role="assistant", content=WRONG),
        Message(role="user", content=REVISE),
    )
    assert second.prefix is None


def test_a_critique_comes_before_the_revision_and_is_part_of_it() -> None:
    seen: list[str] = []

    def script(request: Request) -> Reply:
        last = request.prompt[-1]
        assert isinstance(last, Message)
        seen.append(last.content)
        return Reply(tokens=("Too small." if last.content == CRITICISE else WRONG,))

    (record,) = answered(revise(rounds=1, critique=CRITICISE), script)
    assert seen == ["How many?", CRITICISE, f"Too small. {REVISE}"]
    assert record.selection is not None
    assert len(record.selection.samples) == 2  # a critique is no answer
    assert record.usage.samples == 3


def test_an_answer_that_keeps_the_rule_is_not_revised() -> None:
    strategy = revise(rounds=9, rule=Matches(pattern="1"))
    records = answered(strategy, Reviser(0.5, mends=0.5, spoils=1.0), 40)
    assert {record.answer for record in records} == {"1"}
    assert sum(record.usage.samples for record in records) < 40 * 4


def test_raw_text_goes_on_after_the_answer() -> None:
    seen: list[object] = []

    def script(request: Request) -> Reply:
        seen.append(request.prompt)
        return Reply(tokens=(" 7",))

    run([Query(id="q", prompt="Q:")], revise(rounds=1), FakeBackend(script=script))
    assert seen == ["Q:", f"Q: 7\n\n{REVISE}\n\n"]


def test_a_failed_answer_is_not_revised_and_does_not_vote() -> None:
    def script(request: Request) -> Reply:
        is_first = request.id.endswith("q0/s0")
        return Reply(tokens=(RIGHT,), error=RequestRejected("no") if is_first else None)

    (record,) = answered(revise(DVTS(n=2, width=1), rounds=1), script)
    assert record.selection is not None
    statuses = [sample.status for sample in record.selection.samples]
    assert statuses == [Status.ERROR, Status.OK, Status.OK]


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_synthesis_shows_k_answers_each_time(rounds: int) -> None:
    seen: list[str] = []

    def script(request: Request) -> Reply:
        last = request.prompt[-1]
        assert isinstance(last, Message)
        seen.append(last.content)
        return Reply(tokens=(f"it is {request.seed}",))

    strategy = Synthesis(n=5, k=3, rounds=rounds, select=MajorityVote(), extract=LastNumber())
    (record,) = answered(strategy, script)
    assert record.selection is not None
    assert len(record.selection.samples) == 5
    assert len(seen) == 5 * (1 + rounds)
    made = [text for text in seen if "Answer 1:" in text]
    assert all(text.count("Answer ") == 3 for text in made)
    assert all(text.startswith("How many?\n\n") for text in made)
    assert len(set(made)) > 1


def test_a_synthesis_that_copies_a_majority_makes_it_unanimous() -> None:
    """Three of four answers are right, and a new one is what most of those that it saw say."""

    def script(request: Request) -> Reply:
        text = str(request.prompt)
        if "Answer 1:" not in text:
            return Reply(tokens=(WRONG if request.id.endswith("s0") else RIGHT,))
        return Reply(tokens=(RIGHT if text.count(RIGHT) > text.count(WRONG) else WRONG,))

    strategy = Synthesis(n=4, k=4, select=MajorityVote(), extract=LastNumber())
    (record,) = answered(strategy, script)
    assert (record.answer, record.confidence) == ("1", 1.0)


def test_where_all_answers_were_cut_off_there_is_nothing_to_make_one_of() -> None:
    params = SamplingParams(max_tokens=1)
    strategy = Synthesis(n=3, k=2, select=MajorityVote(), params=params)
    (record,) = answered(strategy, lambda request: Reply(tokens=("it is", " 1")))
    assert record.answer is None
    assert record.usage.samples == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: revise(rounds=0), "rounds must be at least 1, got 0"),
        (lambda: AdaptiveBranching(n=0), "n must be at least 1, got 0"),
        (lambda: Synthesis(n=2, k=3, select=MajorityVote()), "k must lie in 1..2, n, got 3"),
    ],
)
def test_settings_that_make_no_sense(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_where_a_round_is_cut_off_the_answers_before_stand() -> None:
    def script(request: Request) -> Reply:
        is_made = "Answer 1:" in str(request.prompt)
        return Reply(tokens=("it", " is", " 1") if is_made else (RIGHT,))

    params = SamplingParams(max_tokens=2)
    strategy = Synthesis(
        n=3, k=2, select=MajorityVote(), extract=LastNumber(), params=params, rounds=2
    )
    (record,) = answered(strategy, script)
    assert record.answer == "1"
    assert record.usage.samples == 6  # the second round is not drawn
    assert record.usage.pruned_tokens == 3 * 2


@pytest.mark.parametrize("plan", [BestFirst(n=2, width=2, ahead=3), UCT(n=2, width=2, ahead=3)])
def test_only_answers_that_the_plan_was_told_of_are_chosen_from(plan: PlanSettings) -> None:
    """Whether one that is aborted had come by then depends on the engine's pace."""
    outcomes = set()
    for paces in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):

        def script(request: Request, paces: tuple[int, ...] = paces) -> Reply:
            seed = request.seed or 0
            pause = paces[seed % 4] * 0.002
            return Reply(tokens=(f"it is {seed % 5}",), first_token_s=pause)

        strategy = revise(plan, rounds=2, score=Truth(), select=MajorityVote())
        (record,) = answered(strategy, script)
        assert record.selection is not None
        texts = tuple(sample.text for sample in record.selection.samples)
        outcomes.add((record.answer, record.confidence, texts))
    assert len(outcomes) == 1
