"""Replays on stored samples: the same code as a live run, and the figures of the recorded pools."""

from __future__ import annotations

import asyncio
import json
import math
import zlib
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import FakeBackend, First, Longest, MajorityVote, Matches, Reply, WeightedVote
from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.deep_conf import lows_of
from nbest.experiments.analysis.replay.drawn import Drawn, pointwise_scores
from nbest.experiments.analysis.replay.replay import orders, replay, replay_cases
from nbest.experiments.analysis.replay.strategy import build_strategy
from nbest.experiments.analysis.replay.view import sentences
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.runs.gold_file import write_gold
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer, Strategy
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.strategies.stop_on_scores import ReservationStop, WeightedConsensus
from nbest.orchestrator.strategies.stop_on_votes import (
    BetaStop,
    EValueStop,
    UnanimousWindow,
    VoteStands,
)
from nbest.orchestrator.types import Ask, Message, Query, Request, Sample, Selection, TopLogprobs

SHARED = Path(__file__).parents[4] / "shared" / "data" / "pools"
MODELS = ("EXAONE-Deep-32B", "Phi-4-reasoning", "Qwen3-14B", "gpt-oss-20b")


def stored_pool(folder: Path, gold: str | None = "1") -> Path:
    """Questions of all difficulties, 24 samples each."""
    rng = np.random.default_rng(0)
    lines = []
    for q in range(8):
        p = (q + 1) / 9
        samples = []
        for _ in range(24):
            coin = rng.random()
            answer = "1" if coin < p else None if coin > 0.95 else str(rng.integers(2, 5))
            samples.append({"answer": answer, "tokens": int(rng.integers(10, 90))})
        lines.append({"id": f"q{q}", "gold": gold, "samples": samples})
    file = folder / "pool.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([file], folder / "run")
    return folder / "run"


class Stored:
    """A `Sampler` over the samples of a case, in an order."""

    def __init__(self, case: Case, order: Sequence[int]) -> None:
        self._samples = [case.candidates.samples[i] for i in order]
        self.drawn = 0

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        self.drawn = max(self.drawn, index + 1)
        return self._samples[index]

    async def ask(
        self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
    ) -> Sample:
        raise AssertionError("nobody asks")

    def ask_model(self, identity: object) -> Ask:
        raise AssertionError("nobody asks")

    async def rate(self, identity: object, responses: Sequence[str]) -> tuple[Sample, ...]:
        raise AssertionError("nobody asks")

    async def abort(self, index: int) -> None: ...


def drawn_of(case: Case, order: Sequence[int], scorer: Scorer) -> Drawn:
    whole = asyncio.run(pointwise_scores(scorer, case))
    return Drawn(case=case, order=order, whole=whole)


STRATEGIES = (
    ReplayedAdaptive(rule=VoteStands()),
    ReplayedAdaptive(rule=BetaStop(confidence=0.9)),
    ReplayedAdaptive(rule=EValueStop()),
    ReplayedAdaptive(rule=UnanimousWindow(size=4)),
    ReplayedAdaptive(rule=ReservationStop(cost=3), select=Longest()),
    ReplayedAdaptive(
        rule=WeightedConsensus(share=0.6, warm_up=3), select=WeightedVote(by=Longest())
    ),
)


@pytest.mark.parametrize("replayed", STRATEGIES, ids=repr)
def test_a_replay_does_what_the_strategy_does(replayed: ReplayedAdaptive, tmp_path: Path) -> None:
    cases = graded_cases(load_cases(stored_pool(tmp_path)))
    strategy = Adaptive(max_n=20, select=replayed.select, rule=replayed.rule, ahead=1)
    lengths = set()
    for place, case in enumerate(cases):
        for order in orders(case, 20, 5, 0, place):
            sampler = Stored(case, order)
            chosen = asyncio.run(strategy(case.query, sampler))
            drawn = drawn_of(case, order, replayed.select)
            n = asyncio.run(replayed.stops_after(drawn))
            assert sampler.drawn == len(chosen.samples) == n
            assert asyncio.run(drawn.answer(replayed.select, n)) == chosen.answer
            lengths.add(n)
    assert len(lengths) > 2  # neither at once nor never


def test_what_never_stops_spends_what_a_fixed_number_does(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    outcome = replay(run, "adaptive(min_n=20)", max_n=20, shuffles=10)
    assert (outcome.samples, outcome.saving, outcome.agreement) == (20.0, 0.0, 1.0)
    assert outcome.accuracy == outcome.accuracy_fixed
    assert outcome.tokens == outcome.tokens_fixed


def test_how_far_it_has_come_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    replay(stored_pool(tmp_path), max_n=8, shuffles=25, tell=lines.append)
    assert lines == ["10 of 25 orders of each question", "20 of 25 orders of each question"]


def test_it_repeats_to_the_digit_and_saves(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    one, two = (replay(run, max_n=20, shuffles=20) for _ in range(2))
    assert one.as_json() == two.as_json()
    assert one.as_json() != replay(run, max_n=20, shuffles=20, seed=1).as_json()
    assert 0.2 < one.saving < 0.9
    assert one.low <= one.accuracy <= one.high
    assert list(one.as_json())[:7] == [
        "accuracy",
        "low",
        "high",
        "samples",
        "tokens",
        "tokens_fixed",
        "saving",
    ]


def test_without_gold_answers_all_is_known_but_who_is_right(tmp_path: Path) -> None:
    (tmp_path / "graded").mkdir()
    (tmp_path / "ungraded").mkdir()
    graded, ungraded = (
        stored_pool(tmp_path / "graded"),
        stored_pool(tmp_path / "ungraded", gold=None),
    )
    one = replay(graded, max_n=20, shuffles=5).as_json()
    other = replay(ungraded, max_n=20, shuffles=5).as_json()
    unknown = {"accuracy", "low", "high", "accuracy_fixed", "gain", "gain_low", "gain_high"}
    unknown.add("accuracy_error")
    assert {key for key, value in other.items() if value != one[key]} == unknown
    assert {other[key] for key in unknown} == {None}
    assert "accuracy is not known" in sentences(replay(ungraded, max_n=8, shuffles=1), 8)[0]


def test_agreement_is_with_the_vote_of_all(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    strategy = Adaptive(max_n=20, select=MajorityVote(), ahead=1)
    whole = BestOfN(n=20, select=MajorityVote())
    agrees, answered = [], []
    for place, case in enumerate(graded_cases(load_cases(run))):
        for order in orders(case, 20, 5, 0, place):
            stopped = asyncio.run(strategy(case.query, Stored(case, order))).answer
            agrees.append(stopped == asyncio.run(whole(case.query, Stored(case, order))).answer)
            answered.append(stopped is not None)
    outcome = replay(run, max_n=20, shuffles=5)
    assert outcome.agreement == pytest.approx(np.mean(agrees))
    assert outcome.answered == pytest.approx(np.mean(answered))
    assert 0.5 < outcome.agreement < 1.0


def test_strategies_are_named_with_their_rules() -> None:
    assert build_strategy("adaptive") == ReplayedAdaptive()
    strategy = build_strategy("adaptive(rule=beta(confidence=0.9), min_n=3)")
    assert strategy == ReplayedAdaptive(rule=BetaStop(confidence=0.9), min_n=3)
    assert build_strategy("adaptive(rule=e_value)").rule == EValueStop()
    with pytest.raises(InputError, match="no stop rule named 'bta'"):
        build_strategy("adaptive(rule=bta)")
    with pytest.raises(InputError, match="no strategy named 'adaptve'"):
        build_strategy("adaptve")


def test_numbers_are_checked(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    with pytest.raises(InputError, match=r"max_n must lie in 1..24, .* got 64"):
        replay(run)
    with pytest.raises(InputError, match="shuffles must be at least 1, got 0"):
        replay(run, max_n=8, shuffles=0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded pools are not here")
def test_the_default_keeps_the_accuracy_of_the_recorded_pools_and_saves_most_tokens(
    tmp_path: Path,
) -> None:
    lost = spent = fixed = 0.0
    for model in MODELS:
        run = tmp_path / model
        import_pool([SHARED / f"aime2024__{model}.jsonl"], run, grade="number")
        cases = graded_cases(load_cases(run))
        outcome = replay_cases(cases, ReplayedAdaptive(), max_n=64, shuffles=20)
        lost += (outcome.accuracy_fixed - outcome.accuracy) / len(MODELS)
        spent, fixed = spent + outcome.tokens, fixed + outcome.tokens_fixed
    assert abs(lost) <= 0.002
    assert 1 - spent / fixed >= 0.8


def test_a_choice_by_scores_is_replayed_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    outcome = replay(run, "adaptive(rule=reservation(cost=1), select=longest)", 20, 20)
    costly = replay(run, "adaptive(rule=reservation(cost=30), select=longest)", 20, 20)
    assert costly.saving > outcome.saving > 0
    with pytest.raises(InputError, match="needs log-probabilities"):
        replay(run, "adaptive(select=weighted_vote(by=confidence))", 20, 1)


def traces(folder: Path) -> Path:
    """Samples with their likeliest tokens: those that are wrong are unsure at the end."""
    rng = np.random.default_rng(5)
    queries = [Query(id=f"q{q}", prompt="?") for q in range(6)]
    config: dict[str, Json] = {"name": "traces", "extract": "whole_text", "grade": "exact"}
    with open_run(folder, fingerprint={}, config=config, queries=queries):
        write_gold(folder, {query.id: Gold(answer="7") for query in queries})
        asyncio.run(stored_traces(folder, [query.id for query in queries], rng))
    return folder


async def stored_traces(folder: Path, ids: Sequence[str], rng: np.random.Generator) -> None:
    async with aclosing(await FileStore.open(folder)) as store:
        for query_id, index in product(ids, range(24)):
            is_right = rng.random() < 0.5
            second = rng.normal([-6.0] * 30 + [-6.0 if is_right else -1.0] * 30, 0.2)
            top = np.stack([np.full(60, -0.01), second], axis=1).astype(np.float32)
            sample = Sample(
                id=f"r/{query_id}/s{index}",
                text="7" if is_right else str(rng.integers(0, 3)),
                token_ids=tuple(range(60)),
                logprobs=(-0.01,) * 60,
                top_logprobs=TopLogprobs(k=2, packed=top.tobytes()),
                generated_tokens=60,
            )
            store.add(query_id, index, sample)


DEEP_CONF = "deep_conf(warm_up=6, keep=0.5, share=0.999, window=8, k=2)"


def test_what_is_known_of_traces_changes_no_order(tmp_path: Path) -> None:
    cases = graded_cases(load_cases(traces(tmp_path / "run")))
    remembering = build_strategy(DEEP_CONF)
    for shuffled in zip(*(orders(case, 24, 6, 0, q) for q, case in enumerate(cases)), strict=True):
        pairs = zip(cases, shuffled, strict=True)
        drawn = [drawn_of(case, order, remembering.select) for case, order in pairs]
        fresh = asyncio.run(build_strategy(DEEP_CONF).outcomes(drawn))
        assert asyncio.run(remembering.outcomes(drawn)) == fresh


def test_deep_conf_ends_what_is_unsure_and_stops(tmp_path: Path) -> None:
    run = traces(tmp_path / "run")
    outcome = replay(run, DEEP_CONF, max_n=24, shuffles=10)
    assert outcome.accuracy > 0.9
    assert outcome.tokens < 60 * outcome.samples  # some were ended
    assert outcome.samples < 24
    assert outcome.tokens_fixed == 60 * 24
    never = replay(run, DEEP_CONF.replace("warm_up=6", "warm_up=24"), max_n=24, shuffles=2)
    assert (never.samples, never.saving) == (24.0, 0.0)


def test_deep_conf_pays_for_what_is_under_way(tmp_path: Path) -> None:
    run, rule = traces(tmp_path / "run"), DEEP_CONF.replace("0.999", "0.9")
    one, four, eight = (
        replay(run, rule.replace("k=2)", f"k=2, ahead={ahead})"), max_n=24, shuffles=10)
        for ahead in (1, 4, 8)
    )
    assert one.tokens == pytest.approx(one.tokens_counted)
    assert one.tokens_counted == four.tokens_counted == eight.tokens_counted
    assert one.tokens < four.tokens < eight.tokens
    assert one.samples == one.started < four.started < eight.started <= 24
    assert (one.accuracy, one.samples) == (
        eight.accuracy,
        eight.samples,
    )  # what decides is the same
    # A token is a tick of the clock here, and most samples take as long as others.
    assert eight.tokens - eight.tokens_counted < 60 * (eight.started - eight.samples)


def test_deep_conf_wants_the_likeliest_tokens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs log-probabilities"):
        replay(stored_pool(tmp_path), "deep_conf", max_n=20, shuffles=1)
    with pytest.raises(InputError, match=r"warm_up must lie in 1..4, the most samples"):
        replay(traces(tmp_path / "traces"), DEEP_CONF, max_n=4, shuffles=1)


def test_a_budget_is_replayed_over_all_questions_together(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    outcome = replay(run, "budget(average=6)", max_n=20, shuffles=20)
    assert outcome.samples == 6.0
    assert 0.6 < outcome.saving < 0.75
    alike = replay(run, "budget(average=6, first_n=6)", max_n=20, shuffles=20)
    assert alike.samples == 6.0
    assert outcome.accuracy >= alike.accuracy - 0.02
    with pytest.raises(InputError, match=r"average must lie in 3..5, from first_n to max_n"):
        replay(run, "budget(average=6)", max_n=5, shuffles=1)


RACE = r'race(rule=regex(pattern="7"))'


@dataclass(frozen=True)
class Paced:
    """Every sample has a pace of its own; the valid ones are right, some slow and some fast."""

    def __call__(self, request: Request) -> Reply:
        seed = zlib.crc32(request.id.encode())
        rng = np.random.default_rng(seed)
        says = "7" if rng.random() < 0.3 else "no"
        count = int(rng.integers(2, 60))
        first_s, token_s = float(rng.uniform(0.1, 2.0)), float(rng.uniform(0.01, 0.2))
        return Reply(tokens=("",) * (count - 1) + (says,), first_token_s=first_s, token_s=token_s)


def live(strategy: Strategy, query: Query) -> tuple[Selection, float]:
    """On a fake engine in virtual time: what was chosen, and when."""

    async def answered() -> tuple[Selection, float]:
        work = Work(run="r", seed=3, strategy=strategy, directory=None)
        async with open_loop(work, FakeBackend(script=Paced())) as here:
            clock = asyncio.get_running_loop().time
            began = clock()
            outcome = await here.loop.answer(query)
            elapsed = clock() - began
        assert outcome.selection is not None, outcome.record.error
        return outcome.selection, elapsed

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(answered())


def paced_run(folder: Path, params: SamplingParams) -> Path:
    """Of each question twelve samples, drawn to their end."""
    queries = [Query(id=f"q{q}", prompt="?") for q in range(6)]
    whole = BestOfN(n=12, select=First(), params=params)
    config: dict[str, Json] = {"name": "r", "extract": "whole_text", "grade": "exact"}

    async def store() -> None:
        async with aclosing(await FileStore.open(folder)) as files:
            for query in queries:
                for index, sample in enumerate(drawn[query.id]):
                    files.add(query.id, index, sample)

    drawn = {query.id: live(whole, query)[0].samples for query in queries}
    with open_run(folder, fingerprint={}, config=config, queries=queries):
        write_gold(folder, {query.id: Gold(answer="7") for query in queries})
        asyncio.run(store())
    return folder


@pytest.mark.parametrize("ahead", [None, 1, 3, 12, 40])
def test_a_race_replayed_is_the_race_itself(tmp_path: Path, ahead: int | None) -> None:
    params = SamplingParams(max_tokens=100)
    replayed = RACE if ahead is None else f"{RACE[:-1]}, ahead={ahead})"
    run, race = paced_run(tmp_path / "run", params), build_strategy(replayed)
    strategy = RaceToValid(n=12, rule=Matches(pattern="7"), ahead=ahead, params=params)
    for case in graded_cases(load_cases(run)):
        chosen, elapsed_s = live(strategy, case.query)
        [spent] = asyncio.run(race.outcomes([drawn_of(case, range(12), race.select)]))
        assert spent.answer == chosen.answer
        assert spent.seconds == pytest.approx(elapsed_s)
        tokens = sum(sample.generated_tokens for sample in chosen.samples)
        assert tokens <= spent.tokens + 1e-6 < tokens + 12  # an engine counts whole tokens
        assert spent.samples == len(chosen.samples)
    if ahead is not None:
        return
    outcome = replay(run, RACE, max_n=12, shuffles=5)
    assert outcome.seconds < 0.5 * outcome.seconds_fixed
    assert 0.3 < outcome.saving < 1.0
    (run / "gold.parquet").unlink()
    ungraded = replay(run, RACE, max_n=12, shuffles=5)
    assert math.isnan(ungraded.accuracy)
    assert (ungraded.seconds, ungraded.answered) == (outcome.seconds, outcome.answered)
    assert sentences(ungraded, 12)[-1].startswith(f"{outcome.seconds:.2f} s until the answer")


def test_a_race_wants_to_know_how_long_samples_took(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="race needs to know how long each sample took"):
        replay(stored_pool(tmp_path), RACE, max_n=8, shuffles=1)


@given(st.lists(st.integers(-5, 5), max_size=30), st.integers(-6, 6))
def test_the_new_lows_of_a_trace_say_where_it_first_falls_below(
    means: list[int], level: int
) -> None:
    plain = next((place for place, mean in enumerate(means) if mean < level), None)
    assert lows_of(np.array(means, np.float64)).first_below(level) == plain
