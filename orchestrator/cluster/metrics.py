"""Publishes a run as Prometheus metrics through Ray: every node of a cluster has a page of them.

Ray puts `ray_` before each name. The numbers are those that the driver reports; this module knows
no query, no sample and no text.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ray
from ray.util.metrics import Counter, Gauge

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.run.progress import Progress, Report

# Prometheus scrapes every few seconds, and Ray sends its numbers every ten.
PUBLISH_S = 1.0

Tags = tuple[tuple[str, str], ...]
"""Names and values of the labels of one metric."""

DESCRIPTIONS = {
    "nbest_queries": "Queries of this run of the command",
    "nbest_queries_done": "Queries that came to an end, errors included",
    "nbest_errors": "Queries that ended in an error",
    "nbest_quarantined": "Queries that killed their engine or their worker again and again",
    "nbest_engine_in_flight": "Requests that the engine works on or keeps waiting",
    "nbest_engine_tokens_per_s": "Generated tokens a second, over the last ten seconds",
    "nbest_engine_restarts": "How often the engine has been started again",
    "nbest_generated_tokens_total": "Generated tokens; kind is useful or cancelled",
    "nbest_samples_total": "Samples that the engine has made, cancelled ones included",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The value of one metric at one moment."""

    name: str
    value: float
    tags: Tags

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label for label, _ in self.tags)


def gauges(progress: Progress, run: str) -> Iterator[Metric]:
    """Yield the metrics that rise and fall, as they are now."""
    of_run: dict[str, float] = {
        "nbest_queries": progress.num_queries,
        "nbest_queries_done": progress.queries,
        "nbest_errors": progress.errors,
        "nbest_quarantined": progress.quarantined,
    }
    for name, value in of_run.items():
        yield Metric(name=name, value=value, tags=(("run", run),))
    for engine in progress.engines:
        of_engine: dict[str, float] = {
            "nbest_engine_in_flight": engine.in_flight,
            "nbest_engine_tokens_per_s": engine.tokens_per_s,
            "nbest_engine_restarts": engine.restarts,
        }
        for name, value in of_engine.items():
            yield Metric(name=name, value=value, tags=(("run", run), ("engine", engine.name)))


def totals(progress: Progress, run: str) -> Iterator[Metric]:
    """Yield the metrics that only rise, as counted so far."""
    for engine in progress.engines:
        tags = (("run", run), ("engine", engine.name))
        kinds = {"useful": engine.useful_tokens, "cancelled": engine.cancelled_tokens}
        for kind, value in kinds.items():
            name = "nbest_generated_tokens_total"
            yield Metric(name=name, value=value, tags=(*tags, ("kind", kind)))
        yield Metric(name="nbest_samples_total", value=engine.samples, tags=tags)


class RunMetrics:
    """The metrics of one run, in the Ray session of this process."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._published: dict[tuple[str, Tags], float] = {}

    def publish(self, progress: Progress) -> None:
        for metric in gauges(progress, self._run):
            self._set(metric)
        for metric in totals(progress, self._run):
            self._count_up_to(metric)

    def _set(self, metric: Metric) -> None:
        name = metric.name
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, DESCRIPTIONS[name], metric.labels)
        self._gauges[name].set(metric.value, tags=dict(metric.tags))

    def _count_up_to(self, metric: Metric) -> None:
        name, key = metric.name, (metric.name, metric.tags)
        if name not in self._counters:
            self._counters[name] = Counter(name, DESCRIPTIONS[name], metric.labels)
        more = metric.value - self._published.get(key, 0)
        if more > 0:  # Ray takes no 0
            self._counters[name].inc(more, tags=dict(metric.tags))
            self._published[key] = metric.value


def metrics_report(report: Report, run: str) -> Report:
    """Return a report that also publishes metrics, about once a second and at the end."""
    publish = throttled(RunMetrics(run).publish)

    def report_and_publish(progress: Progress) -> None:
        report(progress)
        publish(progress)

    return report_and_publish


def throttled(report: Report, now: Callable[[], float] = time.monotonic) -> Report:
    """Return a report that passes on one snapshot a second, and those of a complete run."""
    due_s = float("-inf")

    def report_if_due(progress: Progress) -> None:
        nonlocal due_s
        now_s = now()
        if now_s >= due_s or progress.queries == progress.num_queries:
            due_s = now_s + PUBLISH_S
            report(progress)

    return report_if_due


def metrics_pages() -> list[str]:
    """Return where the nodes of this Ray session show metrics; the driver's are on its own node."""
    return [
        f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        for node in ray.nodes()
        if node["Alive"] and node["MetricsExportPort"] > 0
    ]


def require_free_port(port: int) -> None:
    """Raise InputError if this port cannot be opened: Ray would try for half a minute."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the page itself does
        try:
            probe.bind(("", port))
        except OSError as error:
            rule = f"be a port that this user can open ({error.strerror})"
            raise InputError(f"metrics_port must {rule}, got {port}") from error
