"""Stop rules: what each promises, by exact dynamic programming and by brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.stop_on_votes import (
    BetaStop,
    EValueStop,
    Margin,
    StopRule,
    UnanimousWindow,
    VoteStands,
    leads_with,
    log_e_value,
    overtakes,
    top_two,
)


def test_the_beta_rule_wants_so_many_that_agree() -> None:
    rule = BetaStop(confidence=0.95)
    stops = [rule(["a"] * n, 40) for n in range(1, 7)]
    assert stops == [False, False, False, True, True, True]
    assert not BetaStop(confidence=0.99)(["a"] * 5, 40)
    assert BetaStop(confidence=0.99)(["a"] * 6, 40)
    assert leads_with(3, 3) == pytest.approx(0.5)


def test_a_window_must_be_whole_and_agree() -> None:
    rule = UnanimousWindow(size=3)
    assert not rule([], 9)
    assert not rule(["a", "a"], 9)
    assert rule(["a", "a", "a"], 9)
    assert not rule(["b", "a", "a", "a"], 9)  # the second window has only begun
    assert rule(["b", "b", "a", "a", "a", "a"], 9)
    assert not rule(["a", "a", None], 9)
    assert not rule([None, None, None], 9)


def test_answers_that_are_none_vote_for_nobody() -> None:
    assert top_two(["a", None, None, "b", "a"]) == (2, 1)
    assert top_two([]) == (0, 0)
    for rule in (BetaStop(), EValueStop(), VoteStands()):
        assert not rule([None] * 20, 64)
        assert rule(["a"] * 20 + [None] * 3, 64)


def test_an_e_value_is_a_mixture_of_likelihood_ratios() -> None:
    """Against the integral over the leader's share in [1/2, 1], by a fine sum."""
    for first, second in ((0, 0), (4, 1), (9, 7), (30, 2)):
        steps = 20_000
        shares = [0.5 + (i + 0.5) / (2 * steps) for i in range(steps)]
        ratio = math.fsum(p**first * (1 - p) ** second for p in shares) / steps
        expected = ratio * 2 ** (first + second)
        assert math.exp(log_e_value(first, second)) == pytest.approx(expected, rel=1e-4)


def test_more_rivals_want_more_evidence() -> None:
    lead = ["a"] * 9
    assert EValueStop(alpha=0.05)(lead, 64)
    assert not EValueStop(alpha=0.05)(["b", "c", "d", *lead], 64)


def enumerated_overtakes(
    leader: int, rival: int, others: int, remaining: int, prior: float
) -> float:
    """Sum over every sequence of the remaining samples, by its Dirichlet-multinomial chance."""
    total = 0.0
    for sequence in product("lro", repeat=remaining):
        votes = {"l": leader + prior, "r": rival + prior, "o": others + prior}
        chance = 1.0
        for who in sequence:
            chance *= votes[who] / sum(votes.values())
            votes[who] += 1
        ahead = votes["r"] - votes["l"]
        total += chance * (1.0 if ahead > 0 else 0.5 if ahead == 0 else 0.0)
    return total


@pytest.mark.parametrize(
    ("leader", "rival", "others", "remaining", "prior"),
    [(1, 0, 0, 4, 1.0), (3, 2, 1, 5, 1.0), (2, 2, 0, 3, 0.5), (5, 1, 2, 6, 0.5), (2, 1, 0, 0, 1.0)],
)
def test_what_is_left_overtakes_as_often_as_all_sequences_say(
    leader: int, rival: int, others: int, remaining: int, prior: float
) -> None:
    expected = enumerated_overtakes(leader, rival, others, remaining, prior)
    assert overtakes(leader, rival, others, remaining, prior) == pytest.approx(expected, abs=1e-9)


def test_a_vote_stands_when_the_rest_cannot_turn_it() -> None:
    rule = VoteStands(risk=0.01)
    answers = ["a"] * 20 + ["b"] * 12
    assert not rule(answers, 64)
    assert rule([*answers, "a", "a", "a"], 38)  # three remain, and nine are needed
    assert VoteStands(risk=0.2)(["a", "a", "a"], 64) or not VoteStands(risk=0.2)(["a"], 64)


def test_a_lead_needs_to_be_larger_the_more_samples_remain() -> None:
    rule = Margin()
    assert not rule(["a", "a"], 16)  # 1.83 sqrt(3) 14/16 = 2.8
    assert rule(["a", "a", "a"], 16)  # 1.83 sqrt(4) 13/16 = 3.0, just
    assert not rule(["a"] * 3, 64)
    assert rule(["a"] * 4, 64)  # 1.83 sqrt(5) 60/64 = 3.8
    assert rule(["a"] * 33 + ["b"] * 31, 64)  # nothing remains
    assert not rule(["a"] * 32 + ["b"] * 32, 64)
    assert not rule([None] * 60, 64)
    late = ["a"] * 31 + ["b"] * 29
    assert rule(late, 62)
    assert not rule(late, 120)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 20), st.integers(1, 40))
def test_the_margin_by_its_formula(first: int, second: int, nulls: int, more: int) -> None:
    answers = ["a"] * first + ["b"] * second + [None] * nulls
    max_n = len(answers) + more
    lead = abs(first - second)
    needed = 2.0 * (first + second + 1) ** 0.5 * (1 - len(answers) / max_n)
    assert Margin(c=2.0)(answers, max_n) == (lead > 0 and lead >= needed)


@pytest.mark.parametrize("rule", [BetaStop(), EValueStop(), VoteStands(), Margin()], ids=repr)
def test_agreement_ends_it_and_disagreement_does_not(rule: StopRule) -> None:
    assert rule(["a"] * 12, 64)
    assert not rule(["a", "b"] * 6, 64)

    def swapped(answers: Sequence[str]) -> list[str]:
        return ["b" if answer == "a" else "a" for answer in answers]

    mixed = list("aababaaaabaa")
    assert rule(mixed, 64) == rule(swapped(mixed), 64)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match=r"confidence must lie in \(0.5, 1\), got 0.5"):
        BetaStop(confidence=0.5)
    with pytest.raises(InputError, match="size must be at least 2, got 1"):
        UnanimousWindow(size=1)
    with pytest.raises(InputError, match=r"alpha must lie in \(0, 1\), got 0"):
        EValueStop(alpha=0)
    with pytest.raises(InputError, match=r"risk must lie in \(0, 1\), got 1"):
        VoteStands(risk=1)
    with pytest.raises(InputError, match="prior must be above 0, got 0"):
        VoteStands(prior=0)
    with pytest.raises(InputError, match="c must be above 0, got 0"):
        Margin(c=0)
