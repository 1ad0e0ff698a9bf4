"""The page of `nbest pick --web`: who may open it, and what it does in a real browser."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbest.experiments.pick.session import PickSession
from nbest.experiments.pick.web import COOKIE, PickServer
from nbest.orchestrator.store.choices import read_choices
from tests.experiments.attacks import attacks
from tests.experiments.browsers import answering, chromium
from tests.experiments.picked_runs import picked_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

TEXTS = {"q0": ["7", "8"], "q1": ["a", "b", "c"], "q2": ["x", "y"]}


@contextmanager
def serving(run: Path) -> Iterator[PickServer]:
    with answering(PickServer(PickSession(run))) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PickServer]:
    with serving(picked_run(tmp_path, TEXTS)) as running:
        yield running


def request(
    server: PickServer, method: str, path: str, body: str = "", **headers: str
) -> http.client.HTTPResponse:
    """A request with our own host, and any headers (`content_type=...`)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    all_headers = {"Host": server.host, "Content-Length": str(len(body))}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host=True)
    for name, value in all_headers.items():
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def cookie_of(server: PickServer) -> str:
    return f"{COOKIE}={server.secret}"


def press(server: PickServer, key: str, query_id: str = "q0", **headers: str) -> int:
    headers = {
        "Cookie": cookie_of(server),
        "Origin": f"http://{server.host}",
        "Content_Type": "application/json",
    } | headers
    body = json.dumps({"key": key, "query_id": query_id})
    return request(server, "POST", "/press", body, **headers).status


# Who may


def test_it_listens_on_this_machine_alone(server: PickServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_the_secret_is_exchanged_for_a_cookie_and_leaves_the_address(server: PickServer) -> None:
    response = request(server, "GET", f"/?token={server.secret}")
    assert (response.status, response.headers["Location"]) == (303, "/")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(cookie_of(server))
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert len(server.secret) >= 43  # 256 bits


@pytest.mark.parametrize("path", ["/", "/screen", "/page.js", "/?token=wrong", "/?token="])
def test_without_the_secret_there_is_nothing(server: PickServer, path: str) -> None:
    assert request(server, "GET", path).status == 403
    assert request(server, "GET", path, Cookie=f"{COOKIE}=wrong").status == 403


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", ""])
def test_under_another_name_there_is_nothing(server: PickServer, host: str) -> None:
    for path in ("/", "/screen", f"/?token={server.secret}"):
        assert request(server, "GET", path, Host=host, Cookie=cookie_of(server)).status == 403
    assert press(server, "1", Host=host) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Content_Type": "text/plain"},
        {"Cookie": ""},
    ],
    ids=str,
)
def test_no_other_site_can_press_a_key(server: PickServer, headers: dict[str, str]) -> None:
    assert press(server, "1", **headers) == 403
    assert server.session.screen.done == 0


@pytest.mark.parametrize("path", ["/../cli.py", "/%2e%2e/cli.py", "/pick_web.py", "/press"])
def test_no_other_file_is_served(server: PickServer, path: str) -> None:
    assert request(server, "GET", path, Cookie=cookie_of(server)).status == 404


def test_every_answer_forbids_what_the_page_does_not_need(server: PickServer) -> None:
    for path in ("/", "/screen", "/missing"):
        headers = request(server, "GET", path, Cookie=cookie_of(server)).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_keys_go_to_the_question_that_they_were_meant_for(server: PickServer) -> None:
    assert press(server, "1") == 200
    assert press(server, "1") == 409  # again for q0, as another tab would
    assert press(server, "x", "q1") == 409
    assert server.session.screen.done == 1


@pytest.mark.parametrize("body", ["", "{", "[]", "7", '{"key": 1}'])
def test_nonsense_is_refused(server: PickServer, body: str) -> None:
    headers = {"Cookie": cookie_of(server), "Origin": f"http://{server.host}"}
    headers["Content_Type"] = "application/json"
    assert request(server, "POST", "/press", body, **headers).status == 400
    long = {**headers, "Content_Length": "99999999"}
    assert request(server, "POST", "/press", body, **long).status == 413


# In a browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def at(page: Page, query_id: str) -> None:
    """Wait until the page shows a question; the empty id is the end."""
    page.wait_for_selector(f'body[data-query="{query_id}"]')


def test_a_person_chooses_by_keyboard_and_by_mouse(page: Page, server: PickServer) -> None:
    page.goto(server.url)
    at(page, "q0")
    assert server.secret not in page.url
    assert page.inner_text("#question") == "question q0"
    page.keyboard.press("2")
    at(page, "q1")
    assert page.inner_text("#count") == "1 of 3"
    page.keyboard.press("s")
    at(page, "q2")
    page.keyboard.press("u")
    at(page, "q1")
    page.reload()
    at(page, "q1")
    chosen = page.inner_text("#texts button:nth-child(3) pre")
    page.click("#texts button:nth-child(3)")
    at(page, "q2")
    page.click("#undo")
    at(page, "q1")
    page.click("#texts button:nth-child(3)")
    at(page, "q2")
    page.click("#skip")
    page.wait_for_selector('body[data-over="true"]')
    choices = read_choices(server.session.run)
    assert choices["q1"].index == TEXTS["q1"].index(chosen)
    assert choices["q2"].index is None
    assert len(choices) == 3


def test_none_a_tie_and_a_comment(page: Page, server: PickServer) -> None:
    page.goto(server.url)
    at(page, "q0")
    assert not page.locator("#whole").is_visible()  # the question is all of the prompt
    page.keyboard.press("c")
    page.keyboard.type("12 of them, s")  # keys that mean something outside of it
    page.click("#none")
    at(page, "q1")
    page.keyboard.press("t")
    page.wait_for_selector('body[data-tie="true"]')
    page.click("#texts button:nth-child(1)")
    page.wait_for_selector('#texts button:nth-child(1)[aria-pressed="true"]')
    page.keyboard.press("3")
    page.wait_for_selector('#texts button:nth-child(3)[aria-pressed="true"]')
    page.click("#tie")
    at(page, "q2")
    choices = read_choices(server.session.run)
    assert (choices["q0"].none_right, choices["q0"].comment) == (True, "12 of them, s")
    assert len(choices["q1"].tied) == 1
    assert choices["q1"].comment == ""
    page.keyboard.press("u")
    at(page, "q1")
    page.keyboard.press("u")
    at(page, "q0")
    assert page.input_value("#comment") == "12 of them, s"


def test_it_fits_a_telephone_in_both_colours(page: Page, server: PickServer) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(server.url)
    at(page, "q0")
    found = []
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        found.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 720})
    assert found[0] != found[1]


def test_a_second_tab_that_is_behind_catches_up(page: Page, server: PickServer) -> None:
    page.goto(server.url)
    at(page, "q0")
    assert press(server, "1") == 200  # elsewhere
    page.keyboard.press("1")
    at(page, "q1")
    assert server.session.screen.done == 1


def test_nothing_that_a_model_writes_acts_on_the_page(page: Page, tmp_path: Path) -> None:
    texts = attacks()
    assert len(set(texts)) >= 100
    groups = {f"q{i}": texts[i : i + 9] for i in range(0, len(texts), 9)}
    acted: list[str] = []
    page.on("dialog", lambda dialog: acted.append(dialog.message))
    with serving(picked_run(tmp_path, groups)) as server:
        page.on("request", lambda r: acted.append(r.url) if server.host not in r.url else None)
        page.goto(server.url)
        seen: list[str] = []
        for query_id in groups:
            at(page, query_id)
            seen += page.eval_on_selector_all(
                "#texts pre", "nodes => nodes.map(node => node.textContent)"
            )
            assert page.eval_on_selector_all("#texts pre *", "nodes => nodes.length") == 0
            page.keyboard.press("1")
        page.wait_for_selector('body[data-over="true"]')
        assert page.title() == "nbest pick"
    assert sorted(seen) == sorted(texts)
    assert acted == []
