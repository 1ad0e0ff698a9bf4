"""`nbest bench NAME`: measurements that anyone can repeat."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

bench = typer.Typer(help="Measure side by side, on this machine.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@bench.command(epilog="Example: nbest bench control --queries 4000 -n 16")
def control(
    queries: Annotated[int, typer.Option(help="How many queries.")] = 4000,
    n: Annotated[int, typer.Option("-n", help="Samples a query.")] = 16,
    engines: Annotated[int, typer.Option(help="Fake engines, under Ray.")] = 1,
    workers: Annotated[int, typer.Option(help="Workers, under Ray.")] = 1,
    as_json: Json = False,
) -> None:
    """Samples a second through everything but an engine, committed to disk."""
    from experiments.bench_control import Load, measure
    from orchestrator.cluster_settings import Cluster

    load, cluster = Load(queries=queries, n=n), Cluster(engines=engines, workers=workers)
    local, ray = measure("local", load, cluster), measure("ray", load, cluster)
    if as_json:
        document = {
            "local_samples_per_s": local.samples_per_s,
            "ray_samples_per_s": ray.samples_per_s,
            "runs": [local.as_json(), ray.as_json()],
        }
        print(json.dumps(document, indent=2))
        return
    for measured in (local, ray):
        print(
            f"{measured.place:<6} {measured.samples_per_s:>10,.0f} samples/s "
            f"{measured.us_per_sample:>8.1f} us a sample {measured.driver_mb:>7.0f} MB driver"
        )


@bench.command(epilog="Example: nbest bench engine --rounds 5 -n 64")
def engine(
    model: Annotated[str, typer.Option(help="Name, folder or hub id.")] = "smollm2-135m",
    queries: Annotated[int, typer.Option(help="Prompts a round.")] = 4,
    n: Annotated[int, typer.Option("-n", help="Samples a prompt.")] = 64,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    max_model_len: Annotated[int, typer.Option(help="Prompt and answer.")] = 1024,
    rounds: Annotated[int, typer.Option(help="Rounds that count, after one that does not.")] = 5,
    as_json: Json = False,
) -> None:
    """The same prompts through plain vLLM and through nbest on Ray, in turns."""
    from experiments.bench_engine import EngineLoad, Round, compare_engines
    from model_backend import VLLM

    def tell(result: Round) -> None:
        print(
            f"plain {result.plain_tokens_per_s:.0f} tokens/s, "
            f"nbest {result.nbest_tokens_per_s:.0f}, ratio {result.ratio:.3f}",
            file=sys.stderr,
        )

    settings = VLLM(model, max_model_len=max_model_len)
    load = EngineLoad(queries=queries, n=n, max_tokens=max_tokens)
    compared = compare_engines(settings, load, rounds, tell)
    if as_json:
        print(json.dumps(compared.as_json(), indent=2))
        return
    rates = f"{compared.plain_tokens_per_s:.0f} and {compared.nbest_tokens_per_s:.0f} tokens/s"
    print(f"median of {compared.rounds} rounds: ratio {compared.ratio:.3f} (plain, nbest: {rates})")
