"""`--base-url`: a question and a whole run, asked of a server that runs already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Request
from tests.model_backend.openai.fake_server import FakeServer, says, served_in_a_thread

KEY = "sk-planted-91c0"
CONFIG = """
name: t
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "Q: {question}", chat: true}
model: {backend: vllm, model: small, max_model_len: 512}
sampling: {logprobs: 0}
strategy: {n: 4}
select: [vote, mean_logprob]
extract: last_number
grade: number
cluster: {local: true}
"""


def script(request: Request) -> Reply:
    seed = request.seed or 0
    return Reply(tokens=(f"{seed} words: ", "42" if seed % 3 else "41"))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with served_in_a_thread(FakeServer(script, model="small", key=KEY)) as serving:
        yield serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "42"} for i in range(5)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def nbest(folder: Path, *args: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": root, "COLUMNS": "200", "PLANTED": key}
    command = [sys.executable, "-m", "nbest", *args]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def at(server: FakeServer) -> tuple[str, ...]:
    return "--base-url", server.url, "--api-key-env", "PLANTED"


def test_a_question_goes_to_the_one_model_that_is_served(server: FakeServer, folder: Path) -> None:
    process = nbest(folder, "ask", "What is 17 + 25?", "-n", "6", *at(server), "--json")
    assert process.returncode == 0, process.stderr
    document = json.loads(process.stdout)
    assert document["answer"] in ("41", "42")
    assert len(document["samples"]) == 6
    assert {body["model"] for body in server.bodies} == {"small"}
    assert server.bodies[-1]["messages"][-1]["content"].startswith("What is 17 + 25?")


def test_a_run_goes_to_a_server_in_place_of_its_own_engine(
    server: FakeServer, folder: Path
) -> None:
    process = nbest(folder, "run", "config.yaml", *at(server))
    assert process.returncode == 0, process.stderr
    samples = dict(RunReader(folder / "runs/t").samples())
    assert {name: len(drawn) for name, drawn in samples.items()} == {f"q{i}": 4 for i in range(5)}
    drawn = len(server.bodies)
    again = nbest(folder, "run", "config.yaml", *at(server))
    assert again.returncode == 0, again.stderr
    assert len(server.bodies) - drawn <= 3  # those that look whether the server minds seeds
    chosen = nbest(folder, "select", "runs/t", "--select", "vote,mean_logprob,first")
    assert chosen.returncode == 0, chosen.stderr


def test_a_key_is_in_no_file_and_in_no_output(server: FakeServer, folder: Path) -> None:
    outputs = [nbest(folder, "run", "config.yaml", *at(server))]
    server.faults.extend([says(400, {"error": {"message": f"no: Bearer {KEY}"}})] * 50)
    outputs.append(nbest(folder, "run", "config.yaml", *at(server), "--set", "strategy.n=6"))
    server.faults.clear()
    more = ("--set", "strategy.n=8")
    outputs.append(nbest(folder, "run", "config.yaml", *at(server), *more, key="sk-wrong-77"))
    outputs.append(nbest(folder, "ask", "x", *at(server), key="sk-wrong-77"))
    assert [process.returncode for process in outputs[2:]] == [2, 2]
    everything = "".join(process.stdout + process.stderr for process in outputs).encode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    for text in (everything, *(path.read_bytes() for path in files)):
        assert KEY.encode() not in text
        assert b"sk-wrong-77" not in text


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["--base-url", "localhost:1"], "base_url must be an address as http://HOST:PORT/v1"),
        (["--api-key-env", "PLANTED"], "api_key_env must be given with base_url"),
    ],
)
def test_wrong_input_is_one_line(folder: Path, args: list[str], what: str) -> None:
    for command in (["ask", "x"], ["run", "config.yaml"]):
        process = nbest(folder, *command, *args)
        assert process.returncode == 2
        assert what in process.stderr
        assert process.stderr.count("\n") == 1


def test_settings_that_a_server_cannot_be_given_are_named(server: FakeServer, folder: Path) -> None:
    for setting, what in (("dtype: float32", "model.dtype"), ("reasoning: qwen3", "model.reason")):
        text = CONFIG.replace("max_model_len: 512", f"max_model_len: 512, {setting}")
        (folder / "other.yaml").write_text(text)
        process = nbest(folder, "run", "other.yaml", *at(server))
        assert process.returncode == 2
        assert f"{what}" in process.stderr
        assert "must be left out with base_url" in process.stderr


def test_settings_of_an_endpoint_are_kept_and_arguments_of_the_template_go_along(
    server: FakeServer, folder: Path
) -> None:
    template = "chat_template_kwargs: {enable_thinking: false}"
    (folder / "a.yaml").write_text(CONFIG.replace("max_model_len: 512", template))
    section = "model: {backend: openai, model: small, base_url: 'http://x/v1', seeds: none}"
    lines = [section if line.startswith("model:") else line for line in CONFIG.splitlines()]
    (folder / "b.yaml").write_text("\n".join(lines))
    for name in ("a", "b"):
        out = ("--out", f"runs/{name}")
        process = nbest(folder, "run", f"{name}.yaml", *at(server), *out)
        assert process.returncode == 0, process.stderr
    thinking = [body.get("chat_template_kwargs") for body in server.bodies]
    assert {"enable_thinking": False} in thinking
    assert "seed" not in server.bodies[-1]


def test_a_run_says_what_it_has_cost(server: FakeServer, folder: Path) -> None:
    price = ("--set", "model.price={input: 1000, output: 1000}")
    process = nbest(folder, "run", "config.yaml", *at(server), *price)
    assert process.returncode == 0, process.stderr
    # 20 samples, three prompt tokens and two generated ones each, a tenth of a cent a token
    assert "price: $0.1000 for 60 prompt tokens and 40 generated" in process.stdout


def test_a_backend_and_a_server_are_one_too_many(server: FakeServer, folder: Path) -> None:
    process = nbest(folder, "ask", "x", *at(server), "--backend", "fake")
    assert process.returncode == 2
    assert "backend must be left out with base_url" in process.stderr


def test_another_name_than_the_configs(server: FakeServer, folder: Path) -> None:
    process = nbest(folder, "run", "config.yaml", *at(server), "--model", "smal")
    assert process.returncode == 2
    assert "got 'smal'; did you mean 'small'?" in process.stderr
