"""A page that only this user of this machine can open.

It listens on loopback alone. The first address holds a secret; from then on a cookie holds it,
which no script can read and no other site can send. The page loads nothing from anywhere else, and
what a model wrote travels as JSON and is shown as text.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

from nbest.orchestrator.errors import InputError, first_line

MAX_BODY = 10_000

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def as_json(value: object) -> bytes:
    """Plain data as JSON; it holds no nan."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


class Refused(Exception):
    """Says that a request is answered by a status alone."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class LoopbackServer(ThreadingHTTPServer):
    """Serves a page to those who know the secret; `url` opens it.

    `package` holds page.html, page.css and page.js; `cookie` is the name under which a browser
    keeps the secret. InputError where the port is taken; 0 takes a free one.
    """

    daemon_threads = True

    def __init__(
        self, handler: type[LoopbackHandler], package: str, cookie: str, port: int
    ) -> None:
        try:
            super().__init__(("127.0.0.1", port), handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or first_line(error)
            raise InputError(f"port must be one that is free, got {port} ({why})") from error
        self.package = package
        self.cookie = cookie
        self.secret = secrets.token_urlsafe(32)

    @property
    def host(self) -> str:
        """The host and port as a browser on this machine names them."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/?token={self.secret}"


class LoopbackHandler(BaseHTTPRequestHandler):
    """Handles one request; `answer_get` and `answer_post` answer those that are for us."""

    server: LoopbackServer
    server_version = "nbest"
    sys_version = ""

    def answer_get(self, path: str, query: Mapping[str, str]) -> object:
        """What is at a path, as plain data or its JSON; None where nothing is."""
        return None

    def answer_post(self, path: str, body: object) -> object:
        """What comes of JSON that is sent to a path; None where nothing is, Refused else."""
        return None

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if not self._is_for_us():
            self.refuse(HTTPStatus.FORBIDDEN)
        elif parts.path == "/" and query.get("token"):
            self._let_in(query["token"])
        elif not self._has_secret():
            self.refuse(HTTPStatus.FORBIDDEN)
        elif parts.path in ("/", "/page.css", "/page.js"):
            name = parts.path.removeprefix("/") or "page.html"
            data = (files(self.server.package) / name).read_bytes()
            self._send(data, _KINDS[name.rpartition(".")[2]])
        else:
            self._tell(lambda: self.answer_get(parts.path, query))

    def do_POST(self) -> None:
        is_ours = self.headers.get("Origin") == f"http://{self.server.host}"
        is_json = self.headers.get_content_type() == "application/json"
        length = self.headers.get("Content-Length", "")
        if not (self._is_for_us() and self._has_secret() and is_ours and is_json):
            self.refuse(HTTPStatus.FORBIDDEN)
            return
        if not (length.isdigit() and int(length) <= MAX_BODY):
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            self.refuse(HTTPStatus.BAD_REQUEST)
            return
        self._tell(lambda: self.answer_post(urlsplit(self.path).path, body))

    def _tell(self, answer: Callable[[], object]) -> None:
        """Send what comes of a request as JSON, or why nothing does."""
        try:
            found = answer()
        except Refused as error:
            self.refuse(error.status)
            return
        except InputError:
            found = None
        if found is None:
            self.refuse(HTTPStatus.NOT_FOUND)
        else:
            self._send(found if isinstance(found, bytes) else as_json(found), "application/json")

    def refuse(self, status: HTTPStatus) -> None:
        """Send nothing but a status."""
        self.send_response(status)
        self._end_headers(0)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the first address holds the secret."""

    def _let_in(self, token: str) -> None:
        """Move the secret from the address, where others may see it, into a cookie."""
        if not hmac.compare_digest(token.encode(), self.server.secret.encode()):
            self.refuse(HTTPStatus.FORBIDDEN)
            return
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/")
        secret = f"{self.server.cookie}={self.server.secret}"
        self.send_header("Set-Cookie", f"{secret}; HttpOnly; SameSite=Strict; Path=/")
        self._end_headers(0)

    def _is_for_us(self) -> bool:
        """Refuse another name for 127.0.0.1: a page elsewhere may have had its name point here."""
        return self.headers.get("Host") == self.server.host

    def _has_secret(self) -> bool:
        secret = f"{self.server.cookie}={self.server.secret}".encode()
        cookies = [part.strip() for part in self.headers.get("Cookie", "").split(";")]
        return any(hmac.compare_digest(cookie.encode(), secret) for cookie in cookies)

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self._end_headers(len(data))
        self.wfile.write(data)

    def _end_headers(self, length: int) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
