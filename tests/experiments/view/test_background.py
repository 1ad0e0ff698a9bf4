"""Rows that are read behind a page: all of them once, in order, and errors are told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nbest.experiments.view import background
from nbest.experiments.view.background import BackgroundRows
from nbest.experiments.view.documents import overview
from nbest.experiments.view.viewed_run import ViewedRun
from tests.experiments.browsers import chromium
from tests.experiments.picked_runs import picked_run
from tests.experiments.view.test_page import serving

TEXTS = {f"q{i:02}": ["same", "other"] for i in range(25)}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return picked_run(tmp_path, TEXTS)


def rows_of(run: Path, lock: threading.Lock) -> BackgroundRows:
    return BackgroundRows([ViewedRun(run, ["vote"])], lock, lambda line: None)


def test_every_row_comes_once_and_in_order(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CHUNK", 10)
    rows = rows_of(run, threading.Lock())
    rows.start()
    found: list[dict[str, object]] = []
    while True:
        document = rows.since(len(found))
        found += document["rows"]
        if document["is_whole"]:
            break
    rows.stop()
    whole = overview([ViewedRun(run, ["vote"])])
    assert found == whole["rows"]
    assert document["runs"] == whole["runs"]
    assert rows.since(25)["rows"] == []


def test_the_first_rows_come_before_the_last_are_read(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "CHUNK", 10)
    lock, read = threading.Lock(), threading.Event()

    class HoldsTheLock(BackgroundRows):
        """Stops after the first chunk until the test goes on."""

        def _next(self, rows):  # type: ignore[no-untyped-def]
            if self._rows:
                assert read.wait(30)
            return super()._next(rows)

    rows = HoldsTheLock([ViewedRun(run, ["vote"])], lock, lambda line: None)
    rows.start()
    first = rows.since(0)
    assert (len(first["rows"]), first["is_whole"]) == (10, False)
    read.set()
    assert len(rows.since(10)["rows"]) >= 10
    rows.stop()


def test_what_cannot_be_read_is_told(run: Path) -> None:
    rows = rows_of(run, threading.Lock())
    for part in run.glob("samples/*.parquet"):
        part.write_bytes(b"no table")
    rows.start()
    document = rows.since(0)
    assert document["is_whole"]
    assert document["error"]
    rows.stop()


def test_a_page_is_used_while_it_is_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CHUNK", 10)
    with serving(run) as server, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{server.url}")
        page.wait_for_selector("body[data-whole]")
        assert page.inner_text("#count") == "25 of 25 questions"
        page.goto(f"http://{server.host}/#q21")
        page.reload()
        page.wait_for_selector("body[data-whole]")
        page.wait_for_function("document.querySelector('h1').textContent.includes('q21')")
