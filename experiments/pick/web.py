"""`nbest pick --web`: the same choices on a page that only this user of this machine can open.

It listens on loopback alone. The first address holds a secret; from then on a cookie holds it,
which no script can read and no other site can send. The page loads nothing from anywhere else, and
what a model wrote travels as JSON and is shown as text.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

from nbest.experiments.pick.session import PickSession
from nbest.orchestrator.errors import InputError, first_line

COOKIE = "nbest_pick"
MAX_BODY = 10_000

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
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


class PickServer(ThreadingHTTPServer):
    """Serves one session to those who know the secret; `url` opens it."""

    daemon_threads = True

    def __init__(self, session: PickSession, port: int = 0) -> None:
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or first_line(error)
            raise InputError(f"port must be one that is free, got {port} ({why})") from error
        self.session = session
        self.lock = threading.Lock()
        self.secret = secrets.token_urlsafe(32)

    @property
    def host(self) -> str:
        """The host and port as a browser on this machine names them."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/?token={self.secret}"


class _Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: PickServer
    server_version = "nbest"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        token = parse_qs(parts.query).get("token", [""])[0]
        if not self._is_for_us():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif parts.path == "/" and token:
            self._let_in(token)
        elif not self._has_secret():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif parts.path == "/screen":
            self._show()
        elif parts.path in _FILES:
            name, kind = _FILES[parts.path]
            self._send((files("nbest.experiments.pick") / name).read_bytes(), kind)
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        is_ours = self.headers.get("Origin") == f"http://{self.server.host}"
        is_json = self.headers.get_content_type() == "application/json"
        length = self.headers.get("Content-Length", "")
        if not (self._is_for_us() and self._has_secret() and is_ours and is_json):
            self._refuse(HTTPStatus.FORBIDDEN)
        elif urlsplit(self.path).path != "/press":
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not (length.isdigit() and int(length) <= MAX_BODY):
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._press(self.rfile.read(int(length)))

    def _press(self, body: bytes) -> None:
        try:
            press = json.loads(body)
            key, query_id = str(press["key"]), press["query_id"]
        except (ValueError, KeyError, TypeError):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        with self.server.lock:
            is_current = query_id == self.server.session.screen.query_id
            is_done = is_current and self.server.session.press(key)
        if is_done:
            self._show()
        else:  # meant for another question, or for none
            self._refuse(HTTPStatus.CONFLICT)

    def _show(self) -> None:
        with self.server.lock:
            screen = asdict(self.server.session.screen)
        self._send(json.dumps(screen).encode(), "application/json")

    def _let_in(self, token: str) -> None:
        """Move the secret from the address, where others may see it, into a cookie."""
        if not hmac.compare_digest(token.encode(), self.server.secret.encode()):
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/")
        cookie = f"{COOKIE}={self.server.secret}; HttpOnly; SameSite=Strict; Path=/"
        self.send_header("Set-Cookie", cookie)
        self._end_headers(0)

    def _is_for_us(self) -> bool:
        """Refuse another name for 127.0.0.1: a page elsewhere may have had its name point here."""
        return self.headers.get("Host") == self.server.host

    def _has_secret(self) -> bool:
        secret = f"{COOKIE}={self.server.secret}"
        cookies = [part.strip() for part in self.headers.get("Cookie", "").split(";")]
        return any(hmac.compare_digest(cookie.encode(), secret.encode()) for cookie in cookies)

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self._end_headers(len(data))
        self.wfile.write(data)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self._end_headers(0)

    def _end_headers(self, length: int) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the first address holds the secret."""
