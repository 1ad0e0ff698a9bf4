"""What a status and a body mean, and what is shown of them."""

from __future__ import annotations

import json

import pytest

from nbest.model_backend.openai.failures import (
    Broken,
    Busy,
    Denied,
    Words,
    failure_in_reply,
    failure_of,
    used_up_for,
    wait_of,
)
from nbest.orchestrator.errors import NbestError, RequestRejected

WORDS = Words(secrets=("sk-1234",))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, RequestRejected) for status in (400, 403, 404, 413, 422)),
        *((status, Denied) for status in (401, 402, 301, 302, 307, 308)),
        *((status, Busy) for status in (408, 409, 425, 429, 503, 529)),
        *((status, Broken) for status in (500, 502, 504, 520, 418)),
    ],
)
def test_classes_of_statuses(status: int, kind: type[NbestError]) -> None:
    assert type(failure_of(status, {}, "no", WORDS)) is kind


def test_a_quota_that_is_used_up_is_no_limit_to_wait_for() -> None:
    body = json.dumps({"error": {"message": "You exceeded it", "code": "insufficient_quota"}})
    assert type(failure_of(429, {}, body, WORDS)) is Denied


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "too long", "type": "x"}}',
        '{"error": "too long"}',
        '{"detail": "too long"}',
        '{"detail": [{"msg": "too long"}]}',
        '{"message": "too long"}',
        "too long",
    ],
)
def test_the_message_is_found_in_every_form(body: str) -> None:
    assert str(failure_of(400, {}, body, WORDS)) == "400: too long"


def test_words_are_one_line_without_the_key() -> None:
    shown = Words(secrets=("sk-1234",)).shown("bad\x1b[31m key\n sk-1234" + "x" * 500)
    assert "sk-1234" not in shown
    assert "***" in shown
    assert shown.isprintable()
    assert len(shown) < 210


def test_a_page_of_html_is_named_as_one() -> None:
    body = "<!DOCTYPE html><html><head><title>502 Bad\n Gateway</title></head>" + "<p>" * 10_000
    assert str(failure_of(502, {}, body, WORDS)) == "502: a page of HTML: 502 Bad Gateway"


def test_a_key_that_is_cut_is_not_shown_in_part() -> None:
    key = "eyJ" + "a1B2" * 200
    words = Words(secrets=(key,))
    for body in (f"<title>{key}</title>", f'{{"error": "{key}"}}', f"<p>{key}", key):
        assert "a1B2" not in words.of_body(body)


def test_the_password_of_an_address_is_not_shown() -> None:
    assert "s3cret" not in Words().shown("407 url='http://user:s3cret@127.0.0.1:1/x'")


def test_a_page_that_never_ends_is_read_in_no_time() -> None:
    assert Words().of_body("<title" * 200_000) == "a page of HTML"


def test_a_hostile_body_is_only_text() -> None:
    deep = "[" * 100_000
    assert len(str(failure_of(400, {}, deep, WORDS))) < 250
    assert str(failure_of(400, {}, "", WORDS)) == "400: nothing"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "999999"}, 300.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        (
            {
                "retry-after": "Sat, 28 Nov 2026 10:00:30 GMT",
                "date": "Sat, 28 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Sat, 28 Nov 2026 10:00:30 GMT"}, None),
        ({"x-ratelimit-reset-requests": "6m0s"}, 300.0),
        ({"x-ratelimit-reset-requests": "20ms", "x-ratelimit-reset-tokens": "1.5s"}, 0.02),
        (
            {
                "x-ratelimit-remaining-requests": "9000",
                "x-ratelimit-reset-requests": "24h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1.2s",
            },
            1.2,
        ),
        (
            {
                "retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999999",
                "date": "Sat, 28 Nov 2026 10:00:00 GMT",
            },
            None,
        ),
        ({"x-ratelimit-reset-tokens": "1m2s"}, 62.0),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_of(headers) == (None if seconds is None else pytest.approx(seconds))


def test_a_used_up_limit_is_told_by_an_answer_too() -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"}
    assert used_up_for(headers) == 12.0
    assert used_up_for(headers | {"x-ratelimit-remaining-requests": "1"}) == 0.0
    assert used_up_for({}) == 0.0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "no", "code": 400}, RequestRejected),
        ({"message": "no", "code": "429"}, Busy),
        ({"message": "no", "type": "invalid_request_error"}, RequestRejected),
        ({"message": "no", "type": "rate_limit_exceeded"}, Busy),
        ({"message": "no", "type": "overloaded_error"}, Busy),
        ({"message": "no", "code": "insufficient_quota"}, Denied),
        ({"message": "no", "type": "server_error"}, Broken),
        ("no", Broken),
        (["no"], Broken),
    ],
)
def test_an_error_under_status_200(error: object, kind: type[NbestError]) -> None:
    assert type(failure_in_reply(error, WORDS)) is kind
