"""The page of `nbest view` in a browser: who may open it, keys, filters, two runs, attacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.view.page_file import write_page
from nbest.experiments.view.server import COOKIE, ViewServer
from nbest.experiments.view.viewed_run import ViewedRun
from nbest.orchestrator.errors import InputError
from tests.experiments.attacks import attacks
from tests.experiments.browsers import answering, chromium
from tests.experiments.pick.test_web import request
from tests.experiments.picked_runs import picked_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TEXTS = {f"q{i}": ["same", "other words", *["same"] * (i % 3)] for i in range(60)}


@contextmanager
def serving(*runs: Path) -> Iterator[ViewServer]:
    with answering(ViewServer([ViewedRun(run, ["vote", "first"]) for run in runs])) as server:
        yield server


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picked_run(tmp_path_factory.mktemp("viewed"), TEXTS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def opened(page: Page, url: str) -> Page:
    page.goto(url)
    page.wait_for_selector("body[data-whole]")
    page.wait_for_selector("h1")
    return page


def at(page: Page, query_id: str) -> None:
    page.wait_for_selector(f'body[data-question="{query_id}"]')


def test_without_the_secret_there_is_nothing(run: Path) -> None:
    with serving(run) as server:
        for path in ("/", "/overview", "/question?id=q0", "/tokens?id=q0&sample=0", "/find?text=s"):
            assert request(server, "GET", path).status == 403  # type: ignore[arg-type]
            elsewhere = {"Host": "evil.example", "Cookie": f"{COOKIE}={server.secret}"}
            assert request(server, "GET", path, **elsewhere).status == 403  # type: ignore[arg-type]
        cookie = {"Cookie": f"{COOKIE}={server.secret}"}
        for path in ("/question?id=none", "/question?id=q0&run=9", "/tokens?id=q0&sample=x", "/x"):
            assert request(server, "GET", path, **cookie).status == 404  # type: ignore[arg-type]
        whole = request(server, "GET", "/question?id=q0", **cookie)  # type: ignore[arg-type]
        assert len(json.loads(whole.body)["samples"]) == 3  # type: ignore[attr-defined]


def test_by_keyboard_and_by_mouse(page: Page, run: Path) -> None:
    with serving(run) as server:
        opened(page, server.url)
        at(page, "q0")
        page.keyboard.press("j")
        at(page, "q1")
        page.keyboard.press("k")
        at(page, "q0")
        page.click("#rows a:nth-child(4)")
        at(page, "q3")
        assert page.locator("details.sample").count() == 3
        page.keyboard.press("o")
        page.wait_for_selector("details.sample[open] pre")
        assert page.locator("details.sample[open]").count() == 3
        page.keyboard.press("/")
        page.keyboard.type("question q5")
        assert page.inner_text("#count") == "11 of 60 questions"  # q5 and q50 to q59
        page.keyboard.press("Escape")
        assert page.inner_text("#count") == "60 of 60 questions"
        page.click('#kinds button[data-kind="contested"]')
        shown = page.inner_text("#count")
        assert shown == "20 of 60 questions"
        page.click('#kinds button[data-kind="contested"]')
        page.select_option("#sort", "least agreement")
        page.click("#rows a:nth-child(1)")
        at(page, "q0")
        page.reload()
        at(page, "q0")  # the address names the question


def test_samples_are_searched_on_enter(page: Page, tmp_path: Path) -> None:
    hidden = picked_run(tmp_path, {"q0": ["said here"], "q1": ["nothing"]})
    with serving(hidden) as server:
        opened(page, server.url)
        page.fill("#search", "cut off")
        assert page.inner_text("#count") == "0 of 2 questions"
        page.press("#search", "Enter")
        page.wait_for_selector("#rows a:nth-child(2)")


def test_two_runs_stand_side_by_side(page: Page, run: Path, tmp_path: Path) -> None:
    other = picked_run(tmp_path, {q: [*texts, "other words"] * 2 for q, texts in TEXTS.items()})
    with serving(run, other) as server:
        opened(page, server.url)
        at(page, "q0")
        assert page.locator("section").count() == 2
        assert page.locator('#kinds button[data-kind="runs differ"]').count() == 1
        assert page.locator("#runs b").count() == 2


def test_a_narrow_screen_has_no_sideways_scrolling(browser: Browser, run: Path) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": 400, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        with serving(run) as server:
            page = opened(context.new_page(), server.url)
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
            light, dark = "rgb(255, 255, 255)", "rgb(14, 18, 23)"
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert colour == (light if scheme == "light" else dark)
        context.close()


def test_only_lines_that_can_be_seen_are_elements(page: Page, tmp_path: Path) -> None:
    many = picked_run(tmp_path, {f"q{i}": ["a"] for i in range(1500)})
    with serving(many) as server:
        opened(page, server.url)
        assert page.locator("#rows a").count() < 60
        page.evaluate("document.getElementById('list').scrollTop = 1e6")
        page.wait_for_selector("text=question q1499")


@pytest.mark.parametrize("is_file", [False, True], ids=["served", "a file"])
def test_nothing_that_a_model_writes_acts(page: Page, tmp_path: Path, is_file: bool) -> None:
    texts = attacks()
    attacked = picked_run(tmp_path, {f"q{i}": texts[i : i + 10] for i in range(0, len(texts), 10)})
    acted: list[str] = []
    page.on("dialog", lambda dialog: acted.append(dialog.message))
    with serving(attacked) as server:
        url, ours = server.url, server.host
        if is_file:
            out = write_page([ViewedRun(attacked)], tmp_path / "page.html", 1000)
            url, ours = out.as_uri(), out.as_uri()
        page.on("request", lambda r: acted.append(r.url) if ours not in r.url else None)
        opened(page, url)
        seen = ""
        for place in range(0, len(texts), 10):
            at(page, f"q{place}")
            page.keyboard.press("o")
            page.wait_for_function(
                "() => document.querySelectorAll('details.sample pre').length >= 10"
            )
            assert page.eval_on_selector_all("details.sample pre *", "nodes => nodes.length") == 0
            seen += "\n".join(page.locator("details.sample pre").all_text_contents())
            page.keyboard.press("j")
    assert acted == []
    missing = [text for text in texts if text.strip() not in seen]
    assert missing == []


def test_a_file_holds_all_that_it_shows(page: Page, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    written = CliRunner().invoke(app, ["view", str(run), "--out", str(out), "--questions", "2"])
    assert written.exit_code == 0
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    opened(page, out.as_uri())
    page.keyboard.press("o")
    page.wait_for_selector("details.sample[open] pre")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_selector("text=holds the samples of other questions")
    assert {url.partition("#")[0] for url in asked} == {out.as_uri()}
    again = CliRunner().invoke(app, ["view", str(run), "--out", str(out)])
    assert isinstance(again.exception, InputError)
    three = CliRunner().invoke(app, ["view", str(run), str(run), str(run)])
    assert isinstance(three.exception, InputError)
