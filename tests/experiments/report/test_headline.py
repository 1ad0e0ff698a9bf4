"""The headline, the facts and the strips of a report: the same figures as the tables have."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nbest.experiments.analysis.table.sample_counts import SampleCounts
from nbest.experiments.report.costs import Prices
from nbest.experiments.report.data import RunReport, run_report
from nbest.experiments.report.headline import gain_over_one, headline_of, percent
from nbest.experiments.report.page import write_report
from nbest.experiments.report.right_counts import right_counts
from nbest.experiments.report.run_page import duel_matrix, run_page
from nbest.experiments.report.strip import MOST_CELLS, strips
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from tests.experiments.report.test_report import SELECT, pool, tags_of


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    run = pool(tmp_path_factory.mktemp("headline"), 40, 8)
    return run_report(run, ["vote", 'score(name="rm")', "shortest"])


def test_it_sums_up_the_first_selector(report: RunReport) -> None:
    row, one = report.rows[0], report.baselines[0]
    headline = report.headline
    assert headline.sentence == (
        f"A vote among 8 is right in {percent(row.accuracy)} of 40 questions, "
        f"one sample in {percent(one.accuracy)}"
    )
    assert f"{100 * (row.accuracy - one.accuracy):+.1f} points" in headline.gain
    assert [tile.value for tile in headline.tiles] == [
        percent(row.accuracy),
        f"{100 * (row.accuracy - one.accuracy):+.1f}",
        "160",
        "100.0%",
    ]
    assert percent(report.baselines[1].accuracy) in headline.more[0]


def test_the_gain_is_paired(tmp_path: Path) -> None:
    run = pool(tmp_path, 60, 8)
    row = run_report(run, ["vote"]).rows[0]
    gain = gain_over_one(row, load_cases(run))
    alone = (row.high - row.low) / 2
    assert gain.low < gain.mean < gain.high
    assert (gain.high - gain.low) / 2 < alone  # most of the spread is that of the questions


def test_a_gain_within_noise_is_neither_up_nor_down(tmp_path: Path) -> None:
    run = pool(tmp_path, 4, 2)
    assert run_report(run, ["vote"]).headline.is_gain is None
    assert 'class="gain flat"' in write_report([run], tmp_path / "r.html", "vote").read_text()


@pytest.mark.parametrize(
    ("counts", "value", "what"),
    [
        ({"answered": 90, "cut_off": 10}, "10.0%", "of the samples were cut off"),
        ({"answered": 90, "cut_off": 4, "no_answer": 6}, "6.0%", "of the samples hold no answer"),
        ({"answered": 50, "failed": 50}, "50.0%", "of the samples failed"),
        ({"answered": 96, "cut_off": 4}, "96.0%", "of the samples hold an answer"),
    ],
)
def test_lost_samples_are_a_warning(
    report: RunReport, counts: dict[str, int], value: str, what: str
) -> None:
    tile = headline_of(report.rows, report.baselines, [], None, SampleCounts(**counts)).tiles[-1]
    assert (tile.value, tile.what) == (value, what)
    assert tile.is_warning == ("an answer" not in what)


def test_without_gold_it_says_how_far_samples_agree(tmp_path: Path) -> None:
    found = run_report(pool(tmp_path, 10, 8, gold=None), ["vote"]).headline
    assert found.sentence == "A vote among 8 answers 10 of 10 questions; none has a gold answer"
    assert found.gain == ""
    assert "agree with the chosen one" in found.tiles[1].what


def test_a_plugin_that_is_not_here_is_a_note_and_no_end(tmp_path: Path) -> None:
    run = pool(tmp_path, 10, 4)
    file = run / "run.json"
    manifest = json.loads(file.read_text())
    manifest["config"]["select"] = ["fewest_words", "vote"]
    file.write_text(json.dumps(manifest))
    report = run_report(run)
    assert [row.select for row in report.rows] == ["vote"]
    assert any(note.startswith("fewest_words is left out: no selector") for note in report.notes)
    manifest["config"]["select"] = ["fewest_words"]
    file.write_text(json.dumps(manifest))
    page = write_report([run], tmp_path / "none.html").read_text()
    assert "No selector of this run can be applied here; one sample is right in " in page


def test_the_strip_has_the_surest_questions_first(report: RunReport) -> None:
    strip = report.strips[0]
    confidence = {c.query_id: c.confidence for c in report.rows[0].choices}
    order = [confidence[cell.query_id] for cell in strip.cells]
    assert order == sorted(order, reverse=True)
    right = sum(cell.right for cell in strip.cells)
    assert right == pytest.approx(40 * report.rows[0].accuracy)
    assert [one.select for one in report.strips] == [row.select for row in report.rows]


def test_many_questions_share_cells(report: RunReport) -> None:
    ids = [choice.query_id for choice in report.rows[0].choices] * 30
    assert len(strips(report.rows, ids)[0].cells) <= MOST_CELLS


def test_questions_lead_to_their_samples(tmp_path: Path) -> None:
    run = pool(tmp_path, 10, 4)
    page = write_report([run], tmp_path / "r.html", SELECT, samples="all samples.html").read_text()
    assert page.count("<a href=") == 3 * 10 + 1 + 10  # cells, all, and each question once
    assert 'href="all samples.html#q3"' in page
    assert not [act for act in tags_of(page).acts if not act.startswith("a href=all samples.html")]


def test_right_samples_are_counted(tmp_path: Path) -> None:
    cases = load_cases(pool(tmp_path, 50, 8))
    counts = right_counts(cases)
    assert counts is not None
    assert [bar.label for bar in counts.bars] == [str(k) for k in range(9)]
    for right, bar in enumerate(counts.bars):
        assert bar.questions == sum(sum(case.worths) == right for case in cases)
    assert counts.never == counts.bars[0].questions / 50
    assert counts.always == counts.bars[-1].questions / 50


def test_more_samples_are_counted_in_tenths(tmp_path: Path) -> None:
    counts = right_counts(load_cases(pool(tmp_path, 50, 20)))
    assert counts is not None
    assert [bar.label for bar in counts.bars][:3] == ["none", "0-10%", "10-20%"]
    assert sum(bar.questions for bar in counts.bars) == 50
    assert right_counts([]) is None


def test_wins_are_a_matrix(report: RunReport) -> None:
    names = [row.select for row in report.rows]
    matrix = duel_matrix(report.duels, names)
    for i, one in enumerate(names):
        assert matrix[one][i] is None
        for j, other in enumerate(names):
            wins, losses = matrix[one][j], matrix[other][i]
            if wins is not None and losses is not None:
                gain = report.rows[i].accuracy - report.rows[j].accuracy
                assert wins - losses == pytest.approx(40 * gain)


def test_the_best_selector_leads_the_table(report: RunReport) -> None:
    rows = run_page(report, Prices(), (0.0, 1.0)).rows
    assert [row.kind for row in rows] == ["base", "best", "", "", "base"]
    middle = [row.right for row in rows[1:-1]]
    assert middle == sorted(middle, reverse=True)
    assert {row.name: row.against for row in rows}["vote"] == ""
    assert {row.direction for row in rows} <= {"up", "down", "flat"}


def test_an_alarm_is_shown_on_top_for_the_runs_own_selector_alone(tmp_path: Path) -> None:
    with (tmp_path / "pool.jsonl").open("w") as lines:
        for q in range(60):
            answers = ["7"] * 14 + ["8", "9"]
            samples = [{"answer": a, "scores": {"rm": p + q % 3}} for p, a in enumerate(answers)]
            lines.write(json.dumps({"id": f"q{q}", "gold": "7", "samples": samples}) + "\n")
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run")
    page = write_report([tmp_path / "run"], tmp_path / "a.html", 'vote,score(name="rm")')
    assert 'class="warning"' not in page.read_text()
    assert "OVER-OPTIMISED" in page.read_text()
    page = write_report([tmp_path / "run"], tmp_path / "b.html", 'score(name="rm"),vote')
    assert 'class="warning"' in page.read_text()


def test_nothing_known_is_a_dash() -> None:
    assert percent(math.nan) == "-"
    assert percent(0.6543) == "65.4%"


def test_where_every_sample_is_cut_off_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with (tmp_path / "pool.jsonl").open("w") as lines:
        for q in range(20):
            sample = {"text": "and so", "finish_reason": "length", "tokens": 9}
            lines.write(json.dumps({"id": f"q{q}", "gold": "7", "samples": [sample] * 4}) + "\n")
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run")
    page = write_report([tmp_path / "run"], tmp_path / "r.html", "vote").read_text()
    said = "No sample holds an answer, so there is nothing to choose from: 80 of 80 were cut off"
    assert f"<h1>{said}</h1>" in page
    assert "<svg" not in page
    assert "100.0%" in page


def test_each_question_is_shown_once(tmp_path: Path) -> None:
    for count, expected in ((3, 3), (40, 24)):
        shown = run_report(pool(tmp_path, count, 4, f"of{count}"), ["vote"]).shown
        ids = [one.id for one in (*shown.best, *shown.worst, *shown.contested)]
        assert len(ids) == len(set(ids)) == expected
        assert all(one.num_right > 0 for one in shown.best)
        assert all(one.num_right < one.num_samples for one in shown.worst)


def test_few_answers_have_no_calibration(tmp_path: Path) -> None:
    assert run_report(pool(tmp_path, 29, 4, "few"), ["vote"]).calibration == ()
    bins = run_report(pool(tmp_path, 60, 4, "more"), ["vote"]).calibration
    assert 2 <= len(bins) <= 4


def test_without_gold_no_column_is_empty(tmp_path: Path) -> None:
    run = pool(tmp_path, 4, 4, gold=None)
    page = write_report([run], tmp_path / "r.html", SELECT).read_text()
    assert "<th>right</th>" not in page
    assert "<th>abstained</th>" in page
