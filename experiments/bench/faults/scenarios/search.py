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


def search_driver(setting: Setting) -> FaultRow:
    """Kill the driver of a search once in every round."""
    return replace(driver(setting, beams()), scenario="search_driver")


def search_cluster(setting: Setting) -> FaultRow:
    """Kill engines, workers and nodes of a cluster while a search goes on."""
    return replace(cluster(setting, beams()), scenario="search_cluster")
