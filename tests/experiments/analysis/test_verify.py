"""Stored samples drawn again: equal, different, failed, and runs that are not the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nbest.experiments.analysis.verify import compare, verify
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import Plan, make_plan
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply, Script
from nbest.orchestrator.errors import InputError, RequestRejected, RunChanged
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome, Query, Record, Request, Sample, Status

CONFIG: dict[str, Any] = {
    "name": "t",
    "dataset": {"kind": "jsonl", "path": "questions.jsonl"},
    "prompt": {"template": "Q: {question}"},
    "model": {"backend": "fake", "answers": ["1", "2", "3"], "weights": [1, 1, 1]},
    "strategy": {"n": 6},
    "extract": "last_number",
    "grade": "number",
    "cluster": {"local": True},
}

BRIEF = {"brief": {"template": "Briefly: {question}"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "1"} for i in range(5)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(folder: Path, **changes: object) -> Plan:
    (folder / "c.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    return make_plan(load_config(folder / "c.yaml"))


def carried_out(folder: Path, **changes: object) -> Plan:
    plan = plan_of(folder, **changes)
    carry_out(plan, folder / "run", lambda progress: None)
    return plan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "arms": [{"temperature": 0.3}, {"prompt": "brief"}],
            "prompts": BRIEF,
        },
        {"select": ["judge"]},  # what it has asked is no sample
        {"strategy": {"n": 6, "rule": "margin"}},
    ],
    ids=["plain", "arms", "judge", "adaptive"],
)
def test_a_model_that_repeats_itself_is_equal(folder: Path, changes: dict[str, object]) -> None:
    plan = carried_out(folder, **changes)
    before = dict(RunReader(folder / "run").samples())
    outcome = verify(plan, folder / "run", 100)
    assert outcome.stored == len(outcome.compared) >= 5
    assert all(one.is_equal for one in outcome.compared)
    assert outcome.equal.mean == 1.0
    assert dict(RunReader(folder / "run").samples()) == before
    few = verify(plan, folder / "run", 3)
    assert len(few.compared) == 3
    assert few == verify(plan, folder / "run", 3)


def test_what_another_model_says_differs_and_what_fails_is_told(folder: Path) -> None:
    plan = carried_out(folder)

    def drifted(request: Request) -> Reply:
        if "What is 3?" in str(request.prompt):
            return Reply(tokens=(), error=RequestRejected("not today"))
        return Reply(tokens=("1",))

    drifted_backend = Drifted(script=drifted, said=plan.backend.identity)
    outcome = verify(replace(plan, backend=drifted_backend), folder / "run", 100)
    stored = dict(RunReader(folder / "run").samples())
    for one in outcome.compared:
        if one.query_id == "q3":
            assert (one.is_equal, one.error) == (False, "not today")
        else:
            assert one.is_equal == (stored[one.query_id][one.index].text == "1")
            assert one.error == ""
    assert 0 < outcome.equal.mean < 1  # failures are not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """A model that takes itself for the one of the config."""

    script: Script
    said: Mapping[str, str | int | None]
    max_concurrency: int = 8
    gpus: int = 0

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        return self.said

    def open(self, name: str = "") -> AbstractAsyncContextManager[Backend]:
        return FakeBackend(script=self.script).open(name)


def test_a_difference_is_found_in_tokens_texts_and_ends() -> None:
    stored = Sample(id="r/q/s0", text="a b", token_ids=(1, 2, 3))
    key = ("q", 0)
    assert compare(key, stored, replace(stored, id="other", engine="e7", total_s=3)).is_equal
    other = compare(key, stored, replace(stored, token_ids=(1, 2, 4)))
    assert (other.is_equal, other.differs_at) == (False, 2)
    longer = compare(key, stored, replace(stored, text="a b c", token_ids=(1, 2, 3, 4)))
    assert (longer.is_equal, longer.differs_at) == (False, 3)
    bare = replace(stored, token_ids=())  # of an endpoint that tells none
    assert compare(key, bare, stored).is_equal
    assert not compare(key, bare, replace(stored, text="a c")).is_equal
    assert not compare(key, stored, replace(stored, status=Status.TRUNCATED)).is_equal


def test_another_run_is_refused(folder: Path) -> None:
    carried_out(folder)
    with pytest.raises(RunChanged, match=r"sampling\.temperature"):
        verify(plan_of(folder, sampling={"temperature": 0.3}), folder / "run", 5)
    with pytest.raises(RunChanged, match="question 'q0' has another prompt"):
        verify(plan_of(folder, prompt={"template": "A: {question}"}), folder / "run", 5)
    with pytest.raises(InputError, match="sample must be at least 1, got 0"):
        verify(plan_of(folder), folder / "run", 0)


def test_what_cannot_be_drawn_is_told_and_ends_with_3(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out(folder)

    def refused(queries: Sequence[Query], *args: object, **settings: object) -> list[Record]:
        error = {"outcome": Outcome.ERROR, "error": "not\ntoday"}
        return [Record(query_id=query.id, strategy="", **error) for query in queries]

    monkeypatch.setattr("nbest.experiments.analysis.verify.run", refused)
    words = ["verify", "c.yaml", "--out", "run", "--sample", "4"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 3
    assert "0 of 0 samples are bitwise equal" in shown.output
    assert shown.output.count("not today") == 4
    shown = CliRunner().invoke(app, [*words, "--json"])
    document = json.loads(shown.output)
    assert (document["drawn"], document["failed"], document["share"]) == (0, 4, None)


def test_the_command_says_it_in_words(folder: Path) -> None:
    carried_out(folder)
    shown = CliRunner().invoke(app, ["verify", "c.yaml", "--out", "run", "--sample", "10"])
    assert shown.exit_code == 0, shown.output
    assert "10 of 10 samples are bitwise equal (1.000, 95% " in shown.output
    assert "the run has 30" in shown.output
