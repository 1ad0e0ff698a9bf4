"""Search through the sampler: one tree whatever arrives first, each node stored and billed once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from nbest import (
    FakeBackend,
    LastNumber,
    MajorityVote,
    ManualClock,
    MeanLogprob,
    Reply,
    StoredScore,
)
from nbest.model_backend.fake.chains import ChainScript
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.errors import EngineDead, InputError, RequestRejected
from nbest.orchestrator.query.model_calls import NotStarted
from nbest.orchestrator.query.sampler import StoredSampler
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.strategies.search.best_first import UCT, BestFirst
from nbest.orchestrator.strategies.search.grown import Grown
from nbest.orchestrator.strategies.search.levels import DVTS, Beam, Rebase
from nbest.orchestrator.strategies.search.particles import ParticleFilter
from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan, PlanSettings
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.strategies.search.steps import Step
from nbest.orchestrator.types import (
    Candidates,
    Path,
    Query,
    Request,
    Sample,
    Scores,
    Selection,
    Status,
)

QUERY = Query(id="q", prompt="?")
LINE = Step(stop=("\n",), max_tokens=20)
CHAINS = ChainScript(depth=5, p=0.7)
PLANS: dict[str, PlanSettings] = {
    "beam": Beam(n=6, width=3),
    "DVTS": DVTS(n=6, width=3),
    "REBASE": Rebase(n=6),
    "filter": ParticleFilter(n=6, target="step", threshold=1.0),
    "best-first": BestFirst(n=2, width=3),
    "UCT": UCT(n=2, width=3, ahead=2),
}


@dataclass(frozen=True)
class Oracle:
    """Knows which chains are right so far, and notes what it was shown."""

    needs_logprobs: int | None = None
    seen: list[str] = field(default_factory=list)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        texts = [sample.text for sample in candidates.samples]
        self.seen.extend(texts)
        return np.array([0.1 if "wrong" in text else 0.9 for text in texts])


class Engine:
    """A fake engine that notes its requests, takes its time, and dies after so many answers."""

    def __init__(self, script: object = CHAINS, *, shuffled: int = 0, dies_after: int = -1) -> None:
        self.engine = FakeEngine(FakeBackend(script=script))  # type: ignore[arg-type]
        self.requests: list[Request] = []
        self.sent: list[Sample] = []
        self._random = random.Random(shuffled) if shuffled else None
        self._dies_after = dies_after

    async def generate(self, request: Request) -> Sample:
        self.requests.append(request)
        if self._random is not None:
            for _ in range(self._random.randrange(9)):
                await asyncio.sleep(0)
        if len(self.sent) == self._dies_after:
            raise EngineDead("killed")
        self.sent.append(await self.engine.generate(request))
        return self.sent[-1]

    async def abort(self, request_id: str) -> None:
        await self.engine.abort(request_id)


def sampler_of(
    backend: object, store: MemoryStore | None = None, tally: Tally | None = None
) -> StoredSampler:
    return StoredSampler(
        run="r",
        seed=3,
        query=QUERY,
        backend=backend,  # type: ignore[arg-type]
        store=store or MemoryStore(),
        tally=tally or Tally(),
        begun=lambda: None,
    )


def search(plan: PlanSettings | None = None, **settings: object) -> Search:
    oracle = settings.pop("score", None) or Oracle()
    fixed: dict[str, object] = {
        "plan": plan or Beam(n=6, width=3),
        "score": oracle,
        "select": oracle,
        "extract": LastNumber(),
        "step": LINE,
        "params": SamplingParams(max_tokens=100),
    }
    return Search(**{**fixed, **settings})  # type: ignore[arg-type]


def told(selection: Selection) -> list[tuple[str, str, int]]:
    return [(sample.id, sample.text, sample.generated_tokens) for sample in selection.samples]


@pytest.mark.parametrize("name", PLANS)
async def test_any_order_of_arrival_gives_the_same_tree(name: str) -> None:
    plain = Engine()
    first = await search(PLANS[name])(QUERY, sampler_of(plain))
    assert first.samples
    for shuffled in range(1, 6):
        engine = Engine(shuffled=shuffled)
        again = await search(PLANS[name])(QUERY, sampler_of(engine))
        assert (told(again), again.index) == (told(first), first.index)
        if "ahead" not in repr(PLANS[name]):  # what is aborted at the end may have come or not
            assert {s.id for s in engine.sent} == {s.id for s in plain.sent}


@pytest.mark.parametrize("name", PLANS)
async def test_an_engine_that_dies_after_any_node_loses_none(name: str) -> None:
    """Every node that was answered is found again, and none is drawn twice."""
    whole = Engine()
    expected = await search(PLANS[name])(QUERY, sampler_of(whole))
    for dies_after in range(0, len(whole.sent), 3):
        store = MemoryStore()
        dying = Engine(dies_after=dies_after)
        with pytest.raises(EngineDead):
            await search(PLANS[name])(QUERY, sampler_of(dying, store))
        after = Engine()
        selection = await search(PLANS[name])(QUERY, sampler_of(after, store))
        assert (told(selection), selection.index) == (told(expected), expected.index)
        drawn = [sample.id for sample in (*dying.sent, *after.sent)]
        assert sorted(drawn) == sorted(sample.id for sample in whole.sent)


@pytest.mark.parametrize("name", PLANS)
async def test_a_full_store_needs_no_engine(name: str) -> None:
    store = MemoryStore()
    first = await search(PLANS[name])(QUERY, sampler_of(Engine(), store))
    again = await search(PLANS[name])(QUERY, sampler_of(NotStarted(), store))
    assert told(again) == told(first)


async def test_a_second_search_pays_only_for_what_is_missing() -> None:
    """Beam and REBASE share the first level at least, and a narrower beam is in a wide one."""
    store = MemoryStore()
    first, second, third = Engine(), Engine(), Engine()
    await search(Beam(n=6, width=3))(QUERY, sampler_of(first, store))
    await search(Rebase(n=6))(QUERY, sampler_of(second, store))
    await search(Beam(n=6, width=3))(QUERY, sampler_of(third, store))
    assert len(second.requests) <= len(first.requests) - 6
    assert third.requests == []


@pytest.mark.parametrize("name", PLANS)
async def test_the_bill_is_what_the_engine_sent(name: str) -> None:
    engine, tally = Engine(ChainScript(depth=5, p=0.7, step_tokens=3)), Tally()
    sampler = sampler_of(engine, tally=tally)
    selection = await search(PLANS[name])(QUERY, sampler)
    sent = sum(sample.generated_tokens for sample in engine.sent)
    assert sampler.usage.generated_tokens == tally.generated_tokens == sent
    assert sampler.usage.samples == len(engine.sent)
    kept = {s.id for s in engine.sent} - _on_chains(engine, selection)
    pruned = sum(s.generated_tokens for s in engine.sent if s.id in kept)
    assert selection.pruned_tokens == pruned > 0


def _on_chains(engine: Engine, selection: Selection) -> set[str]:
    """The ids of the nodes whose text is on a chain of the selection."""
    texts = [sample.text for sample in selection.samples]
    return {s.id for s in engine.sent if any(s.text in text for text in texts)}


async def test_the_prefix_is_what_was_generated_token_for_token() -> None:
    engine = Engine(ChainScript(depth=3, p=0.7, step_tokens=2))
    await search(Beam(n=2, width=2))(QUERY, sampler_of(engine))
    by_prefix = {
        sample.id: request.prefix
        for sample, request in zip(engine.sent, engine.requests, strict=True)
    }
    roots = [r for r in engine.requests if r.prefix == ()]
    assert len(roots) == 2
    deeper = [r.prefix for r in engine.requests if r.prefix]
    made = {s.token_ids for s in engine.sent}
    assert all(prefix is not None and prefix[:2] in made for prefix in deeper)
    assert {len(prefix or ()) for prefix in by_prefix.values()} == {0, 2, 4}
    assert len({request.seed for request in engine.requests}) == len(engine.requests)


async def test_a_node_that_came_out_otherwise_has_other_children() -> None:
    """A parent that was lost before it was stored may come back as another one."""
    store = MemoryStore()
    sampler = sampler_of(Engine(), store)
    params = SamplingParams(max_tokens=9)
    first = await sampler.step((0, 0), (11,), params)
    second = await sampler.step((0, 0), (12,), params)
    third = await sampler.step((0, 0), (11,), replace(params, max_tokens=8))
    assert len({first.id, second.id, third.id}) == 3
    assert first.id.startswith("r/q/t0-")


@pytest.mark.parametrize(
    "plan",
    [Beam(n=4, width=2), DVTS(n=4, width=2), Rebase(n=4), ParticleFilter(n=4, target="step")],
)
async def test_answers_of_one_step_are_the_best_of_n(plan: PlanSettings) -> None:
    script = ChainScript(depth=1, p=0.5)
    chosen = await search(plan)(QUERY, sampler_of(Engine(script)))
    assert len(chosen.samples) == 4
    best = BestOfN(n=4, select=Oracle(), extract=LastNumber())
    whole = await best.of(QUERY, chosen.samples, sampler_of(Engine(script)))
    assert (whole.index, whole.answer) == (chosen.index, chosen.answer)


async def test_one_chain_is_a_sample_cut_into_steps() -> None:
    selection = await search(Beam(n=1, width=1))(QUERY, sampler_of(Engine()))
    (sample,) = selection.samples
    assert sample.text.count("\n") == 4
    assert sample.status is Status.OK
    assert len(sample.token_ids) == sample.generated_tokens == 5


async def test_looking_ahead_shows_what_comes_next() -> None:
    """With two steps ahead, the scorer sees three new steps; they are paid, and on no chain."""
    oracle, engine = Oracle(), Engine()
    await search(Beam(n=2, width=2), score=oracle, lookahead=2)(QUERY, sampler_of(engine))
    assert min(text.count("\n") for text in oracle.seen) == 3
    greedy = [request for request in engine.requests if request.params.temperature == 0.0]
    assert greedy
    assert all(request.prefix for request in greedy)


@dataclass(frozen=True)
class Blind:
    """Knows nothing of the last steps of a chain that goes on."""

    steps: int
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        (sample,) = candidates.samples
        lines = sample.text.splitlines(keepends=True)
        is_open = sample.text.endswith("\n")
        seen = lines[: -self.steps] if is_open else lines
        return np.array([float(not any("wrong" in line for line in seen))])


async def test_looking_ahead_mends_a_scorer_that_sees_errors_late() -> None:
    """Without it, steps are chosen blindly until the last; with it, as by an oracle."""
    shares = {}
    for lookahead in (0, 2):
        right = 0
        for run in range(150):
            query = Query(id=f"q{run}", prompt="?")
            sampler = sampler_of(Engine(ChainScript(depth=6, p=0.7)))
            sampler._query = query
            blind = Blind(steps=2)
            strategy = search(Beam(n=4, width=4), score=blind, select=Oracle(), lookahead=lookahead)
            right += (await strategy(query, sampler)).answer == "1"
        shares[lookahead] = right / 150
    # (1 - .3^4)^6 = .952 by an oracle.
    assert shares[2] > 0.85
    assert shares[0] < shares[2] - 0.2


async def test_equal_chains_are_rated_once() -> None:
    oracle = Oracle()

    def same(request: Request) -> Reply:
        step = len(request.prefix or ())
        return Reply(tokens=("right\n" if step < 2 else "right 1",), token_ids=(7,))

    await search(Beam(n=6, width=3), score=oracle)(QUERY, sampler_of(Engine(same)))
    # Three levels, one text each; the chains that have ended are shown to the selector once more.
    assert len(set(oracle.seen)) == 3
    assert oracle.seen.count("right\n") == 1


async def test_a_step_that_is_too_long_goes_on_in_the_next() -> None:
    engine = Engine(ChainScript(depth=3, p=1.0, step_tokens=5))
    step = Step(stop=("\n",), max_tokens=2)
    selection = await search(Beam(n=1, width=1), step=step)(QUERY, sampler_of(engine))
    (sample,) = selection.samples
    assert [s.generated_tokens for s in engine.sent] == [2, 2, 1, 2, 2, 1, 2, 2, 1]
    assert (sample.status, sample.generated_tokens) == (Status.OK, 15)


async def test_a_chain_ends_at_its_tokens_and_does_not_vote() -> None:
    selection = await search(Beam(n=2, width=2), params=SamplingParams(max_tokens=3))(
        QUERY, sampler_of(Engine())
    )
    assert {sample.status for sample in selection.samples} == {Status.TRUNCATED}
    assert {sample.generated_tokens for sample in selection.samples} == {3}
    assert selection.answer is None


async def test_the_last_step_goes_to_the_end_of_the_text() -> None:
    engine = Engine()
    selection = await search(Beam(n=2, width=2), max_steps=2)(QUERY, sampler_of(engine))
    assert {sample.status for sample in selection.samples} == {Status.OK}
    assert len(engine.requests) == 4
    last = engine.requests[-1].params
    assert (last.stop, last.max_tokens) == ((), 99)


async def test_what_ends_the_answer_is_no_step_and_no_part_of_it() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=("right\n", "7", " END", " more"), token_ids=(1, 3, 5, 7))

    params = SamplingParams(max_tokens=50, stop=(" END",))
    step = Step(stop=("\n", " END"))
    selection = await search(Beam(n=1, width=1), params=params, step=step, max_steps=1)(
        QUERY, sampler_of(Engine(script))
    )
    assert [(s.text, s.status) for s in selection.samples] == [("right\n7", Status.OK)]


async def test_a_step_may_say_that_it_is_the_last() -> None:
    """What the question says does not count, nor a step that was cut before its end."""
    lines = ("it is 7\n", "Answer: 7\n", "Q: more\n")

    def script(request: Request) -> Reply:
        return Reply(tokens=lines[len(request.prefix or ()) :], token_ids=(1, 3, 5))

    step = Step(stop=("\n",), final="Answer:")
    strategy = search(Beam(n=1, width=1), step=step)
    query = replace(QUERY, prompt="Answer: as you like")
    selection = await strategy(query, sampler_of(Engine(script)))
    assert [(s.text, s.status) for s in selection.samples] == [("it is 7\nAnswer: 7\n", Status.OK)]


async def test_a_stop_of_the_answer_may_begin_in_one_step_and_end_in_the_next() -> None:
    """A search over lines ends where a single request would have ended."""
    lines = ("it is 7\n", "Q: more\n", "9\n")

    def script(request: Request) -> Reply:
        return Reply(tokens=lines[len(request.prefix or ()) :], token_ids=(1, 3, 5))

    params = SamplingParams(max_tokens=50, stop=("\nQ:",))
    selection = await search(Beam(n=1, width=1), params=params)(QUERY, sampler_of(Engine(script)))
    assert [(s.text, s.status) for s in selection.samples] == [("it is 7", Status.OK)]
    whole = await BestOfN(n=1, select=MajorityVote(), params=params, extract=LastNumber())(
        QUERY, sampler_of(Engine(script))
    )
    assert whole.samples[0].text == selection.samples[0].text


@pytest.mark.parametrize("max_tokens", [2, 20])
async def test_the_last_step_may_be_cut_in_two(max_tokens: int) -> None:
    tokens = ("Answer:", " 7", " ok\n", "Q: more\n", "8\n")

    def script(request: Request) -> Reply:
        return Reply(tokens=tokens[len(request.prefix or ()) :], token_ids=(1, 3, 5, 7, 9))

    step = Step(stop=("\n",), final="Answer:", max_tokens=max_tokens)
    selection = await search(Beam(n=1, width=1), step=step)(QUERY, sampler_of(Engine(script)))
    assert [(s.text, s.status) for s in selection.samples] == [("Answer: 7 ok\n", Status.OK)]


async def test_an_answer_that_says_its_end_keeps_no_stop_and_its_last_step_has_one() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=("Answer: 7", " END", "\n8"), token_ids=(1, 3, 5))

    step = Step(stop=("\n",), final="Answer:")
    params = SamplingParams(max_tokens=50, stop=(" END",))
    for more in ({"params": params}, {"max_steps": 1}):
        engine = Engine(script)
        selection = await search(Beam(n=1, width=1), step=step, **more)(QUERY, sampler_of(engine))
        (sample,) = selection.samples
        assert sample.status is Status.OK
        assert sample.text in ("Answer: 7", "Answer: 7 END\n")


async def test_what_is_said_in_a_thought_ends_nothing() -> None:
    lines = ("<think>Answer: 8\n", "no</think>\n", "Answer: 7\n", "Q: more")

    def script(request: Request) -> Reply:
        return Reply(tokens=lines[len(request.prefix or ()) :], token_ids=(1, 3, 5, 7))

    step = Step(stop=("\n",), final="Answer:")
    selection = await search(Beam(n=1, width=1), step=step)(QUERY, sampler_of(Engine(script)))
    assert (selection.answer, selection.samples[0].status) == ("7", Status.OK)


async def test_siblings_that_say_the_same_by_other_chances_are_rated_apart() -> None:
    """Their scores may differ, and which one comes first must not matter."""

    def script(request: Request) -> Reply:
        depth = len(request.prefix or ())
        chance = -float(random.Random(request.seed).random())
        text = f"right {(request.seed or 0) % 2}"
        text = text if depth == 2 else f"{text}\n"
        return Reply(tokens=(text,), token_ids=((request.seed or 0) % 2,), logprobs=(chance,))

    trees = set()
    for shuffled in range(8):
        strategy = search(Rebase(n=6), score=MeanLogprob(), select=MeanLogprob())
        selection = await strategy(QUERY, sampler_of(Engine(script, shuffled=shuffled)))
        trees.add(tuple(told(selection)))
    assert len(trees) == 1


@pytest.mark.parametrize("lookahead", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_the_bill_has_what_was_looked_ahead_once(lookahead: int, temperature: float) -> None:
    engine = Engine()
    params = SamplingParams(max_tokens=100, temperature=temperature)
    strategy = search(Beam(n=4, width=2), lookahead=lookahead, params=params)
    sampler = sampler_of(engine)
    grown = await strategy.grown(QUERY, sampler)
    sent = sum(sample.generated_tokens for sample in engine.sent)
    assert grown.tokens == sampler.usage.generated_tokens == sent
    on_chains = _steps_of(strategy, engine, grown)
    kept = sum(s.generated_tokens for s in engine.sent if s.id in on_chains)
    assert grown.pruned_tokens == sent - kept


def _steps_of(strategy: Search, engine: Engine, grown: Grown) -> set[str]:
    """The ids of the steps whose token ids begin a chain after those before them."""
    found = set()
    for chain in grown.chains:
        for request, sample in zip(engine.requests, engine.sent, strict=True):
            whole = (*(request.prefix or ()), *sample.token_ids)
            if chain.token_ids[: len(whole)] == whole and request.params.temperature > 0:
                found.add(sample.id)
            if chain.token_ids[: len(whole)] == whole and strategy.params.temperature == 0:
                found.add(sample.id)
    return found


async def test_what_is_not_begun_when_it_has_enough_is_never_begun() -> None:
    """The second node's children are asked for, and not sent before the first ones end it all."""

    class Enough:
        def __init__(self) -> None:
            self.told: list[Path] = []

        def ask(self) -> Sequence[Path] | None:
            if not self.told:
                return [(0,)]
            return [(0, 0), (0, 1)] if len(self.told) == 1 else None

        def tell(self, path: Path, node: Node) -> None:
            self.told.append(path)

        def leaves(self) -> Sequence[Leaf]:
            return [Leaf(path=path, weight=1.0) for path in self.told[1:]]

    @dataclass(frozen=True)
    class Settings:
        n: int = 1

        def plans(self, key: str) -> tuple[Plan, ...]:
            return (Enough(),)

    store = MemoryStore()
    await search(Settings())(QUERY, sampler_of(Engine(), store))
    again = Engine()
    await search(Settings())(QUERY, sampler_of(again, store))
    assert again.requests == []


async def test_a_plan_that_stands_still_is_named() -> None:
    class Still:
        def ask(self) -> Sequence[Path] | None:
            return ()

        def tell(self, path: Path, node: Node) -> None: ...

        def leaves(self) -> Sequence[Leaf]:
            return ()

    @dataclass(frozen=True)
    class Settings:
        n: int = 1

        def plans(self, key: str) -> tuple[Plan, ...]:
            return (Still(),)

    with pytest.raises(InputError, match="plan must name nodes, or None"):
        await search(Settings())(QUERY, sampler_of(Engine()))


async def test_a_token_that_goes_on_after_the_stop_stays_in_the_prefix() -> None:
    """The text of the step ends at the stop string; the model goes on after its own tokens."""
    seen: list[object] = []

    def script(request: Request) -> Reply:
        seen.append(request.prefix)
        tokens = ("right", "\n\n\n", "7")[len(request.prefix or ()) :]
        return Reply(tokens=tokens, token_ids=(11, 12, 13)[len(request.prefix or ()) :])

    step = Step(stop=("\n\n",))
    selection = await search(Beam(n=1, width=1), step=step)(QUERY, sampler_of(Engine(script)))
    assert seen == [(), (11, 12)]
    assert selection.samples[0].token_ids == (11, 12, 13)
    assert selection.samples[0].text == "right\n\n7"


async def test_an_answer_that_the_model_cannot_make_longer_is_truncated() -> None:
    """A step that ends before its own limit has come to the model's: nothing may come after it."""

    class Short(Engine):
        async def generate(self, request: Request) -> Sample:
            sample = await super().generate(request)
            return replace(sample, status=Status.TRUNCATED, stop="")

    engine = Short(lambda request: Reply(tokens=("right",), token_ids=(1,)))
    selection = await search(Beam(n=1, width=1))(QUERY, sampler_of(engine))
    assert [sample.status for sample in selection.samples] == [Status.TRUNCATED]
    assert len(engine.requests) == 1


async def test_a_step_that_fails_ends_its_chain_alone() -> None:
    def script(request: Request) -> Reply:
        is_first = request.id.endswith("/s0") and request.prefix == ()
        return Reply(tokens=("7",), error=RequestRejected("too long") if is_first else None)

    sampler = sampler_of(Engine(script))
    selection = await search(Beam(n=2, width=2))(QUERY, sampler)
    assert [sample.status for sample in selection.samples] == [Status.ERROR, Status.OK]
    assert selection.answer == "7"
    assert sampler.errors == ["too long"]


async def test_a_thought_over_several_steps_is_no_answer() -> None:
    lines = ("<think>\n", "it is 8\n", "</think>\n", "7")

    def script(request: Request) -> Reply:
        return Reply(tokens=lines[len(request.prefix or ()) :], token_ids=(1, 2, 3, 4))

    selection = await search(Beam(n=1, width=1))(QUERY, sampler_of(Engine(script)))
    (sample,) = selection.samples
    assert (selection.answer, sample.reasoning) == ("7", "it is 8")


async def test_log_probabilities_are_those_of_all_steps() -> None:
    def script(request: Request) -> Reply:
        place = len(request.prefix or ())
        text = "7\n" if place < 2 else "7"
        return Reply(tokens=(text,), token_ids=(place,), logprobs=(-float(place),))

    params = SamplingParams(max_tokens=50, logprobs=2)
    selection = await search(Beam(n=1, width=1), params=params)(QUERY, sampler_of(Engine(script)))
    (sample,) = selection.samples
    assert (sample.logprobs, sample.token_ids) == ((0.0, -1.0, -2.0), (0, 1, 2))
    assert sample.top_logprobs is not None
    assert sample.top_logprobs.array().shape == (3, 2)


async def test_what_is_under_way_when_it_has_enough_is_aborted() -> None:
    """The first two nodes come at once, the children of the second never do."""
    clock = ManualClock()

    def script(request: Request) -> Reply:
        is_slow = bool(request.prefix) and request.prefix[0] == 3
        ends = bool(request.prefix)
        code = 1 if request.id.endswith("/s0") else 3
        return Reply(
            tokens=("right 1" if ends else f"right {code}\n",),
            token_ids=(code,),
            first_token_s=60.0 if is_slow else 0.0,
        )

    engine = FakeEngine(FakeBackend(script=script, clock=clock))
    sampler = sampler_of(engine)
    selection = await search(BestFirst(n=2, width=2, ahead=2))(QUERY, sampler)
    assert len(selection.samples) == 2
    assert sampler.usage.samples == 6
    assert engine.in_flight == ()


async def test_the_weights_of_a_search_are_scores_of_its_chains() -> None:
    plan = ParticleFilter(n=6, target="step", threshold=1.0)
    strategy = search(plan, select=StoredScore(name="search"))
    selection = await strategy(QUERY, sampler_of(Engine()))
    assert abs(float(selection.scores.sum()) - 1.0) < 1e-9
    assert selection.index == int(selection.scores.argmax())


async def test_ties_of_a_vote_do_not_depend_on_the_scores_of_steps() -> None:
    """Whole answers, drawn by scores that differ: the same chains in the same order."""
    votes = []
    for sign in (1.0, -1.0):

        class Sided(Oracle):
            async def __call__(self, query: Query, candidates: Candidates) -> Scores:
                return sign * await Oracle.__call__(self, query, candidates)  # noqa: B023

        strategy = search(Beam(n=6, width=1), score=Sided(), select=MajorityVote())
        selection = await strategy(QUERY, sampler_of(Engine()))
        votes.append((told(selection), selection.index))
    assert votes[0] == votes[1]


async def test_where_no_chain_came_to_its_end_there_is_no_answer() -> None:
    class Never:
        n = 1

        def plans(self, key: str) -> Sequence[object]:
            return ()

    selection = await search(Never())(QUERY, sampler_of(Engine()))  # type: ignore[arg-type]
    assert (selection.index, selection.answer, selection.samples) == (None, None, ())


class Whole:
    """A sampler of whole answers alone."""

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        raise AssertionError("not drawn")


async def test_a_sampler_of_whole_answers_is_refused() -> None:
    with pytest.raises(InputError, match="sampler must be one that draws the nodes of a tree"):
        await search()(QUERY, Whole())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"lookahead": -1}, "lookahead must be at least 0, got -1"),
        (
            {"score": Oracle, "select": Oracle()},
            "score must be an object, Oracle() and not its class",
        ),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        search(**settings)
    assert str(caught.value).startswith(message)


def test_a_step_must_end_somewhere() -> None:
    with pytest.raises(InputError, match=r"step\.stop must be given, or stop_token_ids"):
        Step(stop=())
    assert Step(stop=(), stop_token_ids=(198,)).stop_token_ids == (198,)
