"""Tests that an open Ray cluster is refused, a locked one joined, and the token file private."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbest.orchestrator.cluster.auth import (
    Door,
    door_of,
    keep_token_private,
    known_address,
    make_token,
    require_tokens,
    token_file,
)
from nbest.orchestrator.errors import InputError

pytest.importorskip("ray")

TOKEN = "0123456789abcdef" * 4
ROOT = Path(__file__).parents[3]
RAY = Path(sys.executable).with_name("ray")


# -- the file of the token ----------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_token_is_where_ray_looks_for_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert token_file(home) == tmp_path / ".ray" / "auth_token"
    assert token_file({**home, "RAY_AUTH_TOKEN_PATH": "/secrets/ray"}) == Path("/secrets/ray")
    assert token_file({**home, "RAY_AUTH_TOKEN_PATH": "/x", "RAY_AUTH_TOKEN": TOKEN}) is None


def test_a_new_token_is_private_long_and_never_made_twice(tmp_path: Path) -> None:
    path = tmp_path / ".ray" / "auth_token"
    make_token({"HOME": str(tmp_path)})
    first = path.read_text()
    assert len(bytes.fromhex(first)) == 32
    assert mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700
    make_token({"HOME": str(tmp_path)})
    assert path.read_text() == first
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    "environment",
    [
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_TOKEN": TOKEN},
        {"RAY_AUTH_TOKEN_PATH": "/nowhere/token"},
    ],
)
def test_no_token_is_made_where_the_user_has_decided(
    environment: dict[str, str], tmp_path: Path
) -> None:
    make_token({"HOME": str(tmp_path), **environment})
    assert os.listdir(tmp_path) == []


def test_a_home_that_holds_no_token_is_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(InputError, match=r"^HOME must be a folder that can be written, for Ray"):
        make_token({"HOME": str(tmp_path / "home")})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_narrowed(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(mode)
    keep_token_private({"RAY_AUTH_TOKEN_PATH": str(path)})
    assert mode_of(path) == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_left_alone(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(mode)
    keep_token_private({"RAY_AUTH_TOKEN_PATH": str(path)})
    assert mode_of(path) == mode


def test_no_file_no_fault(tmp_path: Path) -> None:
    keep_token_private({"HOME": str(tmp_path)})
    keep_token_private({"RAY_AUTH_TOKEN": TOKEN})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file somebody else's")
def test_somebody_elses_file_is_refused_if_everybody_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    os.chown(path, 65534, 65534)
    path.chmod(0o440)
    keep_token_private({"RAY_AUTH_TOKEN_PATH": str(path)})  # as Kubernetes gives it to a group
    assert mode_of(path) == 0o440
    path.chmod(0o644)
    with pytest.raises(InputError) as raised:
        keep_token_private({"RAY_AUTH_TOKEN_PATH": str(path)})
    expected = f"token file must be readable by its owner alone: chmod 600 {path}, got mode 0644"
    assert str(raised.value) == expected


# -- the address --------------------------------------------------------------------------------


def test_an_address_is_known_unless_ray_has_to_look_for_it(tmp_path: Path) -> None:
    nothing_started = {"TMPDIR": str(tmp_path)}  # whatever other tests have started here
    assert known_address("10.0.0.1:6379", {"RAY_ADDRESS": "10.9.9.9:1"}) == "10.0.0.1:6379"
    assert known_address("auto", {"RAY_ADDRESS": "10.0.0.1:6379"}) == "10.0.0.1:6379"
    assert known_address("auto", {"RAY_ADDRESS": "auto"}) is None
    assert known_address("auto", nothing_started) is None


@pytest.mark.parametrize("address", ["ray://head:10001", "auto"])
def test_a_client_of_ray_is_told_to_submit_a_job(address: str) -> None:
    with pytest.raises(InputError, match=r"^address must be auto or HOST:PORT .*submit a job"):
        known_address(address, {"RAY_ADDRESS": "ray://head:10001"})


# -- real clusters ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Head:
    """A running `ray start --head`."""

    address: str
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean(**more: str) -> dict[str, str]:
    """Return this environment without the variables of Ray."""
    return {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | more


def start_head(folder: str, **environment: str) -> Head:
    port = free_port()
    command = [str(RAY), "start", "--head", "--block", "--port", str(port), "--num-cpus", "4"]
    command += ["--node-ip-address", "127.0.0.1", "--temp-dir", folder]
    command += ["--include-dashboard=false", "--disable-usage-stats"]
    process = subprocess.Popen(
        command,
        env=clean(PYTHONPATH=str(ROOT), **environment),  # as if nbest were installed
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if b"--block" in line:  # printed once all is up
            return Head(address=f"127.0.0.1:{port}", process=process)
    pytest.fail(b"".join(lines).decode())


@pytest.fixture(scope="module")
def heads() -> Iterator[dict[str, Head]]:
    """One cluster that asks for a token and one that does not."""
    running: dict[str, Head] = {}
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        try:
            running["locked"] = start_head(
                f"{folder}/l", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN
            )
            running["open"] = start_head(f"{folder}/o", RAY_AUTH_MODE="disabled")
            yield running
        finally:
            for head in running.values():
                head.process.terminate()
            for head in running.values():
                head.process.communicate()


def refusal(address: str, environment: dict[str, str], *, is_connected: bool = True) -> str:
    with pytest.raises(InputError) as raised:
        require_tokens(
            address,
            allow_unauthenticated=False,
            environment=environment,
            is_connected=is_connected,
        )
    return str(raised.value)


@pytest.mark.ray
def test_a_cluster_is_asked_itself(heads: dict[str, Head]) -> None:
    assert door_of(heads["locked"].address) is Door.LOCKED
    assert door_of(heads["open"].address) is Door.OPEN
    assert door_of(f"127.0.0.1:{free_port()}") is Door.UNKNOWN


@pytest.mark.ray
def test_an_open_cluster_is_refused_whatever_the_environment_says(heads: dict[str, Head]) -> None:
    address = heads["open"].address
    for environment in ({}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token"}):
        text = refusal(address, environment)
        assert text.startswith("address must be that of a Ray cluster with token authentication, ")
        assert text.endswith(f"--allow-unauthenticated-ray), got {address!r}")
    require_tokens(address, allow_unauthenticated=True, environment={})


@pytest.mark.ray
def test_a_locked_cluster_wants_our_token_mode(heads: dict[str, Head]) -> None:
    address = heads["locked"].address
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    require_tokens(address, allow_unauthenticated=False, environment=ours)
    text = refusal(address, {"RAY_AUTH_TOKEN": TOKEN})
    rule = "RAY_AUTH_MODE must be token to join a cluster that asks for one"
    assert text == f"{rule} ({address}), got ''"


@pytest.mark.ray
def test_a_locked_cluster_wants_its_own_token(heads: dict[str, Head], tmp_path: Path) -> None:
    address, path = heads["locked"].address, tmp_path / "token"
    mode = {"RAY_AUTH_MODE": "token"}
    rule = f"must hold the token of the Ray cluster at {address}, got another one or none"
    assert refusal(address, {**mode, "RAY_AUTH_TOKEN": "wrong"}) == f"RAY_AUTH_TOKEN {rule}"
    in_file = {**mode, "RAY_AUTH_TOKEN_PATH": str(path)}
    assert refusal(address, in_file) == f"{path} {rule}"
    path.write_text(f"{TOKEN}\n")
    require_tokens(address, allow_unauthenticated=False, environment=in_file)


def test_where_nobody_answers_the_mode_decides_and_only_once_we_are_in() -> None:
    address = f"127.0.0.1:{free_port()}"
    require_tokens(address, allow_unauthenticated=False, environment={}, is_connected=False)
    require_tokens(address, allow_unauthenticated=False, environment={"RAY_AUTH_MODE": "token"})
    assert "with token authentication" in refusal(address, {})


CONFIG = """\
name: fake
dataset: {kind: jsonl, path: questions.jsonl, question: question, answer: answer}
prompt: {template: "Q: {question}\\nA:"}
model: {backend: fake, answers: ["42", "41"], weights: [2, 1]}
sampling: {max_tokens: 8}
strategy: {n: 4}
select: [vote]
extract: last_number
grade: number
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "questions.jsonl").write_text('{"question": "6 x 7", "answer": "42"}\n' * 3)
    return tmp_path


def nbest_run(
    folder: Path, address: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "nbest",
        "run",
        str(folder / "config.yaml"),
    ]
    command += ["--out", str(folder / "run"), "--set", f"cluster.address={address}", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env=clean(HOME=str(folder), PYTHONPATH=str(ROOT), **environment),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.ray
def test_a_run_on_an_open_cluster_must_be_asked_for(heads: dict[str, Head], folder: Path) -> None:
    address = heads["open"].address
    refused = nbest_run(folder, address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)
    assert refused.returncode == 2
    assert refused.stderr.startswith("nbest: error: address must be that of a Ray cluster with")
    asked_for = nbest_run(folder, address, "--allow-unauthenticated-ray")
    assert asked_for.returncode == 0, asked_for.stderr


@pytest.mark.ray
def test_a_job_inside_a_locked_cluster_just_works(heads: dict[str, Head], folder: Path) -> None:
    """Ray's job server gives a job RAY_ADDRESS, and the environment of the head."""
    inside = {"RAY_ADDRESS": heads["locked"].address, "RAY_AUTH_MODE": "token"}
    done = nbest_run(folder, "auto", **inside, RAY_AUTH_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
