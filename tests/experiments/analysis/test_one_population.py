"""All tables are of the same questions, and say which are left out, unknown or from a template."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nbest.experiments.analysis.abstaining import (
    RiskLimit,
    abstention_json,
    answered_sentence,
    guarantee_sentence,
)
from nbest.experiments.analysis.accuracy import Accuracy
from nbest.experiments.analysis.curves.of_run import curves_of
from nbest.experiments.analysis.paired import (
    agreeing,
    compared,
    pair_of,
    paired_sentences,
    run_pairs,
)
from nbest.experiments.analysis.replay.ahead import SampleCost
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.analysis.replay.view import sentences
from nbest.experiments.analysis.select import compare
from nbest.experiments.analysis.table.baselines import BaselineGrading
from nbest.experiments.analysis.table.rows import GradedChoice, Row, row_of
from nbest.experiments.analysis.table.sizes import Sizes
from nbest.experiments.cli.app import app
from nbest.experiments.config.plugins import build_grader
from nbest.experiments.questions.gold import Gold
from nbest.experiments.report.duels import duels
from nbest.experiments.report.spending import Spending, pareto_front
from nbest.experiments.runs.case import Case, graded_case
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.selection import WholeText, read_answers
from nbest.orchestrator.types import Query, Sample, Status
from nbest.scorers.estimators.over_optimisation import watch
from nbest.scorers.estimators.paired import Difference

NAN = math.nan
FAILED = {"answer": None, "text": "", "finish_reason": "error"}


def answer(text: str, tokens: int = 3) -> dict[str, object]:
    return {"answer": text, "text": text, "tokens": tokens}


def pool(folder: Path, lines: Sequence[dict[str, object]], **settings: str) -> Path:
    named = [{"id": f"q{i}", **line} for i, line in enumerate(lines)]
    (folder / "pool.jsonl").write_text("\n".join(map(json.dumps, named)))
    import_pool([folder / "pool.jsonl"], folder / "run", **settings)  # type: ignore[arg-type]
    return folder / "run"


def row(name: str, *verdicts: float, clusters: Sequence[str] | None = None) -> Row:
    names = clusters or [None] * len(verdicts)
    choices = tuple(
        GradedChoice(f"q{q}", "7", 1 - q / 100, verdict, True, names[q])
        for q, verdict in enumerate(verdicts)
    )
    bare = row_of(name, Sizes(), Accuracy(0.5, 0.0, 1.0))
    return replace(bare, choices=choices, n_graded=len(verdicts), n_queries=len(verdicts))


@pytest.fixture
def partly_failed(tmp_path: Path) -> Path:
    """Four questions: right, wrong, half failed, all failed."""
    right, wrong = answer("7"), answer("8")
    samples = [[right] * 4, [wrong] * 4, [right, FAILED, FAILED, right], [FAILED] * 4]
    return pool(tmp_path, [{"gold": "7", "samples": each} for each in samples])


def test_questions_of_which_no_sample_ended_are_in_no_accuracy(partly_failed: Path) -> None:
    compared = compare(partly_failed, "vote,first")
    (vote, first), (one, best) = compared.rows, compared.baselines
    assert [r.n_graded for r in (vote, first, one, best)] == [3] * 4
    assert [r.accuracy for r in (vote, first, one, best)] == pytest.approx([2 / 3] * 4)
    assert best.select == "any of 2 to 4 right"  # of samples that ended
    assert one.tokens == 9  # the mean of samples that ended, of three questions
    curves = curves_of(partly_failed, "vote", ks=[2])
    assert [c.n_queries for c in (*curves.curves, *curves.baselines)] == [3] * 3
    assert replay(partly_failed, max_n=2, shuffles=4).accuracy == pytest.approx(2 / 3)
    told = "1 question has no sample that ended"
    assert any(note.startswith(told) for note in compared.notes)
    assert any(note.startswith(told) for note in curves.notes)
    printed = CliRunner().invoke(app, ["select", str(partly_failed), "--select", "vote"]).stdout
    assert told in " ".join(printed.split())


def test_without_gold_a_question_that_failed_is_left_out_of_a_replay(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [{"samples": [answer("7")] * 4}, {"samples": [FAILED] * 4}]
    assert replay(pool(tmp_path, lines), max_n=4, shuffles=2).samples == 2
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="run must hold samples that ended"):
        replay(pool(tmp_path / "none", lines[1:]), max_n=4, shuffles=2)


async def test_a_question_at_which_a_grader_fails_counts() -> None:
    """Of all answers nan, a question counts where the grader knows its gold answer."""

    async def case(grade: str, text: str, gold: str | None) -> bool:
        samples = [Sample(id="r/q/s0", text=text)]
        read = read_answers(samples, WholeText())
        query, known = Query(id="q", prompt="?"), None if gold is None else Gold(answer=gold)
        return (await graded_case(query, read, known, build_grader(grade))).is_graded

    assert await case("json", "[1]", "[2]")
    assert await case("json", "[1]", "no JSON")  # its own text is right, and others unknown
    assert not await case("json", "[1]", None)
    assert not await case("python_tests", "x = 1", None)  # it brings no tests
    assert await case('regex(pattern="7")', "8", None)


async def test_a_question_whose_samples_all_failed_is_not_graded() -> None:
    sample = Sample(id="r/q/s0", text="", status=Status.ERROR, error="it broke")
    read = read_answers([sample], WholeText())
    gold, grade = Gold(answer="7"), build_grader("exact")
    case = await graded_case(Query(id="q", prompt="?"), read, gold, grade)
    assert not case.is_graded
    assert case.worths == []


def test_unknown_verdicts_are_told_of() -> None:
    samples = [Sample(id=f"r/q/s{i}", text=text) for i, text in enumerate("7788")]
    candidates = read_answers(samples, WholeText())
    query = Query(id="q", prompt="?")
    grading = BaselineGrading()
    for seven, eight in ((1.0, NAN), (NAN, 0.0)):
        verdicts = {"7": seven, "8": eight}
        grading.add(Case(query=query, candidates=candidates, verdicts=verdicts, is_graded=True))
    one, best = grading.rows()
    assert (one.unknown, best.unknown) == (4, 1)  # samples; questions that may be right or not
    assert (best.accuracy, best.as_json()["unknown"]) == (0.5, 1)
    assert grading.notes() == (
        "the grader could not say of 4 of 8 samples whether they are right: they count as wrong, "
        "and intervals reach to what they would be if all of them were right",
    )


def test_a_duel_of_unknown_verdicts_has_no_loser() -> None:
    (duel,) = duels([row("a", 1, 0, NAN, 1), row("b", 0, 0, 1, NAN)])
    assert (duel.only_one, duel.only_other, duel.both) == (1, 0, 0)
    assert (duel.neither, duel.unknown) == (1, 2)


def test_unknown_verdicts_bound_what_is_said_of_confidence() -> None:
    known, unsure = row("vote", 1, 1, 0, 0), row("vote", 1, 1, 0, 0, NAN, NAN)
    sentence = answered_sentence(unsure)
    assert sentence.endswith("answered, 0.333 to 0.667 of the graded answers right")
    plain, wide = abstention_json(known), abstention_json(unsure)
    assert plain["auroc"] == 1.0
    low, high = wide["auroc_low"], wide["auroc_high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low < 0.5 < high


def test_templates_have_no_threshold_and_say_why() -> None:
    limit = RiskLimit(max_risk=0.2)
    alone = row("vote", *[1.0] * 80)
    together = row("vote", *[1.0] * 80, clusters=[f"t{q % 4}" for q in range(80)])
    assert limit.fitted(alone) is not None
    assert limit.fitted(together) is None
    assert "come from templates (dataset.cluster)" in guarantee_sentence(together, limit)


def test_twenty_templates_are_no_two_hundred_questions() -> None:
    names = [f"t{q // 10}" for q in range(200)]
    worse = [0.0] * 70 + [1.0] * 130
    better = [1.0] * 200
    (plain,) = paired_sentences([row("a", *worse), row("b", *better)])
    (clustered,) = paired_sentences(
        [row("a", *worse, clusters=names), row("b", *better, clusters=names)]
    )
    assert "McNemar p < 1e-06" in plain
    assert "20 templates, p = 0.0" in clustered
    few = [0.0] * 50 + [1.0] * 150
    (claims_not,) = paired_sentences(
        [row("a", *few, clusters=names), row("b", *better, clusters=names)]
    )
    assert "too few for a p-value" in claims_not  # five templates differ
    assert "(-" in claims_not or "(+0.0" in claims_not


@pytest.mark.parametrize(
    ("p", "low", "high"),
    [(0.2, 0.0, 0.3), (0.01, 0.02, 0.3)],
)
def test_an_interval_holds_zero_where_the_test_claims_nothing(
    p: float, low: float, high: float
) -> None:
    assert agreeing(Difference(0.1, 0.02, 0.3), p) == (0.1, low, high)
    assert agreeing(Difference(-0.1, -0.3, -0.02), p) == (-0.1, -high, -low)


def test_a_claim_is_never_taken_back_by_its_interval() -> None:
    assert agreeing(Difference(0.1, -0.02, 0.3), 0.04) == (0.1, 0.0, 0.3)
    assert agreeing(Difference(-0.1, -0.3, 0.02), 0.04) == (-0.1, -0.3, 0.0)


def test_a_pool_names_its_templates(tmp_path: Path) -> None:
    right, wrong = answer("7"), answer("8")
    lines = [
        {"gold": "7", "cluster": f"t{i // 4}", "samples": [right if i // 4 % 2 else wrong] * 2}
        for i in range(32)
    ]
    bare = [{key: line[key] for key in ("gold", "samples")} for line in lines]
    (tmp_path / "bare").mkdir()
    (clustered,) = compare(pool(tmp_path, lines), "vote").rows
    (plain,) = compare(pool(tmp_path / "bare", bare), "vote").rows
    assert clustered.accuracy == plain.accuracy
    assert clustered.high - clustered.low > 1.5 * (plain.high - plain.low)
    export_run(tmp_path / "run", "jsonl", tmp_path / "again.jsonl")
    import_pool([tmp_path / "again.jsonl"], tmp_path / "again")
    assert compare(tmp_path / "again", "vote").rows[0] == clustered
    runs = tmp_path / "bare/run", tmp_path / "run"
    narrow, wide = (replay(run, max_n=2, shuffles=4) for run in runs)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert wide.agreement_low < narrow.agreement_low


def test_an_extrapolation_says_that_it_knows_no_templates(tmp_path: Path) -> None:
    right, wrong = answer("7"), answer("8")
    samples = [[right] * (1 + i % 3) + [wrong] * (3 - i % 3) for i in range(24)]
    lines = [{"gold": "7", "cluster": f"t{i % 5}", "samples": s} for i, s in enumerate(samples)]
    run = pool(tmp_path, lines)
    told = "--beyond takes questions for independent"
    assert any(note.startswith(told) for note in curves_of(run, "vote", beyond=[40]).notes)
    assert not any(note.startswith(told) for note in curves_of(run, "vote").notes)


def test_without_tokens_no_saving_is_told(tmp_path: Path) -> None:
    samples = [{"answer": "7"}, {"answer": "7"}, {"answer": "8"}, {"answer": "7"}]
    run = pool(tmp_path, [{"gold": "7", "samples": samples}] * 3)
    replayed = replay(run, max_n=4, shuffles=10)
    document = replayed.as_json()
    assert [document[key] for key in ("saving", "tokens", "saving_low", "seconds")] == [None] * 4
    text = "\n".join(sentences(replayed, 4))
    assert "how many tokens they have is not known" in text
    assert "saved" not in text


def test_a_saving_is_never_without_a_width(tmp_path: Path) -> None:
    run = pool(tmp_path, [{"gold": "7", "samples": [answer("7")] * 8}] * 10)
    replayed = replay(run, max_n=8, shuffles=10)
    assert replayed.saving_low < replayed.saving < replayed.saving_high
    assert replayed.gain_low < -0.1 < 0.1 < replayed.gain_high


def test_a_threshold_of_zero_with_its_samples_is_one_that_was_given(tmp_path: Path) -> None:
    run = pool(tmp_path, [{"gold": "7", "samples": [answer("7")] * 4}] * 3)
    command = ["select", str(run), "--select", "vote", "--min-confidence", "0.00@4"]
    told = CliRunner().invoke(app, command).stdout
    assert "vote: 3 of 3 questions answered" in told
    both = CliRunner().invoke(app, [*command, "--max-risk", "0.1"])
    assert both.exit_code != 0


@pytest.mark.parametrize(("elapsed", "tokens"), [(0.5, 0.0), (1.0, 0.0), (2.0, 10.0)])
def test_a_sample_that_comes_at_once_is_paid_for_when_it_ends(
    elapsed: float, tokens: float
) -> None:
    assert SampleCost(10, 2.0, first_token_s=2.0).tokens_by(elapsed) == tokens


def test_seconds_lie_in_their_interval_though_one_after_the_other_takes_longer(
    tmp_path: Path,
) -> None:
    samples = [{**answer(str(i % 5)), "seconds": 1.0 + i / 10} for i in range(16)]
    run = pool(tmp_path, [{"gold": "1", "samples": samples}] * 8)
    replayed = replay(run, "adaptive(ahead=1)", max_n=16, shuffles=5)
    assert replayed.seconds > replayed.seconds_fixed  # each waits for the one before
    assert replayed.seconds_low < replayed.seconds < replayed.seconds_high


def test_the_same_answer_wins_nothing_over_itself_whatever_it_is_worth() -> None:
    unknown = [NAN] * 20 + [1.0] * 20
    (same,) = compared([pair_of(row("a", *unknown), row("b", *unknown))])
    assert (same.gain.low, same.gain.high) == pytest.approx((-0.067, 0.067), abs=0.01)
    wins = [1.0] * 30 + [NAN] * 10
    loses = [0.0] * 30 + [NAN] * 10
    (line,) = compared([pair_of(row("a", *loses), row("b", *wins))])
    assert line.is_claim
    assert line.gain.low > 0.5


@pytest.mark.parametrize("named_first", [True, False])
def test_templates_count_whichever_run_names_them(named_first: bool) -> None:
    names = [f"t{q // 10}" for q in range(40)]
    worse, better = [0.0] * 10 + [1.0] * 30, [1.0] * 40
    first = row("vote", *worse, clusters=names if named_first else None)
    other = row("vote", *better, clusters=None if named_first else names)
    (line,) = compared(run_pairs("a", [first], "b", [other]))
    assert line.pair.clusters == names
    assert not line.is_claim  # one template of four


def test_the_lines_of_several_runs_are_corrected_together() -> None:
    first, other = row("vote", *[0.0] * 9, *[1.0] * 31), row("vote", *[1.0] * 40)
    (alone,) = compared(run_pairs("a", [first], "b", [other]))
    pairs = [pair for _ in range(6) for pair in run_pairs("a", [first], "b", [other])]
    together = compared(pairs)[0]
    assert together.count == 6
    assert together.p_value == pytest.approx(6 * alone.p_value)


def test_the_front_claims_nothing_of_what_nobody_knows() -> None:
    cheap = Spending(
        name="one", tokens=10.0, accuracy=0.5, worths=np.full(60, 0.5), most=np.ones(60)
    )
    dear = Spending(name="all", tokens=90.0, accuracy=1.0, worths=np.ones(60))
    assert pareto_front([cheap, dear]) == [cheap]
    assert pareto_front([replace(cheap, most=None), dear]) == [replace(cheap, most=None), dear]


def test_a_threshold_counts_the_samples_that_ended(tmp_path: Path) -> None:
    run = pool(tmp_path, [{"gold": "7", "samples": [answer("7")] * 4 + [FAILED] * 12}] * 3)
    with pytest.raises(InputError, match="has 4 that ended"):
        compare(run, "vote", min_confidence="0.5@16")
    assert compare(run, "vote", min_confidence="0.5@4").rows[0].samples_each == (4, 4)


def test_a_replay_says_what_it_leaves_out(partly_failed: Path) -> None:
    outcome = replay(partly_failed, max_n=2, shuffles=2)
    assert any("has no sample that ended" in note for note in outcome.notes)
    told = CliRunner().invoke(app, ["replay", str(partly_failed), "--max-n", "2"]).stdout
    assert "has no sample that ended" in " ".join(told.split())


def test_how_many_questions_an_accuracy_is_of_is_told(tmp_path: Path) -> None:
    samples = [answer("7")] * 2
    lines: list[dict[str, object]] = [{"gold": "7", "samples": samples}, {"samples": samples}]
    notes = compare(pool(tmp_path, lines), "vote").notes
    assert notes[0].startswith("accuracies are of 1 of 2 questions")


def test_too_few_questions_are_not_said_to_be_fine() -> None:
    falling = np.linspace(1.0, 0.0, 16)
    few, many = watch(np.tile(falling, (9, 1))), watch(np.tile(falling, (40, 1)))
    assert few.sentence().startswith("too few questions to tell")
    assert many.is_worse
    assert not watch(np.tile(falling, (40, 1)), clusters=[q % 9 for q in range(40)]).is_enough
