"""The report: what it says, that it is one safe file, and that a large run fits into it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from nbest import MajorityVote
from nbest.experiments.report.costs import Prices, costs_of
from nbest.experiments.report.data import run_report
from nbest.experiments.report.headline import percent
from nbest.experiments.report.page import write_report
from nbest.experiments.report.spending import Spending, pareto_front
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.parquet import PartWriter
from nbest.orchestrator.store.format.schema import records_table
from nbest.orchestrator.types import Candidates, Outcome, Query, Record, Scores
from tests.experiments.attacks import attacks
from tests.experiments.browsers import chromium


def pool(folder: Path, questions: int, n: int, name: str = "run", gold: str | None = "7") -> Path:
    """A run of questions of all difficulties, with scores of a verifier."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("w") as file:
        for q in range(questions):
            right = rng.random(n) < rng.random()
            answers = [
                "7" if r else str(d) for r, d in zip(right, rng.integers(1, 6, n), strict=True)
            ]
            scores = (right + rng.random(n)).round(3)
            samples = [
                {"answer": a, "text": f"it is {a}", "tokens": 20, "scores": {"rm": float(s)}}
                for a, s in zip(answers, scores, strict=True)
            ]
            line = {"id": f"q{q}", "gold": gold, "prompt": f"question {q}?", "samples": samples}
            file.write(json.dumps(line) + "\n")
    import_pool([folder / f"{name}.jsonl"], folder / name, extract="last_number", grade="number")
    return folder / name


SELECT = 'vote,score(name="rm"),shortest'


class Tags(HTMLParser):
    """The tags of a page, and whatever in it could act or load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.acts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            loads = name in ("src", "href", "xlink:href", "action", "data")
            if name.startswith("on") or (loads and not (value or "").startswith("#")):
                self.acts.append(f"{tag} {name}={value}")


def tags_of(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_says_what_the_run_holds(tmp_path: Path) -> None:
    run = pool(tmp_path, 12, 8)
    out = write_report([run], tmp_path / "report.html", SELECT)
    page = out.read_text()
    report = run_report(run, ["vote", 'score(name="rm")', "shortest"])
    for row in (*report.rows, *report.baselines):
        assert f"<td>{percent(row.accuracy)}</td>" in page
    assert page.count("<svg") == 5  # too few questions for calibration
    for heading in ("Over-optimisation", "What it cost", "Most contested", "Who wins"):
        assert heading in page
    assert "question 3?" in page
    assert len(report.paired) == 3  # two against the first, and a word on the best
    assert "points over vote" in page
    assert report.replay is not None
    assert f"it is right in {percent(report.replay.accuracy)}" in page
    for curve in report.curves:
        for k in report.ks:
            numbers = (curve.mean[k - 1], curve.low[k - 1], curve.high[k - 1])
            assert '<td class="nowrap">{:.3f} ({:.2f}&ndash;{:.2f})</td>'.format(*numbers) in page


def test_pictures_are_told_to_those_who_cannot_see_them(tmp_path: Path) -> None:
    run = pool(tmp_path, 6, 8)
    page = write_report([run], tmp_path / "report.html", SELECT).read_text()
    lines = "vote, score(name=&quot;rm&quot;), shortest, adaptive vote"
    assert page.count('<svg role="img" aria-label="') == 5
    assert f'aria-label="Accuracy against tokens a question: {lines}"' in page


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    run = pool(tmp_path, 6, 8)
    pages = [write_report([run], tmp_path / f"{i}.html", SELECT).read_bytes() for i in range(2)]
    assert pages[0] == pages[1]


def test_it_is_one_file_without_a_script_that_loads_nothing(tmp_path: Path) -> None:
    run = pool(tmp_path, 6, 8)
    tags = tags_of(write_report([run], tmp_path / "report.html", SELECT).read_text())
    assert not tags.tags & {"script", "iframe", "link", "object", "embed", "base", "form", "img"}
    assert tags.acts == []


def test_what_it_shows_of_questions(tmp_path: Path) -> None:
    report = run_report(pool(tmp_path, 30, 8), ["vote", "shortest"])
    assert len(report.shown.best) == len(report.shown.worst) == len(report.shown.contested) == 8
    assert report.shown.best[0].share_right >= report.shown.best[-1].share_right
    assert report.shown.worst[0].share_right <= report.shown.worst[-1].share_right
    first = report.shown.contested[0]
    assert first.answers[0].votes >= first.answers[1].votes
    assert sum(shown.votes for shown in first.answers) + first.num_silent <= first.num_samples
    assert all(len(set(shown.verdicts)) > 1 for shown in report.verdicts)
    assert report.warnings == ()


def test_runs_are_compared_side_by_side(tmp_path: Path) -> None:
    runs = [pool(tmp_path, 6, 8, "one"), pool(tmp_path, 6, 4, "two")]
    page = write_report(runs, tmp_path / "report.html", "vote").read_text()
    assert "<title>one and two</title>" in page
    assert "two, vote: " in page
    assert "points over one, vote (" in page  # on the questions of both
    assert page.count("<svg") == 2 * 5 + 1  # of each run, and one of both
    assert "Accuracy against the number of samples, by run" in page


def test_the_bill_has_dollars_and_operations(tmp_path: Path) -> None:
    report = run_report(pool(tmp_path, 5, 4), ["vote"])
    cost, adaptive = costs_of(report, Prices(output_price=10.0, parameters=1e9))
    assert cost.generated == 5 * 4 * 20
    assert cost.dollars == pytest.approx(400 * 10 / 1e6)
    assert cost.flops == pytest.approx(2 * 1e9 * 400)
    assert report.replay is not None
    assert adaptive.generated == round(5 * report.replay.tokens) <= cost.generated
    with pytest.raises(InputError, match="parameters must be 0 or more, got -1"):
        Prices(parameters=-1)


def test_who_wins_is_counted_for_each_pair(tmp_path: Path) -> None:
    report = run_report(pool(tmp_path, 30, 8), ["vote", "shortest", 'score(name="rm")'])
    assert [(duel.one, duel.other) for duel in report.duels] == [
        ("vote", "shortest"),
        ("vote", 'score(name="rm")'),
        ("shortest", 'score(name="rm")'),
    ]
    for duel in report.duels:
        right = {row.select: round(row.accuracy * 30) for row in report.rows}
        assert duel.only_one + duel.both == right[duel.one]
        assert duel.only_other + duel.both == right[duel.other]
        assert duel.only_one + duel.only_other + duel.both + duel.neither == 30


def test_how_the_questions_ended_is_said(tmp_path: Path) -> None:
    run = pool(tmp_path, 4, 4)
    ends = [Outcome.ANSWERED, Outcome.OUT_OF_BUDGET, Outcome.ANSWERED, Outcome.ERROR]
    records = [
        Record(query_id=f"q{q}", strategy="Vote(<b>)", outcome=end) for q, end in enumerate(ends)
    ]
    PartWriter(RunFolder(run), ()).commit("records", records_table(records))
    page = write_report([run], tmp_path / "one.html", "vote").read_text()
    assert "<dt>ended</dt><dd>2 answered, 1 out of budget, 1 error</dd>" in page
    again = [Record(query_id="q0", strategy="Other()", outcome=Outcome.ABSTAINED)]
    PartWriter(RunFolder(run), ()).commit("records", records_table(again))
    page = write_report([run], tmp_path / "two.html", "vote").read_text()
    assert "<dt>Vote(&lt;b&gt;)</dt><dd>2 answered" in page
    assert "<dt>Other()</dt><dd>1 abstained</dd>" in page


def test_the_front_holds_what_nothing_cheaper_beats() -> None:
    points = [
        Spending(
            name=str(place),
            tokens=tokens,
            accuracy=accuracy,
            worths=(np.arange(400) < 400 * accuracy).astype(float),
        )
        for place, (tokens, accuracy) in enumerate(
            [(1, 0.5), (2, 0.4), (2, 0.6), (4, 0.6), (4, 0.7), (9, 0.7), (9, 0.5)]
        )
    ]
    assert [point.name for point in pareto_front(points[::-1])] == ["0", "2", "4"]
    few = [replace(point, worths=point.worths[::40]) for point in points]
    assert [point.name for point in pareto_front(few)] == ["0"]  # of ten questions it is noise


def test_a_run_without_gold_says_nothing_of_accuracy(tmp_path: Path) -> None:
    run = pool(tmp_path, 30, 8, gold=None)
    report = run_report(run, ["vote", "shortest", 'score(name="rm")'])
    page = write_report([run], tmp_path / "report.html", SELECT).read_text()
    assert "<svg" not in page
    for word in ("ptimis", "OVER", "worse", "Use k", 'class="warning"'):
        assert word not in page
    for claim in (
        "Accuracy against",
        "Risk against",
        "Who wins",
        "get worse",
        "is right in",
        "nan",
    ):
        assert claim not in page
    assert report.replay is not None
    assert f"answer in {100 * report.replay.agreement:.1f}% of the questions" in page
    one, other = run_report(pool(tmp_path, 30, 8, "graded"), ["vote", "shortest"]).rows
    same = sum(answer == other.answers[key] for key, answer in one.answers.items())
    assert (report.agreements[0].same, report.agreements[0].different) == (same, 30 - same)
    assert report.shown.contested
    assert not report.shown.best


def test_an_over_optimised_selector_is_seen_without_gold(tmp_path: Path) -> None:
    """Its score is highest for what nobody else answers."""
    file = tmp_path / "pool.jsonl"
    with file.open("w") as lines:
        for q in range(60):
            answers = ["7"] * 14 + ["8", "9"]
            samples = [
                {"answer": a, "scores": {"rm": place + q % 3}} for place, a in enumerate(answers)
            ]
            lines.write(json.dumps({"id": f"q{q}", "samples": samples}) + "\n")
    import_pool([file], tmp_path / "run")
    report = run_report(tmp_path / "run", ["vote", 'score(name="rm")'])
    assert len(report.warnings) == 1
    assert 'score(name="rm"): ' in report.warnings[0]
    assert "vote share" in report.warnings[0]


@dataclass(frozen=True, kw_only=True)
class FailsOnce:
    """A selector of a plugin, with a mistake in it."""

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if query.id == "q3":
            raise ZeroDivisionError("nothing to divide by")
        return np.zeros(len(candidates))


def test_a_selector_that_fails_at_a_question_has_no_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorers = {"vote": MajorityVote(), "mine": FailsOnce()}
    monkeypatch.setattr(
        "nbest.experiments.runs.selectors.named_scorer", lambda name, run, typed: scorers[name]
    )
    run = pool(tmp_path, 6, 8)
    report = run_report(run, ["vote", "mine"])
    assert [curve.name for curve in report.curves] == ["one sample", "any right", "vote"]
    assert [row.select for row in report.rows] == ["vote", "mine"]
    said = "q3: select FailsOnce: ZeroDivisionError: nothing to div"
    note = f"mine fails at 1 of 6 questions and has no curve: {said}"
    assert report.notes[-1].startswith(note)
    assert note in write_report([run], tmp_path / "report.html", "vote,mine").read_text()


def test_files_are_not_overwritten_unasked(tmp_path: Path) -> None:
    run = pool(tmp_path, 2, 2)
    out = tmp_path / "report.html"
    out.write_text("mine")
    with pytest.raises(InputError, match="out must be a new file"):
        write_report([run], out)
    write_report([run], out, "vote", force=True)
    assert out.read_text() != "mine"


def attacked(folder: Path) -> Path:
    """A run whose every text attacks: prompts, answers, texts, ids, names."""
    texts = attacks()
    with (folder / "pool.jsonl").open("w") as file:
        for q in range(0, len(texts), 5):
            samples = [{"answer": t, "text": f"{t}!"} for t in texts[q : q + 5]]
            line = {"id": f"q{q}{texts[q]}", "gold": texts[q], "prompt": texts[q]}
            file.write(json.dumps(line | {"samples": samples}) + "\n")
    import_pool([folder / "pool.jsonl"], folder / "run")
    return folder / "run"


def test_nothing_that_a_model_wrote_acts_in_a_browser(tmp_path: Path) -> None:
    out = write_report([attacked(tmp_path)], tmp_path / "report.html", shown=1000)
    texts = attacks()
    tags = tags_of(out.read_text())
    assert tags.acts == []
    assert "script" not in tags.tags
    acts: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("dialog", lambda dialog: acts.append(dialog.message))
        page.on("request", lambda r: acts.append(r.url) if r.url != out.as_uri() else None)
        page.goto(out.as_uri())
        places = "pre, details > div:not(.wrap)"
        displayed = page.eval_on_selector_all(
            places, "nodes => nodes.map(node => node.textContent)"
        )
        assert (
            page.eval_on_selector_all("pre *, details > div:not(.wrap) *", "nodes => nodes.length")
            == 0
        )
        assert page.title() == "run"
        assert not page.locator("details pre").first.is_visible()
    assert acts == []
    plain = "\n".join(displayed)
    missing = [t for t in texts if f"{t}!".replace("\0", "") not in plain]  # pages have no NUL
    assert missing == []


def test_a_large_run_makes_no_large_page(tmp_path: Path) -> None:
    small = write_report([pool(tmp_path, 50, 16, "small")], tmp_path / "small.html", "vote")
    large = write_report([pool(tmp_path, 300, 16, "large")], tmp_path / "large.html", "vote")
    assert large.stat().st_size < 1.2 * small.stat().st_size + 20_000
