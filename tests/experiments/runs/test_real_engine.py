"""The main job on a real model: `nbest run` over vLLM under Ray, then `nbest select`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbest.model_backend.vllm.processes.orphans import descendants, kill_tree
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome, Sample, Status

pytestmark = [pytest.mark.engine, pytest.mark.ray]

CONFIG = """
name: real
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "Tell me about {question}."}
model: {model: smollm2-135m, max_model_len: 256, max_num_seqs: 8}
sampling: {temperature: 0.8, max_tokens: 24, stop: "\\n"}
strategy: {n: 4}
select: [mean_logprob, vote, first]
"""
QUESTIONS = 40
# How often to look at what another process does.
LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run left whose engine was killed once."""

    folder: Path
    status: int
    log: str
    before: list[Sample]  # that were committed when its engine was killed


def nbest(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nbest", *args],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}


def engine_core(nbest: int) -> int | None:
    """The process of the engine, under the title that vLLM gives it."""
    for pid in descendants(nbest):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"EngineCore" in title:
            return pid
    return None


def committed(run: Path) -> list[Sample]:
    return [s for _, samples in RunReader(run).samples() for s in samples]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One run for all tests: an engine takes half a minute to start, and here it starts twice."""
    folder = tmp_path_factory.mktemp("real")
    rows = [{"id": f"q{i}", "question": f"the number {i}"} for i in range(QUESTIONS)]
    rows.insert(1, {"id": "long", "question": "1 + " * 400})
    lines = [json.dumps(row | {"answer": "7"}) + "\n" for row in rows]
    (folder / "questions.jsonl").write_text("".join(lines))
    (folder / "config.yaml").write_text(CONFIG)
    run = folder / "runs/real"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nbest", "run", "config.yaml"],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        while not ((run / "samples").exists() and committed(run)):
            time.sleep(LOOK_S)
            assert process.poll() is None, (folder / "log").read_text()
        core = engine_core(process.pid)
        assert core is not None
        os.kill(core, signal.SIGKILL)
        killed_s = time.monotonic()
        before = committed(run)
        while engine_core(process.pid) in (None, core):
            time.sleep(LOOK_S)
            assert process.poll() is None, (folder / "log").read_text()
        print(f"another core after {time.monotonic() - killed_s:.1f} s")
        status = process.wait()
    finally:
        kill_tree(process.pid)
        process.wait()
    log_text = (folder / "log").read_text()
    return Ended(folder=folder, status=status, log=log_text, before=before)


def test_a_run_survives_an_engine_that_dies(ended: Ended) -> None:
    """R2. Whatever was committed before is what the run ends with.

    For R3, SIGSTOP does the same after the stall time: the engine's watchdog, which has tests of
    its own, makes a death of it.
    """
    samples = committed(ended.folder / "runs/real")
    assert Counter(s.id for s in samples).most_common(1)[0][1] == 1
    assert len(samples) == 4 * QUESTIONS
    assert {s.id: s for s in samples}.items() >= {s.id: s for s in ended.before}.items()
    records = RunReader(ended.folder / "runs/real").records()
    outcomes = {record.outcome for record in records if record.query_id != "long"}
    assert outcomes <= {Outcome.ANSWERED, Outcome.ABSTAINED}  # where all four were truncated


def test_a_prompt_longer_than_the_model_is_an_error_row_and_the_rest_is_answered(
    ended: Ended,
) -> None:
    assert ended.status == 3, ended.log
    assert "long failed: " in ended.log
    assert "256 tokens" in ended.log
    run = ended.folder / "runs/real"
    records = {record.query_id: record for record in RunReader(run).records()}
    assert records["long"].outcome is Outcome.ERROR
    assert records["q0"].usage.samples == records["q1"].usage.samples == 4
    samples = dict(RunReader(run).samples())
    assert sorted(samples) == sorted(f"q{i}" for i in range(QUESTIONS))
    for sample in (*samples["q0"], *samples["q39"]):
        assert sample.status in (Status.OK, Status.TRUNCATED)
        assert sample.logprobs is not None  # the first selector needs them
        assert len(sample.logprobs) == sample.generated_tokens == len(sample.token_ids)
        assert sample.engine == "engine0"
        assert "\n" not in sample.text


def test_the_samples_are_chosen_from_again_without_an_engine(ended: Ended) -> None:
    chosen = nbest(ended.folder, "select", "runs/real", "--select", "vote,mean_logprob", "--json")
    assert [row["n_samples"] for row in json.loads(chosen.stdout)["rows"]] == [4 * QUESTIONS] * 2


def test_the_engine_benchmark_measures_both_sides(tmp_path: Path) -> None:
    small = ["--rounds", "1", "--queries", "2", "-n", "4", "--max-tokens", "8"]
    done = nbest(tmp_path, "bench", "engine", *small, "--max-model-len", "128", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    keys = ["nbest_tokens_per_s", "plain_tokens_per_s", "ratio", "rounds", "version"]
    assert sorted(figures) == keys
    assert figures["rounds"] == 1
    ours, theirs = figures["nbest_tokens_per_s"], figures["plain_tokens_per_s"]
    assert figures["ratio"] == pytest.approx(ours / theirs)
    assert min(ours, theirs) > 0
