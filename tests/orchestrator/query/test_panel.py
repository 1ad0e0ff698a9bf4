"""The turns of a panel: a pure function of the index, fair at every place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import (
    Arm,
    BestOfN,
    Confidence,
    DeepConf,
    First,
    Message,
    NamedModel,
    Panel,
    Query,
    SamplingParams,
    run,
)
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.panel import turns_of
from nbest.orchestrator.sampling_params import ConfidenceFloor
from nbest.orchestrator.types import Request

FAKE = FakeBackend(script=lambda request: Reply(tokens=("x",)))
COLD = Arm(name="cold", params=SamplingParams(temperature=0.3, max_tokens=9))
BRIEF = Arm(name="brief", params=SamplingParams(max_tokens=7), weight=2, prompt="brief")
PANEL = Panel(arms=(COLD, BRIEF))
CHAT = (Message(role="user", content="Briefly: a?"),)
QUERY = Query(id="q", prompt="a?", variants={"brief": CHAT})


def twins() -> Iterator[Arm]:
    """Two arms whose models have two names and are one."""
    for name in ("a", "b"):
        yield Arm(name=name, model=NamedModel(name=name, settings=FAKE))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_arm_has_its_share_at_every_place(weights: list[int]) -> None:
    turns = turns_of(tuple(weights))
    total = sum(weights)
    assert len(turns) == total
    counts = [0] * len(weights)
    for place, arm in enumerate(turns, start=1):
        counts[arm] += 1
        for a, weight in enumerate(weights):
            assert abs(counts[a] - place * weight / total) < 1
    assert counts == weights


def test_equal_arms_take_turns_in_their_order() -> None:
    arms = tuple(Arm(name=name) for name in "abc")
    assert Panel(arms=arms).arms_of(7) == ("a", "b", "c", "a", "b", "c", "a")


def test_more_samples_move_none() -> None:
    assert PANEL.arms_of(60)[:6] == PANEL.arms_of(6)


def test_an_arm_keeps_its_own_settings_and_takes_what_a_strategy_needs() -> None:
    floor = ConfidenceFloor(level=1.0, k=3)
    wanted = SamplingParams(temperature=1.0, logprobs=3, floor=floor, max_tokens=500)
    params = COLD.params_for(wanted)
    assert (params.temperature, params.max_tokens) == (0.3, 9)
    assert (params.logprobs, params.floor) == (3, floor)
    more = Arm(name="more", params=SamplingParams(logprobs=5))
    assert more.params_for(SamplingParams(logprobs=0)).logprobs == 5
    assert more.params_for(SamplingParams()).logprobs == 5


def test_an_arm_without_settings_draws_as_the_strategy_does() -> None:
    wanted = SamplingParams(temperature=0.1, max_tokens=7)
    assert Arm(name="plain").params_for(wanted) == wanted


def test_all_arms_have_the_logprobs_of_the_one_that_has_most() -> None:
    """A selector that reads them would judge half of the samples otherwise."""
    more = Arm(name="more", params=SamplingParams(logprobs=3))
    panel = Panel(arms=(Arm(name="plain"), COLD, more))
    drawn = [panel.params_of(i, SamplingParams(logprobs=0)).logprobs for i in range(3)]
    assert drawn == [3, 3, 3]


def test_equal_shares_are_the_same_turns_however_they_are_written() -> None:
    def panel(*weights: int) -> Panel:
        return Panel(arms=tuple(Arm(name=f"{i}", weight=w) for i, w in enumerate(weights)))

    assert panel(2, 2).arms_of(8) == panel(1, 1).arms_of(8)
    assert (panel(4, 6).round_size, panel(4, 6).arms_of(20)) == (5, panel(2, 3).arms_of(20))


def test_the_prompt_of_an_arm() -> None:
    assert COLD.prompt_for(QUERY) == "a?"
    assert BRIEF.prompt_for(QUERY) == CHAT
    with pytest.raises(InputError, match="query 'x' must have a variant 'brief'"):
        BRIEF.prompt_for(Query(id="x", prompt="?"))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Arm(name=""), "have a name"),
        (lambda: Arm(name="a", weight=0), "weight must be at least 1"),
        (lambda: Panel(arms=()), "be at least one"),
        (lambda: NamedModel(name="model", settings=FAKE), "none of nbest's own"),
        (lambda: NamedModel(name="reward2", settings=FAKE), "none of nbest's own"),
        (lambda: Panel(arms=tuple(twins())), "must differ from all others"),
        (lambda: Panel(arms=(Arm(name="a"), Arm(name="a"))), "different names"),
    ],
)
def test_wrong_panels(make: object, what: str) -> None:
    with pytest.raises(InputError, match=what):
        make()  # type: ignore[operator]


def test_deep_conf_is_refused() -> None:
    strategy = DeepConf(max_n=8, warm_up=2, by=Confidence(measure="lowest"), select=First())
    with pytest.raises(InputError, match="deep_conf must be left out with arms"):
        run([QUERY], strategy, FAKE, panel=PANEL)


def test_a_run_draws_each_sample_in_the_way_of_its_arm() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=(f"{request.prompt!r} {request.params.max_tokens} {request.seed}",))

    strategy = BestOfN(n=6, select=First())
    (record,) = run([QUERY], strategy, FakeBackend(script=script), panel=PANEL)
    assert record.selection is not None
    samples = record.selection.samples
    assert [s.arm for s in samples] == ["brief", "cold", "brief", "brief", "cold", "brief"]
    for sample in samples:
        expected = f"{CHAT!r} 7 " if sample.arm == "brief" else "'a?' 9 "
        assert sample.text.startswith(expected)
    assert len({sample.text.rsplit(maxsplit=1)[-1] for sample in samples}) == 6  # own seeds


def test_a_run_without_a_panel_names_no_arm() -> None:
    backend = FakeBackend(script=lambda request: Reply(tokens=("x",)))
    (record,) = run([QUERY], BestOfN(n=2, select=First()), backend)
    assert record.selection is not None
    assert {sample.arm for sample in record.selection.samples} == {""}
