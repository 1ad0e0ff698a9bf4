"""Panels as runs: samples keep their arms however the run grows, resumes and is spread."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.exchange.export_samples import pool_lines
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.errors import InputError, RunChanged
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Sample

CONFIG: dict[str, Any] = {
    "name": "t",
    "dataset": {"kind": "jsonl", "path": "questions.jsonl"},
    "prompt": {"template": "Q: {question}"},
    "model": {"backend": "fake"},
    "arms": [
        {"name": "cold", "temperature": 0.3},
        {"temperature": 1.0, "prompt": "brief"},
        {"name": "long", "max_tokens": 99},
    ],
    "prompts": {"brief": {"template": "Briefly: {question}"}},
    "strategy": {"n": 6},
    "extract": "last_number",
    "grade": "number",
    "cluster": {"local": True},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "42"} for i in range(5)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(folder: Path, out: str, *settings: str) -> dict[str, tuple[Sample, ...]]:
    """Run with these settings; returns the samples without what time and engine did to them."""
    plan = make_plan(load_config(folder / "c.yaml", settings))
    carry_out(plan, folder / out, lambda progress: None)
    return {
        query: tuple(replace(s, first_token_s=0.0, total_s=0.0, engine="") for s in samples)
        for query, samples in RunReader(folder / out).samples()
    }


def test_a_run_that_grows_is_the_run_that_was_large_at_once(folder: Path) -> None:
    small = drawn(folder, "grown")
    grown = drawn(folder, "grown", "strategy.n=60")
    assert grown == drawn(folder, "large", "strategy.n=60")
    for query, samples in small.items():
        assert grown[query][:6] == samples
        arms = [sample.arm for sample in grown[query]]
        assert [arms.count(name) for name in ("cold", "arm1", "long")] == [20, 20, 20]


@pytest.mark.ray
def test_workers_and_engines_change_no_sample(folder: Path) -> None:
    spread = "cluster={engines: 2, workers: 2, cpus_per_engine: 0.1}"
    here = drawn(folder, "here", "strategy.n=12")
    assert drawn(folder, "spread", "strategy.n=12", spread) == here


def test_the_prompts_of_arms_are_kept_with_the_run(folder: Path) -> None:
    drawn(folder, "run")
    first = RunReader(folder / "run").queries[0]
    assert first.variants == {"brief": "Briefly: What is 0?"}
    with pytest.raises(RunChanged, match="another prompt"):
        drawn(folder, "run", "prompts.brief.template='Say {question}'")


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("arms[0].temperature=0.4", r"arms\.cold\.sampling\.temperature: 0\.3 in the run, 0\.4"),
        ("arms[0].name=cool", "arms"),
        ("arms[0].weight=2", "turns"),
        ("arms[0].prompt=brief", r"arms\.cold\.prompt"),
        ("arms=[]", "arms"),
    ],
)
def test_another_panel_is_another_run(folder: Path, setting: str, what: str) -> None:
    drawn(folder, "run")
    more = ["prompts={}"] if setting == "arms=[]" else []
    with pytest.raises(RunChanged, match=what):
        drawn(folder, "run", setting, *more)


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("arms[0].temprature=1", r"arms\[0\]\.temprature: no such key; did you mean 'temperature'"),
        ("arms[0].temperature=9", r"arms\[0\]\.temperature must lie in \[0, 2\], got 9"),
        ("arms[1].prompt=breif", r"arms\[1\]\.prompt: no prompt named 'breif'; did you mean"),
        ("arms[0].weight=0", r"arms\[0\]\.weight must"),
        ("arms[2].name=cold", "different names"),
        ("arms[1].prompt=null", "prompts must be used by an arm each"),
        ("prompts.brief.tempalte=x", r"prompts\.brief\.tempalte: no such key"),
        ("prompts.brief.shots=3", r"prompts\.brief\."),
        ("strategy.deep_conf={warm_up: 2}", "deep_conf must be left out with arms"),
    ],
)
def test_a_wrong_panel_is_one_line_before_anything_starts(
    folder: Path, setting: str, what: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        load_config(folder / "c.yaml", [setting])
    assert "\n" not in str(caught.value)


def test_a_rehearsal_shows_the_prompt_of_each_arm(folder: Path) -> None:
    shown = CliRunner().invoke(app, ["run", "c.yaml", "--dry-run", "--json"])
    assert json.loads(shown.stdout)["arms"] == {
        "cold": "Q: What is 0?",
        "arm1": "Briefly: What is 0?",
        "long": "Q: What is 0?",
    }
    plain = CliRunner().invoke(app, ["run", "c.yaml", "--dry-run"])
    assert "Briefly: What is 0?" in plain.stdout


def test_arms_go_out_with_a_pool_and_come_back(folder: Path) -> None:
    drawn(folder, "run")
    (folder / "pool.jsonl").write_text("\n".join(pool_lines(folder / "run")) + "\n")
    import_pool([folder / "pool.jsonl"], folder / "back")
    back = dict(RunReader(folder / "back").samples())
    assert [s.arm for s in back["q1"]] == ["cold", "arm1", "long"] * 2


def test_the_curve_of_a_panel_has_a_table_of_its_arms(folder: Path) -> None:
    drawn(folder, "run", "strategy.n=12")
    shown = CliRunner().invoke(app, ["curve", "run", "--select", "vote,first"])
    assert shown.exit_code == 0, shown.output
    for words in ("vote at equal tokens", "all against it", "cold", "arm1", "long", "the best arm"):
        assert words in shown.output
    told = CliRunner().invoke(app, ["curve", "run", "--select", "vote", "--json"])
    document = json.loads(told.stdout)
    assert [row["arm"] for row in document["arms"]["arms"]] == ["arm1", "cold", "long", "all arms"]
    refused = CliRunner().invoke(app, ["curve", "run", "--select", "vote", "--beyond", "100"])
    assert isinstance(refused.exception, InputError)


def test_a_report_and_a_replay_read_a_panel(folder: Path) -> None:
    drawn(folder, "run", "strategy.n=12")
    replayed = ["replay", "run", "--strategy", "adaptive", "--max-n", "12"]
    for words in (["report", "run", "--out", "r.html"], replayed):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{done.output} {done.exception}"
    assert "the best arm on these questions" in (folder / "r.html").read_text()
