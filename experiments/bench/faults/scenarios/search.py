"""Searches whose driver, workers, engines, nodes are killed: the same tree, nothing drawn twice."""

from __future__ import annotations

from dataclasses import replace

from nbest.experiments.bench.faults.account import FaultRow, Setting
from nbest.experiments.bench.faults.scenarios.cluster import cluster
from nbest.experiments.bench.faults.scenarios.driver import driver
from nbest.experiments.bench.faults.workplace import Load

N, WIDTH, DEPTH = 6, 3, 4
TOKEN_S = 0.05


def beams(queries: int = 30, token_s: float = TOKEN_S) -> Load:
    """A beam search at each question, with as many nodes as there would be samples."""
    model = {"backend": "chains_fake", "depth": DEPTH, "p": 0.7, "gap": 1.0, "token_s": token_s}
    step = {"stop": "\n", "max_tokens": 8}
    strategy = {"search": "beam", "n": N, "width": WIDTH, "step": step, "score": "mean_logprob"}
    return Load(
        queries=queries,
        n=N * DEPTH,
        token_s=token_s,
        sections={"model": {**model, "max_concurrency": 16}, "strategy": strategy},
    )


def corrections(queries: int = 60, token_s: float = TOKEN_S) -> Load:
    """Structured answers, most of which are corrected and drawn again."""
    model = {
        "backend": "faulty_fake",
        "answers": ['{"a": 1}', '{"a": 2}', '{"a": "x"}', "none"],
        "weights": [1, 1, 2, 2],
        "token_s": token_s,
        "max_concurrency": 16,
    }
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    sections = {"model": model, "output": {"schema": schema}, "strategy": {"n": 4}}
    ours = {"select": None, "extract": None, "grade": "none"}  # `output` sets them
    return Load(queries=queries, n=10, token_s=token_s, sections={**sections, **ours})


def corrected_driver(setting: Setting) -> FaultRow:
    """Kill the driver of structured answers once in every round."""
    return replace(driver(setting, corrections()), scenario="corrected_driver")


def search_driver(setting: Setting) -> FaultRow:
    """Kill the driver of a search once in every round."""
    return replace(driver(setting, beams()), scenario="search_driver")


def search_cluster(setting: Setting) -> FaultRow:
    """Kill engines, workers and nodes of a cluster while a search goes on."""
    return replace(cluster(setting, beams()), scenario="search_cluster")
