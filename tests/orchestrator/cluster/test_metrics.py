"""Tests of the metrics of a run: their values, and that a scrape over HTTP finds them."""

from __future__ import annotations

import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

ray = pytest.importorskip("ray")

from nbest.orchestrator.cluster.metrics import (  # noqa: E402  # it needs Ray
    DESCRIPTIONS,
    PUBLISH_S,
    Metric,
    gauges,
    metrics_pages,
    metrics_report,
    require_free_port,
    throttled,
    totals,
)
from nbest.orchestrator.engines.history import EngineView  # noqa: E402
from nbest.orchestrator.errors import InputError  # noqa: E402
from nbest.orchestrator.query.tally import Tally  # noqa: E402
from nbest.orchestrator.run.progress import Progress, snapshot  # noqa: E402

ENGINES = (
    EngineView(
        name="engine0",
        state="up",
        in_flight=35,
        samples=12,
        generated_tokens=700,
        cancelled_tokens=44,
        tokens_per_s=93.5,
    ),
    EngineView(name="engine1", state="down", restarts=2, samples=3, generated_tokens=60),
)


def seen(engines: tuple[EngineView, ...] = ENGINES, **counts: int) -> Progress:
    return snapshot(
        Tally(**counts), num_queries=90, engines=engines, elapsed_s=9.0, first_engine_s=1.0
    )


PROGRESS = seen(queries=17, errors=5, quarantined=4)


def numbers(metrics: Iterator[Metric]) -> dict[tuple[str, ...], float]:
    """Return values by name and label values."""
    return {(m.name, *(value for _, value in m.tags)): m.value for m in metrics}


def test_what_is_so_at_the_moment() -> None:
    assert numbers(gauges(PROGRESS, "t")) == {
        ("nbest_queries", "t"): 90,
        ("nbest_queries_done", "t"): 17,
        ("nbest_errors", "t"): 5,
        ("nbest_quarantined", "t"): 4,
        ("nbest_engine_in_flight", "t", "engine0"): 35,
        ("nbest_engine_tokens_per_s", "t", "engine0"): 93.5,
        ("nbest_engine_restarts", "t", "engine0"): 0,
        ("nbest_engine_in_flight", "t", "engine1"): 0,
        ("nbest_engine_tokens_per_s", "t", "engine1"): 0.0,
        ("nbest_engine_restarts", "t", "engine1"): 2,
    }


def test_what_has_been_counted() -> None:
    assert numbers(totals(PROGRESS, "t")) == {
        ("nbest_generated_tokens_total", "t", "engine0", "useful"): 656,
        ("nbest_generated_tokens_total", "t", "engine0", "cancelled"): 44,
        ("nbest_samples_total", "t", "engine0"): 12,
        ("nbest_generated_tokens_total", "t", "engine1", "useful"): 60,
        ("nbest_generated_tokens_total", "t", "engine1", "cancelled"): 0,
        ("nbest_samples_total", "t", "engine1"): 3,
    }


def test_every_metric_says_what_it_is_and_keeps_its_labels() -> None:
    metrics = [*gauges(PROGRESS, "t"), *totals(PROGRESS, "t")]
    assert {m.name for m in metrics} == set(DESCRIPTIONS)
    assert len({(m.name, m.labels) for m in metrics}) == len(DESCRIPTIONS)


@given(steps=st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_at_most_one_snapshot_a_second_gets_through(steps: list[float]) -> None:
    clock = [0.0]
    times: list[float] = []
    report = throttled(lambda progress: times.append(clock[0]), lambda: clock[0])
    for step in steps:
        clock[0] += step
        report(PROGRESS)
        assert clock[0] - times[-1] < PUBLISH_S  # and none is much too late
    assert times[0] == steps[0]
    assert all(b >= a + PUBLISH_S for a, b in pairwise(times))


def test_the_end_of_a_run_always_gets_through() -> None:
    through: list[Progress] = []
    report = throttled(through.append, lambda: 0.0)
    last = replace(PROGRESS, queries=PROGRESS.num_queries)
    for progress in (PROGRESS, PROGRESS, last, last):
        report(progress)
    assert through == [PROGRESS, last, last]


def test_a_port_that_is_taken_is_refused_before_ray_tries() -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        rule = re.escape("be a port that this user can open (Address already in use)")
        with pytest.raises(InputError, match=f"^metrics_port must {rule}, got {port}$"):
            require_free_port(port)
    require_free_port(port)


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """A page of metrics of a Ray that sends what it has every second."""
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        _system_config={"metrics_report_interval_ms": 1000},
    )
    (url,) = metrics_pages()
    yield re.sub(r"//.*:", "//127.0.0.1:", url)
    ray.shutdown()


def scraped(page: str) -> dict[tuple[str, ...], float]:
    """Return our metrics on the page, by name and the values of our own labels."""
    with urllib.request.urlopen(page, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    values = {}
    for line in lines:
        if match := re.fullmatch(r"ray_(nbest_\w+)\{(.*)\} (\S+)", line):
            name, labels, value = match.groups()
            tags = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            ours = [tags[label] for label in ("run", "engine", "kind") if label in tags]
            values[name, *ours] = float(value)
    return values


def exported(progress: Progress) -> dict[tuple[str, ...], float]:
    """Return what the page shows: a counter is not there before it has counted something."""
    counted = {key: value for key, value in numbers(totals(progress, "t")).items() if value}
    return numbers(gauges(progress, "t")) | counted


def wait_for_scrape(page: str, expected: dict[tuple[str, ...], float]) -> None:
    """Wait until the page shows these numbers; fail with what it shows instead."""
    deadline_s = time.monotonic() + 30
    while (shown := {k: v for k, v in scraped(page).items() if k in expected}) != expected:
        assert time.monotonic() < deadline_s, shown


@pytest.mark.ray
def test_a_scrape_finds_the_numbers_of_the_run(page: str) -> None:
    shown: list[Progress] = []
    report = metrics_report(shown.append, "t")
    report(PROGRESS)
    wait_for_scrape(page, exported(PROGRESS))

    later = replace(ENGINES[0], in_flight=0, samples=20, generated_tokens=1000)
    last = replace(PROGRESS, queries=90, engines=(later, ENGINES[1]))
    report(last)
    assert shown == [PROGRESS, last]
    wait_for_scrape(page, exported(last))
