"""Two answers that are nearly equally likely: what is exact, and what each rule promises."""

from __future__ import annotations

import json
from itertools import product

import pytest

from nbest.experiments.studies.near_ties import main, near_tie
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.stop_on_votes import BetaStop, EValueStop, StopRule, VoteStands


@pytest.mark.parametrize(
    "rule",
    [BetaStop(confidence=0.8), EValueStop(alpha=0.4), VoteStands(risk=0.3)],
    ids=repr,
)
def test_it_is_the_sum_over_all_sequences(rule: StopRule) -> None:
    share, limit = 0.6, 9
    wrong = right = samples = 0.0
    for sequence in product("ab", repeat=limit):
        chance = share ** sequence.count("a") * (1 - share) ** sequence.count("b")
        n = next((n for n in range(1, limit) if rule(sequence[:n], limit)), limit)
        samples += chance * n
        is_ahead = sequence[:n].count("a") >= sequence[:n].count("b")
        right += chance if n < limit and is_ahead else 0.0
        wrong += chance if n < limit and not is_ahead else 0.0
    tie = near_tie(rule, share, limit)
    assert tie.wrong == pytest.approx(wrong, abs=1e-12)
    assert tie.right == pytest.approx(right, abs=1e-12)
    assert tie.samples == pytest.approx(samples, abs=1e-12)
    assert wrong > 0.01


def test_the_e_value_keeps_its_promise_however_often_one_looks() -> None:
    assert near_tie(EValueStop(alpha=0.05), 0.501, 400).wrong <= 0.05
    assert near_tie(EValueStop(alpha=0.2), 0.501, 100).wrong <= 0.2


def test_beta_promises_nothing_of_the_kind() -> None:
    tie = near_tie(BetaStop(confidence=0.95), 0.501, 100)
    assert tie.wrong == pytest.approx(0.26, abs=0.01)


def test_the_command_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--limit", "20", "--rules", "beta(confidence=0.9),e_value"]
    main(options)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["rule", "beta(confidence=0.9)", "e_value"]
    main([*options, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert [row["rule"] for row in document] == ["beta(confidence=0.9)", "e_value"]
    with pytest.raises(InputError, match=r"share must lie in \[0.5, 1\), got 1.0"):
        main(["--share", "1"])
    with pytest.raises(InputError, match=r"rules must look at counts .*got unan"):
        main(["--rules", "unanimous_window"])
