"""What pages and `--help` show is done as it stands: commands, expressions, pieces of configs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.language.expressions import split_expressions
from nbest.experiments.starters.write import write_starter
from nbest.model_backend.fake.script import SeededAnswers
from nbest.orchestrator.store.choices import Sitting
from nbest.orchestrator.store.reader import RunReader
from tests.model_backend.openai.fake_server import FakeServer, served_in_a_thread
from tests.test_docs import PAGES, ROOT, code_blocks

CONFIG = """
name: shown
dataset: {kind: jsonl, path: q.jsonl}
prompt: {template: "{question}"}
model: {backend: fake}
sampling: {logprobs: 5}
strategy: {n: 64}
select: [vote]
extract: last_number
grade: number
cluster: {local: true}
"""
# What stands for a user's own things.
STAND_INS = {
    "CONFIG.yaml": "c.yaml",
    "POOL.jsonl": "pool.jsonl",
    "RUN...": "RUN",
    "K": "2",
    "a.b=c": "strategy.n=4",
    "QUESTION": "q0",
    "FILE.csv|jsonl|parquet": "FILE.csv|FILE.jsonl|FILE.parquet",
}
EXAMPLE = "http://localhost:8000/v1"  # of a server that runs already
# They start engines, serve a page, train, measure, or want other packages: tests of their own do.
NOT_HERE = {"bench", "pick", "train-verifier", "doctor", "track"}


def shown_in_pages() -> Iterator[str]:
    for page in PAGES:
        for block in code_blocks(page, ""):
            for line in block.replace("\\\n", " ").splitlines():
                if shown := re.match(r"(?:\.venv/bin/)?nbest (.*)", line):
                    yield re.split(r"\s{2,}|\s#", shown[1])[0]  # the rest says what it does


def shown_by_help() -> Iterator[str]:
    def examples(command: Any) -> Iterator[str]:
        for inner in getattr(command, "commands", {}).values():
            yield from examples(inner)
        if epilog := getattr(command, "epilog", None):
            yield epilog.partition("nbest ")[2]

    yield from examples(typer.main.get_command(app))


def variants(line: str) -> Iterator[list[str]]:
    """The words of a line, once with each of the alternatives that it shows as `a|b`."""
    plain = re.sub(r"[\[\]](?![^']*'$)", "", line) if "'" not in line else line.replace(" [", " ")
    words = [STAND_INS.get(word, word) for word in shlex.split(plain.replace("] ", " "))]
    words = [word.rstrip("]") if "[" not in word else word for word in words]
    choices = [word.split("|") for word in words]
    for place in range(max(map(len, choices))):
        yield [options[min(place, len(options) - 1)] for options in choices]


COMMANDS = sorted({line for line in (*shown_in_pages(), *shown_by_help()) if line})


def test_there_are_commands_at_all() -> None:
    assert len(COMMANDS) > 25


def write_foreign_files(folder: Path) -> None:
    """The files of other programs that docs/pools.md imports."""
    choices = [{"message": {"content": "42"}, "finish_reason": "stop"}]
    files: dict[str, dict[str, object]] = {
        "samples_gsm8k_2026-01-02.jsonl": {"doc_id": 0, "target": "42", "resps": [["42"]]},
        "requests.jsonl": {"custom_id": "a", "body": {"prompt": "?"}},
        "results.jsonl": {"custom_id": "a", "response": {"body": {"choices": choices}}},
        "log.eval": {"version": 2, "status": "success"}
        | {"samples": [{"id": "a", "target": "42", "output": {"choices": choices}}]},
    }
    generation = {"problem": "?", "generation": "42", "predicted_answer": "42"}
    files |= {f"output-rs{seed}.jsonl": generation for seed in range(3)}
    for name, row in files.items():
        (folder / name).write_text(json.dumps(row) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    rows = [{"id": f"q{i}", "question": f"{i}?", "answer": "42"} for i in range(12)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "q.jsonl").write_text(lines)
    (folder / "gsm8k").mkdir()
    (folder / "gsm8k" / "test.jsonl").write_text(lines.replace("42", "#### 42"))
    write_foreign_files(folder)
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "person.json").write_text('{"type": "object"}')
    real = {**yaml.safe_load(CONFIG), "model": {"model": "a/b"}, "cluster": {}}
    (folder / "real.yaml").write_text(yaml.safe_dump(real))
    (folder / "experiments").symlink_to(ROOT / "experiments")
    sample = {"text": "42", "logprobs": [-1.0], "tokens": 1}
    pool = [{"id": f"q{i}", "gold": "42", "samples": [sample] * 64} for i in range(12)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in pool))
    (folder / "runs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_starter("own", Path("mine"))
        shutil.copy(Path("mine") / "questions.jsonl", "questions.jsonl")
        (own,) = code_blocks(ROOT / "README.md", "yaml")
        Path("own.yaml").write_text(own)
        for named in ([], ["--set", "name=own"]):  # in the tutorial, and in the README
            words = ["run", "mine/config.yaml", "--quiet", *named]
            assert CliRunner().invoke(app, words).exit_code == 0
        words = ["run", "c.yaml", "--quiet", "--out"]
        for name in ("RUN", "runs/demo", "runs/other", "runs/people", "runs/pool"):
            assert CliRunner().invoke(app, [*words, name]).exit_code == 0
        panel = ("--set", "arms=[{name: small}, {name: large}]", "--set", "strategy.n=16")
        assert CliRunner().invoke(app, [*words, "runs/panel", *panel]).exit_code == 0
        chains = (
            "backend: chains_fake, depth: 3, p: 0.7",
            "search: beam, n: 16, score: mean_logprob",
        )
        model, strategy = (f"{{{part}}}" for part in chains)
        sets = ("--set", f"model={model}", "--set", f"strategy={strategy}")
        assert CliRunner().invoke(app, [*words, "runs/search", *sets]).exit_code == 0
        texts = [sample.text for sample in RunReader("RUN").stored_samples().of("q0")]
        other = next(i for i, text in enumerate(texts) if text != texts[0])
        Sitting("RUN").add("q0", other, [0, other])
    return folder


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server that runs already."""
    answers = SeededAnswers(
        answers=tuple(f"The answer is {i}." for i in range(50)), weights=(1,) * 50
    )
    with served_in_a_thread(FakeServer(answers)) as server:
        yield server.url


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_shown_works(
    line: str, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = line.split()[0]
    if command in NOT_HERE:
        pytest.skip("it starts engines, serves a page, trains, measures, or wants other packages")
    monkeypatch.chdir(folder)
    for place, words in enumerate(variants(line)):
        if ">" in words:  # what a shell does with its output is its own affair
            words = words[: words.index(">")]
        if command == "run":  # of a real model, or on a cluster: all of its config is checked
            needs_real = any("model.model" in word or "cluster." in word for word in words)
            config = "real.yaml" if needs_real else words[1]
            words = ["run", config, *words[2:], "--dry-run"]
        elif "arms=" in line or command == "fit-weights":
            words = [words[0], "runs/panel", *words[2:]]
        elif command == "view" and "--out" not in words:  # it would serve the page for ever
            words += ["--out", f"{abs(hash(line))}-{place}.html"]
        elif command == "verify":  # it reads a run, and the config of it
            words = ["verify", "c.yaml", "--out", "RUN", *words[4:]]
        elif "--out" in words:
            out = words.index("--out") + 1
            words[out] = f"{abs(hash(line))}-{place}-{Path(words[out]).name}"
        if "--base-url" in words:
            words = [url if word in ("URL", EXAMPLE) else word for word in words]
        elif command == "ask":
            words += ["--backend", "fake"]
        if command == "select" and "reward(" in line:  # there is no such verifier
            assert build_scorer(split_expressions(words[words.index("--select") + 1])[0])
            continue
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{words}: {result.output} {result.exception}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_expressions_that_are_shown_can_be_built(page: Path) -> None:
    for text in re.findall(r"--select '([^']*)'", page.read_text()):
        for expression in split_expressions(text):
            assert build_scorer(expression) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_pieces_of_configs_fit_a_config(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    inline = re.findall(r"`((?:strategy|cluster|dataset|prompt|sampling|model): \{[^`]*\})`", text)
    for piece in [*inline, *code_blocks(page, "yaml")]:
        read = yaml.safe_load(piece)
        if "scrape_configs" in read:  # of Prometheus
            continue
        path = tmp_path / "c.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(CONFIG), read)))
        assert load_config(path)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the sections of a piece put over it; a piece may change what they need."""
    both = {**base, **more}
    if "deep_conf" in both.get("strategy", {}):
        both["sampling"] = {"logprobs": 20}
    if "output" in more:  # it sets these
        both |= {"select": None, "extract": None, "grade": None}
    if "race" in both.get("strategy", {}):
        both["select"] = ["first"]
    return both
