"""The main job on a real model: `nbest run` over vLLM under Ray, then `nbest select`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.store_read import read_records, read_samples
from orchestrator.types import Outcome, Status

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
QUESTIONS = {"a": "3 + 4 =", "long": "1 + " * 400, "b": "2 + 2 ="}


def nbest(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiments.cli", *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
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
    records = {record.query_id: record for record in read_records(run)}
    assert records["long"].outcome is Outcome.ERROR
    assert records["a"].usage.samples == records["b"].usage.samples == 4
    samples = dict(read_samples(run))
    assert sorted(samples) == ["a", "b"]
    for sample in (*samples["a"], *samples["b"]):
        assert sample.status in (Status.OK, Status.TRUNCATED)
        assert sample.logprobs is not None  # the first selector needs them
        assert len(sample.logprobs) == sample.generated_tokens == len(sample.token_ids)
        assert sample.engine == "engine0"
        assert "\n" not in sample.text

    chosen = nbest(tmp_path, "select", "runs/real", "--select", "vote,mean_logprob", "--json")
    assert [row["n_samples"] for row in json.loads(chosen.stdout)] == [8, 8]


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
