"""The command line as a user meets it: whole processes, their output, their exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from nbest.orchestrator.store.reader import RunReader

CONFIG = """
name: t
seed: 1
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "Q: {question}"}
model: {backend: fake, answers: ["42", "41", "40"], weights: [3, 2, 1]}
sampling: {logprobs: 0}
strategy: {n: 8}
select: [vote, mean_logprob, first]
extract: last_number
grade: number
cluster: {local: true}
"""

KEYS = ["select", "accuracy", "low", "high", "abstained", "n_queries", "n_samples", "tokens"]
KEYS += ["failed", "failure", "unknown"]
ABSTENTION_KEYS = ["aurc", "auroc", "auroc_low", "auroc_high", "risk_coverage"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a config and twelve questions, the answer of all being 42."""
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "42"} for i in range(12)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "nbest", *args]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[3])
    return os.environ | {"PYTHONPATH": root, "COLUMNS": "200"}


def nbest(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
    )


def files_of(run: Path) -> dict[str, bytes]:
    """All but the lock, which says who held it last."""
    files = (p for p in run.rglob("*") if p.is_file() and p.name != "run.lock")
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


def test_a_run_prints_its_table_and_leaves_a_run_folder(folder: Path) -> None:
    process = nbest(folder, "run", "config.yaml")
    assert process.returncode == 0, process.stderr
    for name in ("one sample (mean)", "any of 8 right", "vote", "mean_logprob", "first"):
        assert name in process.stdout
    assert "queries 12/12" in process.stderr
    assert {q: len(s) for q, s in RunReader(folder / "runs/t").samples()} == {
        f"q{i}": 8 for i in range(12)
    }


def test_a_complete_run_generates_nothing_and_answers_the_same(folder: Path) -> None:
    first = nbest(folder, "run", "config.yaml", "--json")
    before = files_of(folder / "runs/t")
    again = nbest(folder, "run", "config.yaml", "--json")
    assert again.stdout == first.stdout
    assert files_of(folder / "runs/t") == before


def test_n_may_grow_and_the_first_are_kept(folder: Path) -> None:
    nbest(folder, "run", "config.yaml")
    before = dict(RunReader(folder / "runs/t").samples())
    process = nbest(folder, "run", "config.yaml", "--set", "strategy.n=11", "--json")
    after = dict(RunReader(folder / "runs/t").samples())
    assert {len(samples) for samples in after.values()} == {11}
    assert all(after[q][:8] == samples for q, samples in before.items())
    assert json.loads(process.stdout)["rows"][0]["n_samples"] == 12 * 11


def test_another_selector_needs_no_engine(folder: Path) -> None:
    """The fake engine would take hours for one sample more."""
    nbest(folder, "run", "config.yaml")
    slow = ["--set", "model.token_s=9999", "--set", "select=[longest]"]
    refused = nbest(folder, "run", "config.yaml", *slow)
    assert (refused.returncode, "model.script" in refused.stderr) == (2, True)
    process = nbest(folder, "run", "config.yaml", "--set", "select=[longest]", "--json")
    assert [row["select"] for row in json.loads(process.stdout)["rows"]] == ["longest"]


def test_select_prints_one_json_document_with_the_promised_keys(folder: Path) -> None:
    nbest(folder, "run", "config.yaml")
    process = nbest(folder, "select", "runs/t", "--select", "vote,random(seed=3),first", "--json")
    document = json.loads(process.stdout)
    rows = document["rows"]
    assert list(document) == ["version", "select", "accuracy", "rows", "baselines", "samples"]
    assert (document["version"], document["select"]) == (1, "vote")
    assert document["samples"]["total"] == document["samples"]["answered"] == 96
    assert [list(row) for row in rows] == [KEYS + ABSTENTION_KEYS] * 3
    assert [row["select"] for row in rows] == ["vote", "random(seed=3)", "first"]
    for row in rows:
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
        assert (row["n_queries"], row["n_samples"], row["tokens"]) == (12, 96, 96)


def test_select_says_what_a_selector_lacks(folder: Path) -> None:
    nbest(folder, "run", "config.yaml", "--set", "sampling.logprobs=null", "--set", "select=[vote]")
    process = nbest(folder, "select", "runs/t", "--select", "mean_logprob")
    assert process.returncode == 2
    assert "mean_logprob needs log-probabilities" in process.stderr


def test_dry_run_prints_the_first_prompt_and_starts_nothing(folder: Path) -> None:
    process = nbest(folder, "run", "config.yaml", "--dry-run", "--limit", "5")
    assert (process.returncode, process.stdout) == (0, "Q: What is 0?\n")
    assert process.stderr.splitlines() == [
        "-- the prompt of the first of 5 questions, 8 samples each",
        "-- drawn from fake (fake), 10,240 tokens at most",
        "-- kept in runs/t",
        "-- graded by number: the first gold answer is '42'",
    ]
    assert not (folder / "runs").exists()


def test_a_dry_run_says_what_is_there_and_what_is_read_in_gold_answers(folder: Path) -> None:
    rows = (folder / "questions.jsonl").read_text().replace('"42"', '"6 * 7 = 42\\n#### 42"')
    (folder / "questions.jsonl").write_text(rows)
    changes = ["--set", 'dataset.answer_after="####"']
    nbest(folder, "run", "config.yaml", *changes, "--limit", "4")
    said = nbest(folder, "run", "config.yaml", *changes, "--dry-run").stderr
    assert "-- kept in runs/t, 4 questions there" in said
    assert "the first gold answer is '42', and extract reads '42' in its derivation" in said
    document = json.loads(nbest(folder, "run", "config.yaml", "--dry-run", "--json").stdout)
    assert (document["ended"], document["most_tokens"]) == (4, 12 * 8 * 256)


def test_ask_answers_in_words_and_in_json(folder: Path) -> None:
    args = ["ask", "What is 6 x 7?", "-n", "100", "--backend", "fake"]
    process = nbest(folder, *args)
    assert (process.returncode, "answer: 42" in process.stdout) == (0, True)
    document = json.loads(nbest(folder, *args, "--json").stdout)
    assert (document["answer"], len(document["samples"])) == ("42", 100)


def test_ask_stops_when_the_vote_stands_and_races_to_what_is_valid(folder: Path) -> None:
    args = ["ask", "What is 6 x 7?", "-n", "100", "--backend", "fake", "--json"]
    adaptive = json.loads(nbest(folder, *args, "--rule", "beta(confidence=0.9)").stdout)
    assert adaptive["answer"] == "42"
    assert len(adaptive["samples"]) < 100
    race = json.loads(nbest(folder, *args, "--race", 'regex(pattern="4[01]")').stdout)
    assert race["answer"] in ("40", "41")


def test_questions_that_the_budget_does_not_reach_are_told_of(folder: Path) -> None:
    budget = ["--set", "strategy={n: 8, budget: {tokens: 9, round_size: 2}}"]
    process = nbest(folder, "run", "config.yaml", *budget)
    assert process.returncode == 0, process.stderr
    assert " of 12 questions got no sample, for the budget was spent" in process.stderr


@pytest.mark.ray
def test_the_control_benchmark_answers_every_query_in_both_places(folder: Path) -> None:
    process = nbest(
        folder, "bench", "control", "--queries", "30", "-n", "4", "--rounds", "1", "--json"
    )
    assert process.returncode == 0, process.stderr
    figures = json.loads(process.stdout)
    assert {"local_samples_per_s", "ray_samples_per_s"} <= set(figures)
    assert [(r["place"], r["queries"], r["n"]) for r in figures["runs"]] == [
        ("local", 30, 4),
        ("ray", 30, 4),
    ]


BAD_INPUT = {
    "no such config": (["run", "nowhere.yaml"], "nowhere.yaml"),
    "unknown key": (["run", "config.yaml", "--set", "sampling.temprature=1"], "temperature"),
    "n is 0": (["run", "config.yaml", "--set", "strategy.n=0"], "n must be at least 1, got 0"),
    "negative temperature": (
        ["run", "config.yaml", "--set", "sampling.temperature=-1"],
        "temperature must lie in [0, 2]",
    ),
    "unknown selector": (["run", "config.yaml", "--set", "select=[votes]"], "did you mean 'vote'"),
    "unwritable run folder": (["run", "config.yaml", "--out", "config.yaml/run"], "config.yaml"),
    "folder of something else": (["run", "config.yaml", "--out", "."], "run directory must"),
    "no such dataset": (["run", "config.yaml", "--set", "dataset.path=no.jsonl"], "no.jsonl"),
    "limit is 0": (["run", "config.yaml", "--limit", "0"], "limit must be at least 1, got 0"),
    "tolerance is no number": (
        ["run", "config.yaml", "--fail-on-error", "some"],
        "--fail-on-error must be true, false, a share",
    ),
    "no such run": (["select", "runs/none", "--select", "vote"], "runs/none"),
    "unknown option": (["run", "config.yaml", "--outt", "x"], "No such option"),
    "two ways to stop": (
        ["ask", "hello", "--backend", "fake", "--rule", "beta", "--race", "json"],
        "race must be left out where there is a rule, got 'json'",
    ),
    "no such rule": (["ask", "hello", "--backend", "fake", "--rule", "bta"], "did you mean 'beta'"),
    "no question": (["ask", " ", "--backend", "fake"], "question must hold a text"),
    "unknown model": (["ask", "hello", "--model", "no such model"], "model must be"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_wrong_input_is_one_line_and_exit_2(case: str, folder: Path) -> None:
    args, message = BAD_INPUT[case]
    process = nbest(folder, *args)
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith("nbest: error: ")
    assert process.stderr.count("\n") == 1
    assert message in process.stderr
    assert process.stdout == ""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.yaml", CONFIG + "select: [", "config.yaml:"),
        ("questions.jsonl", "", "at least one question"),
        ("questions.jsonl", '{"question": "torn', "questions.jsonl"),
    ],
)
def test_broken_files_are_one_line_and_exit_2(
    name: str, text: str, message: str, folder: Path
) -> None:
    (folder / name).write_text(text)
    process = nbest(folder, "run", "config.yaml")
    assert (process.returncode, process.stderr.count("\n")) == (2, 1), process.stderr
    assert message in process.stderr


def test_a_question_without_text_is_an_error_row_and_exit_3(folder: Path) -> None:
    with (folder / "questions.jsonl").open("a") as file:
        file.write('{"id": "blank", "question": " ", "answer": "42"}\n')
    process = nbest(folder, "run", "config.yaml")
    assert process.returncode == 3
    assert "blank failed: " in process.stderr
    assert "1 of 13 questions failed" in process.stderr
    outcomes = Counter(str(r.outcome) for r in RunReader(folder / "runs/t").records())
    assert outcomes == {"answered": 12, "error": 1}
    tolerant = nbest(folder, "run", "config.yaml", "--fail-on-error", "0.1")
    assert tolerant.returncode == 0


def test_a_changed_setting_is_refused_with_the_difference(folder: Path) -> None:
    nbest(folder, "run", "config.yaml")
    process = nbest(folder, "run", "config.yaml", "--set", "sampling.temperature=0.5")
    assert process.returncode == 2
    assert "sampling.temperature: 1.0 in the run, 0.5 now" in process.stderr


def test_help_imports_nothing_heavy() -> None:
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nbest", "--help"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in process.stderr.splitlines()
    }
    assert "typer" in imported
    assert not imported & {"numpy", "pyarrow", "pydantic", "ray", "torch", "vllm", "transformers"}
    for name in ("run", "select", "ask", "doctor"):
        assert f"\n  {name} " in process.stdout


def start_nbest(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*args),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def committed_files(run: Path) -> list[Path]:
    return sorted(run.glob("samples/*.parquet"))


def wait_for_samples(run: Path, process: subprocess.Popen[str], files: int) -> None:
    """Returns when so many files of samples are committed; the pace of the fake makes that soon."""
    while len(committed_files(run)) < files:
        assert process.poll() is None, process.communicate()


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def place(request: pytest.FixtureRequest) -> list[str]:
    return [] if request.param == "local" else ["--set", "cluster={engines: 2, workers: 2}"]


# Each sample takes a fifth of a second and eight run at once: three seconds in all.
SLOW = ["--set", "model.token_s=0.2", "--set", "model.max_concurrency=8"]


def test_sigkill_in_mid_run_then_the_same_command(folder: Path, place: list[str]) -> None:
    """Every committed sample is used again, none is there twice, and the table is the same."""
    args = ["run", "config.yaml", *SLOW, *place, "--json", "--out"]
    unbroken = nbest(folder, *args, "whole")
    run = folder / "broken"
    process = start_nbest(folder, *args, "broken")
    wait_for_samples(run, process, files=2)
    process.kill()
    process.communicate(timeout=300)
    before = dict(RunReader(run).samples())
    assert 0 < sum(map(len, before.values())) < 96
    again = nbest(folder, *args, "broken")
    assert again.returncode == 0, again.stderr
    assert again.stdout == unbroken.stdout
    after = dict(RunReader(run).samples())
    assert {q: len(samples) for q, samples in after.items()} == {f"q{i}": 8 for i in range(12)}
    stored = {s.id: s for samples in after.values() for s in samples}
    assert len(stored) == 96
    assert all(stored[s.id] == s for samples in before.values() for s in samples)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_exits_75_and_keeps_what_it_had(
    folder: Path, place: list[str], number: signal.Signals
) -> None:
    process = start_nbest(folder, "run", "config.yaml", *SLOW, *place)
    wait_for_samples(folder / "runs/t", process, files=1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 75, errors
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors
    assert sum(len(samples) for _, samples in RunReader(folder / "runs/t").samples()) > 0
