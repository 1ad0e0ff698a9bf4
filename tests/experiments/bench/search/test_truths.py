"""Every search beside its closed form, in few runs; `nbest bench search` has more."""

from __future__ import annotations

from nbest.experiments.bench.search import closed_forms as forms
from nbest.experiments.bench.search.truths import STRATEGIES, Truth, truths


def test_the_closed_forms_are_those_that_were_worked_out() -> None:
    assert round(forms.single(0.8, 8), 4) == 0.1678
    assert round(forms.best_of_n(0.8, 8, 16), 4) == 0.9470
    assert [round(forms.greedy(0.8, 8, m), 4) for m in (2, 4)] == [0.7214, 0.9873]
    assert round(forms.beam(0.8, 8, 4, 4), 4) == 0.9873
    assert round(forms.beam(0.8, 1, 4, 2), 4) == 0.9984
    by_binary = [round(forms.greedy_by_binary(0.8, 8, m, 0.9, 0.3), 3) for m in (1, 2, 4, 16)]
    assert by_binary == [0.168, 0.415, 0.521, 0.527]
    assert round(forms.evidence(0.8, 8, 0.9, 0.3), 5) == 0.08253


def test_chains_that_never_end_early_weigh_what_whole_ones_do() -> None:
    whole = forms.evidence(0.8, 8, 0.9, 0.3)
    early = forms.evidence_with_ends(0.8, 8, 0.9, 0.3, ends=0.0, at_end=1.0)
    # The last step weighs 1 here: one step less is rated.
    assert early[1] < early[0]
    assert whole < early[0] < 1.0


def test_every_search_wins_what_it_should() -> None:
    lines = list(truths(runs=400, seed=3))
    assert [line.name for line in lines if not line.holds] == []
    names = " ".join(line.name for line in lines)
    for strategy in STRATEGIES:  # scores that know nothing win nothing, in every one of them
        assert f"{strategy}, scores that know nothing" in names


def test_a_line_that_is_off_does_not_hold() -> None:
    line = Truth(name="x", predicted=0.5, simulated=0.6, error=0.02)
    assert not line.holds
    assert round(line.standard_errors, 6) == 5.0
    assert Truth(name="x", predicted=0.5, simulated=0.5, error=0.0).holds
    assert not Truth(name="x", predicted=0.5, simulated=0.6, error=0.0).holds
