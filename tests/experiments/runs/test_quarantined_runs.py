"""Questions that kill their engine, as the command line sees them: failures that are told, that
count, and that are not asked again unless somebody wants it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nbest import FakeBackend, Reply
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out, failures
from nbest.experiments.runs.plan import Plan, make_plan
from nbest.orchestrator.errors import EngineDead
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome, Record, Request

CONFIG = """
name: t
dataset: {{kind: jsonl, path: {questions}}}
prompt: {{template: "{{question}}"}}
model: {{backend: fake, answers: ["42"], weights: [1]}}
strategy: {{n: 3}}
select: [vote]
extract: last_number
grade: number
cluster: {{local: true}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadly:
    """A script that answers 42, or kills its engine."""

    poison: str

    def __call__(self, request: Request) -> Reply:
        death = EngineDead("out of memory") if request.prompt == self.poison else None
        return Reply(tokens=("42",), error=death)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsEver(FakeBackend):
    """A fake engine under the identity of another one, so that one run can have both."""

    as_ever: dict[str, str | int | None]

    @property
    def identity(self) -> dict[str, str | int | None]:
        return self.as_ever


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config of six questions, `What is 0?` to `What is 5?`."""
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "42"} for i in range(6)]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(questions=questions))
    return path


def poisoned(config: Path, poison: str, limit: int | None = None) -> Plan:
    """The plan of the config, with an engine that this prompt kills."""
    plan = make_plan(load_config(config, ()), limit)
    backend = AsEver(script=Deadly(poison=poison), as_ever=dict(plan.backend.identity))
    return replace(plan, backend=backend)


def silent(progress: Progress) -> None:
    """No display."""


def outcomes(records: list[Record]) -> dict[str, Outcome]:
    return {record.query_id: record.outcome for record in records}


@pytest.mark.parametrize("poison", [0, 2, 5])
def test_a_quarantined_question_is_told_and_counts_as_failed(
    poison: int, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    killer = f"q{poison}"
    records = carry_out(poisoned(config, f"What is {poison}?"), run, silent)
    expected = {f"q{i}": Outcome.ANSWERED for i in range(6)} | {killer: Outcome.QUARANTINED}
    assert outcomes(records) == expected
    assert [record.query_id for record in failures(records)] == [killer]

    def nbest(*more: str) -> tuple[int | None, str]:
        args = ["run", str(config), "--out", str(run), *more]
        return app(args=args, standalone_mode=False), capsys.readouterr().err

    status, output = nbest()  # with a sound engine now, but nobody asks it
    assert status == 3
    assert f"nbest: {killer} quarantined: it killed its engine twice" in output
    assert "nbest: 1 of 6 questions failed, 1 of them quarantined (--retry-quarantined" in output
    assert "queries" not in output
    assert outcomes(RunReader(run).records()) == expected
    assert nbest("--fail-on-error", "2")[0] in (0, None)

    status, output = nbest("--retry-quarantined")
    assert status in (0, None), output
    assert "queries 1/1" in output
    assert set(outcomes(RunReader(run).records()).values()) == {Outcome.ANSWERED}


def test_only_what_is_asked_for_is_tried_again(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    carry_out(poisoned(config, "What is 2?"), run, silent)
    sound = make_plan(load_config(config, ()))
    reports: list[Progress] = []
    carry_out(sound, run, reports.append)
    assert reports == []
    carry_out(sound, run, reports.append, retry_quarantined=True)
    assert reports[-1].num_queries == 1


def test_a_quarantine_in_doubt_is_a_failure_too(config: Path, tmp_path: Path) -> None:
    """No engine has ever worked, so that it is not stored; the run has failed all the same."""
    records = carry_out(poisoned(config, "What is 0?", limit=1), tmp_path / "run", silent)
    assert outcomes(failures(records)) == {"q0": Outcome.QUARANTINED}
