"""The main job on a real model: `nbest run` over vLLM under Ray, then `nbest select`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from nbest.model_backend.vllm.orphans import descendants, kill_tree
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome, Sample, Status

pytestmark = [pytest.mark.engine, pytest.mark.ray, pytest.mark.timeout(400)]

CONFIG = """
name: real
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "Q: 1 + 2 =\\nA: 3\\n\\nQ: 4 + 1 =\\nA: 5\\n\\nQ: {question}\\nA:"}
model: {model: smollm2-135m, max_model_len: 256, max_num_seqs: 32}
sampling: {temperature: 0.8, max_tokens: 8, stop: "\\n"}
strategy: {n: 4}
select: [mean_logprob, vote, first]
extract: last_number
grade: number
"""
# How often to look at what another process does.
LOOK_S = 0.1

QUESTIONS = {"a": "3 + 4 =", "long": "1 + " * 400, "b": "2 + 2 ="}


def nbest(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nbest", *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=350,
    )


def test_a_prompt_longer_than_the_model_is_an_error_row_and_the_rest_is_answered(
    tmp_path: Path,
) -> None:
    rows = [{"id": i, "question": q, "answer": "7"} for i, q in QUESTIONS.items()]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = nbest(tmp_path, "run", "config.yaml")
    assert done.returncode == 3, done.stderr
    assert "long failed: " in done.stderr
    assert "256 tokens" in done.stderr

    run = tmp_path / "runs/real"
    records = {record.query_id: record for record in RunReader(run).records()}
    assert records["long"].outcome is Outcome.ERROR
    assert records["a"].usage.samples == records["b"].usage.samples == 4
    samples = dict(RunReader(run).samples())
    assert sorted(samples) == ["a", "b"]
    for sample in (*samples["a"], *samples["b"]):
        assert sample.status in (Status.OK, Status.TRUNCATED)
        assert sample.logprobs is not None  # the first selector needs them
        assert len(sample.logprobs) == sample.generated_tokens == len(sample.token_ids)
        assert sample.engine == "engine0"
        assert "\n" not in sample.text

    chosen = nbest(tmp_path, "select", "runs/real", "--select", "vote,mean_logprob", "--json")
    assert [row["n_samples"] for row in json.loads(chosen.stdout)] == [8, 8]


MANY = """
name: faulty
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "Tell me about {question}."}
model: {model: smollm2-135m, max_model_len: 256, max_num_seqs: 8, stall_s: 5}
sampling: {temperature: 0.8, max_tokens: 24}
strategy: {n: 4}
select: first
"""


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


def test_a_run_survives_an_engine_that_dies(tmp_path: Path) -> None:
    """R2. Whatever was committed before is what the run ends with.

    For R3, SIGSTOP does the same after the stall time: the engine's watchdog, which has tests of
    its own, makes a death of it.
    """
    number = signal.SIGKILL
    questions = [{"id": f"q{i}", "question": f"the number {i}", "answer": "7"} for i in range(40)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    (tmp_path / "config.yaml").write_text(MANY)
    run = tmp_path / "runs/faulty"
    command = [sys.executable, "-m", "nbest", "run", "config.yaml"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        while not ((run / "samples").exists() and committed(run)):
            time.sleep(LOOK_S)
            assert process.poll() is None, (tmp_path / "said").read_text()
        core = engine_core(process.pid)
        assert core is not None
        os.kill(core, number)
        killed_s = time.monotonic()
        before = {sample.id: sample for sample in committed(run)}
        while engine_core(process.pid) in (None, core):
            time.sleep(LOOK_S)
            assert process.poll() is None, (tmp_path / "said").read_text()
        print(f"{number.name}: another core after {time.monotonic() - killed_s:.1f} s")
        assert process.wait() == 0, (tmp_path / "said").read_text()
        print(f"{number.name}: the run ended {time.monotonic() - killed_s:.1f} s after it")
    finally:
        kill_tree(process.pid)
        process.wait()
    samples = committed(run)
    assert Counter(s.id for s in samples).most_common(1)[0][1] == 1
    assert len(samples) == 4 * len(questions)
    assert {s.id: s for s in samples}.items() >= before.items()
    outcomes = {record.outcome for record in RunReader(run).records()}
    assert outcomes <= {Outcome.ANSWERED, Outcome.ABSTAINED}  # where all four were truncated


def test_the_engine_benchmark_measures_both_sides(tmp_path: Path) -> None:
    small = ["--rounds", "1", "--queries", "2", "-n", "4", "--max-tokens", "8"]
    done = nbest(tmp_path, "bench", "engine", *small, "--max-model-len", "128", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert sorted(figures) == ["nbest_tokens_per_s", "plain_tokens_per_s", "ratio", "rounds"]
    assert figures["rounds"] == 1
    ours, theirs = figures["nbest_tokens_per_s"], figures["plain_tokens_per_s"]
    assert figures["ratio"] == pytest.approx(ours / theirs)
    assert min(ours, theirs) > 0
