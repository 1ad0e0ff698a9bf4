"""Tokens of Ray clusters: whoever reaches a cluster without tokens may run any program on it.

Ray 2.60 decides about tokens in every process, from RAY_AUTH_MODE (`token` or `disabled`); a token
is RAY_AUTH_TOKEN, or the file that RAY_AUTH_TOKEN_PATH names, or ~/.ray/auth_token. A client with
RAY_AUTH_MODE=token joins an open cluster without a warning, so the variable proves nothing. This
module asks the cluster itself, without a token, whether it is alive. One that answers is open.

This module knows no run and starts nothing. A Ray that a run starts for itself has tokens on by
default; for that, this module only keeps the token in a file that nobody else can read.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from nbest.orchestrator.errors import InputError

# A call of Ray's head that every version since 2.0 has. An empty message is a whole request.
_IS_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"

# A head answers in milliseconds. If one does not, `ray.init` decides, with its own timeout.
_ANSWER_S = 3.0


class Door(StrEnum):
    """How a cluster receives a caller who has no token."""

    OPEN = "open"
    LOCKED = "locked"
    UNKNOWN = "unknown"  # nobody is there, or it speaks TLS only


def door_of(address: str, token: str = "") -> Door:
    """Ask the head at HOST:PORT, with this token or none, whether it is alive."""
    import grpc  # type: ignore[import-untyped]  # comes with ray[default]

    # Ray itself uses no proxy either.
    header = [("authorization", f"Bearer {token}")] if token else []
    channel: Any = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    try:
        channel.unary_unary(_IS_ALIVE)(b"", timeout=_ANSWER_S, metadata=header)
    except grpc.RpcError as error:
        refused = error.code() is grpc.StatusCode.UNAUTHENTICATED
        return Door.LOCKED if refused else Door.UNKNOWN
    finally:
        channel.close()
    return Door.OPEN


def known_address(address: str, environment: Mapping[str, str]) -> str | None:
    """Return HOST:PORT if it is known without Ray; None where Ray will look for a cluster."""
    if address == "auto":
        address = environment.get("RAY_ADDRESS") or _last_started(environment) or "auto"
    if "://" in address:
        rule = "be auto or HOST:PORT (for a cluster that you are not in, submit a job to it)"
        raise InputError(f"address must {rule}, got {address!r}")
    return None if address == "auto" else address


def _last_started(environment: Mapping[str, str]) -> str:
    """The cluster that Ray has noted as the last one started here; it may have ended since.

    Empty where a head runs on this machine: Ray looks for those itself.
    """
    heads = (path for path in Path("/proc").glob("[0-9]*/comm") if _text(path) == "gcs_server")
    if next(heads, None) is not None:
        return ""
    folder = environment.get("RAY_TMPDIR") or environment.get("TMPDIR") or "/tmp"
    return _text(Path(folder, "ray", "ray_current_cluster"))


def _text(path: Path) -> str:
    """What a file holds, without the white space around it; empty where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def require_answer(address: str, environment: Mapping[str, str]) -> None:
    """Raise InputError where no head of Ray answers at HOST:PORT: Ray would wait without end.

    A cluster that speaks TLS only is left to Ray.
    """
    uses_tls = environment.get("RAY_USE_TLS", "0").lower() not in ("", "0", "false")
    if not uses_tls and door_of(address) is Door.UNKNOWN:
        rule = f"be that of a Ray cluster that answers (nobody does within {_ANSWER_S:g} s)"
        raise InputError(f"address must {rule}, got {address!r}")


def require_tokens(
    address: str,
    *,
    allow_unauthenticated: bool,
    environment: Mapping[str, str],
    is_connected: bool = True,  # if not, there may be no cluster; Ray reports that
) -> None:
    """Raise InputError unless the cluster at HOST:PORT asks for a token and ours is right."""
    has_token_mode = environment.get("RAY_AUTH_MODE", "").lower() == "token"
    door = door_of(address)
    if door is Door.LOCKED and not has_token_mode:
        rule = "be token to join a cluster that asks for one"
        mode = environment.get("RAY_AUTH_MODE", "")
        raise InputError(f"RAY_AUTH_MODE must {rule} ({address}), got {mode!r}")
    if door is Door.LOCKED and door_of(address, _token(environment)) is Door.LOCKED:
        path = token_file(environment)
        rule = f"hold the token of the Ray cluster at {address}"
        raise InputError(f"{path or 'RAY_AUTH_TOKEN'} must {rule}, got another one or none")
    is_open = door is Door.OPEN or (door is Door.UNKNOWN and is_connected and not has_token_mode)
    if is_open and not allow_unauthenticated:
        raise InputError(
            "address must be that of a Ray cluster with token authentication, for without it "
            "anybody on its network can run programs there (start Ray with RAY_AUTH_MODE=token; "
            f"or set allow_unauthenticated, --allow-unauthenticated-ray), got {address!r}"
        )


def token_file(environment: Mapping[str, str]) -> Path | None:
    """Return where Ray reads its token; None where the environment holds the token itself."""
    if environment.get("RAY_AUTH_TOKEN"):
        return None
    if path := environment.get("RAY_AUTH_TOKEN_PATH"):
        return Path(path)
    return Path(environment.get("HOME") or Path.home(), ".ray", "auth_token")


def _token(environment: Mapping[str, str]) -> str:
    path = token_file(environment)
    if path is None:
        return environment["RAY_AUTH_TOKEN"].strip()
    return _text(path)


def keep_token_private(environment: Mapping[str, str]) -> None:
    """Make the token file readable by its owner alone.

    A file of this user is narrowed without a message: Ray makes it readable by all, and only
    processes of this user need it. A file of another owner, such as a secret from Kubernetes, stays
    as it is if only a group can read it. Raises InputError if everybody can.
    """
    path = token_file(environment)
    if path is None or not path.exists():
        return
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return
    if status.st_uid == os.geteuid():
        with suppress(OSError):  # a file system that is read-only
            path.chmod(0o600)
            return
    if mode & 0o007:
        rule = f"be readable by its owner alone: chmod 600 {path}"
        raise InputError(f"token file must {rule}, got mode {mode:04o}")


def make_token(environment: Mapping[str, str]) -> None:
    """Make the token of this user before Ray does, in a file that is private from the start."""
    mode = environment.get("RAY_AUTH_MODE", "token").lower()
    if mode != "token" or environment.get("RAY_AUTH_TOKEN_PATH"):
        return
    path = token_file(environment)
    if path is None or path.exists():
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path, secrets.token_hex(32))
    except OSError as error:
        rule = f"be a folder that can be written, for Ray keeps its token there ({error.strerror})"
        raise InputError(f"HOME must {rule}, got {str(path.parents[1])!r}") from error


def _write_once(path: Path, text: str) -> None:
    """Write a private file whole, unless another process is first."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
