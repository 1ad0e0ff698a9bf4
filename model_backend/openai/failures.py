"""What may go wrong with a server, in classes: each says what becomes of the request.

A server's own words are shown on one line, shortened, and without the key: some repeat it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from nbest.orchestrator.errors import BackendError, NbestError, RequestRejected

SHOWN_CHARACTERS = 200
LONGEST_SHOWN = 10_000  # characters that are looked at for them
LONGEST_WAIT_S = 300.0  # what a refusal may ask for at once
LONGEST_HOLD_S = 60.0  # what an answer may, that says that a quota is used up

# This request can never succeed. Of 403: filters refuse a prompt with it, and a key that is no good
# at all is found out when the connection opens.
REFUSED = frozenset({400, 403, 404, 405, 413, 415, 422})
DENIED = frozenset({401, 402})  # no request can, until a person does something
BUSY = frozenset({408, 409, 425, 429, 503, 529})  # the same request may succeed later
QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "credit balance")


class Busy(BackendError):
    """The server asks to be asked later."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s  # None: it has not said how long


class Broken(BackendError):
    """The connection, or the reply, broke: the request itself may be in order."""


class Unreachable(Broken):
    """No connection could be made."""


class Denied(NbestError):
    """The server lets nothing through with this key, or this account."""


@dataclass(frozen=True, slots=True)
class Words:
    """Makes what a server says fit to be shown."""

    secrets: tuple[str, ...] = ()

    def shown(self, text: str) -> str:
        """One line, without secrets and control characters, not too long."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = re.sub(r"://[^/@\s]{1,200}@", "://***@", text[:LONGEST_SHOWN])
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        is_long = len(line) > SHOWN_CHARACTERS
        return line[:SHOWN_CHARACTERS] + ("..." if is_long else "")

    def of_body(self, body: str) -> str:
        """What a body says is wrong: the message of its error, or what can be read of it."""
        for secret in self.secrets:  # before anything is cut: half a key would pass
            body = body.replace(secret, "***")
        if body.lstrip()[:1] == "<":
            title = title_of(body)
            return self.shown(f"a page of HTML{f': {title}' if title else ''}")
        return self.shown(message_of(body)) or "nothing"


def title_of(page: str) -> str:
    """The title of a page of HTML; empty where it has none."""
    lower = page.lower()
    start = lower.find("<title")
    start = lower.find(">", start) + 1 if start >= 0 else 0
    end = lower.find("<", start) if start else -1
    return page[start:end] if end > start else ""


def message_of(body: str) -> str:
    """The message in a body, in whichever of the forms that servers give errors."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    for _ in range(3):  # {"error": {"message": ...}}, {"error": "..."}, {"detail": ...}
        if isinstance(said, Mapping):
            keys = ("error", "message", "detail", "msg")
            said = next((said[key] for key in keys if said.get(key)), None)
        elif isinstance(said, list) and said:
            said = said[0]
    return said if isinstance(said, str) else body


def failure_of(status: int, headers: Mapping[str, str], body: str, words: Words) -> NbestError:
    """The failure that a status other than 200 means."""
    what = f"{status}: {words.of_body(body)}"
    if status in DENIED or (status in BUSY and any(sign in body for sign in QUOTA)):
        return Denied(what)
    if status in REFUSED:
        return RequestRejected(what)
    if status in BUSY:
        return Busy(what, wait_of(headers))
    if 300 <= status < 400:
        return Denied(f"{status}: a redirect, and none is followed: base_url must be the last one")
    return Broken(what)


def failure_in_reply(error: object, words: Words) -> NbestError:
    """The failure that a body with an `error` means, though its status was 200."""
    said = json.dumps({"error": error}, default=str)
    code = error.get("code") if isinstance(error, Mapping) else None
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return failure_of(code, {}, said, words)
    kind = str(error.get("type", "")) if isinstance(error, Mapping) else ""
    if any(sign in said for sign in QUOTA):
        return Denied(words.of_body(said))
    if "rate_limit" in said or "overloaded" in kind:
        return Busy(words.of_body(said))
    if "invalid_request" in kind or kind in ("BadRequestError", "NotFoundError"):
        return RequestRejected(words.of_body(said))
    return Broken(words.of_body(said))


def wait_of(headers: Mapping[str, str]) -> float | None:
    """How long a refusal says to wait, in seconds; None where it says nothing that can be read."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return min(LONGEST_WAIT_S, milliseconds / 1000)
    after = headers.get("retry-after", "")
    if (seconds := _number(after)) is not None:
        return min(LONGEST_WAIT_S, seconds)
    if after and (date := _until(after, headers.get("date", ""))) is not None:
        return min(LONGEST_WAIT_S, date)
    resets = _resets(headers)
    used_up = [seconds for seconds, is_used_up in resets if is_used_up]
    known = [max(used_up)] if used_up else [min(s for s, _ in resets)] if resets else []
    return min(LONGEST_WAIT_S, *known) if known else None


def _resets(headers: Mapping[str, str]) -> list[tuple[float, bool]]:
    """For requests and for tokens: in how many seconds they are full again, and whether none is
    left."""
    found = []
    for of in ("requests", "tokens"):
        seconds = _duration(headers.get(f"x-ratelimit-reset-{of}", ""))
        if seconds is not None:
            found.append((seconds, _number(headers.get(f"x-ratelimit-remaining-{of}")) == 0))
    return found


def used_up_for(headers: Mapping[str, str]) -> float:
    """How long nothing more is let through, as the headers of an answer say; 0 where there is."""
    waits = [seconds for seconds, is_used_up in _resets(headers) if is_used_up]
    return min(LONGEST_HOLD_S, max(waits, default=0.0))


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,12}(?:\.\d{0,9})?\s*", text):
        return None
    return float(text)


def _duration(text: str) -> float | None:
    """Seconds in a text such as 6m0s, 1.5s, 20ms or 30."""
    if (plain := _number(text)) is not None:
        return plain
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    parts = re.findall(r"(\d{1,12}(?:\.\d{0,9})?)(ms|[smhd])", text[:100])
    return sum(float(number) * units[unit] for number, unit in parts) if parts else None


def _until(after: str, date: str) -> float | None:
    """Seconds from the date of an answer until the date that it names; by its own clock alone."""
    try:
        return max(
            0.0, (parsedate_to_datetime(after) - parsedate_to_datetime(date)).total_seconds()
        )
    except (TypeError, ValueError, OverflowError):
        return None
