"""`nbest bench NAME`: measurements that anyone can repeat."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from nbest.experiments.cli.display.documents import print_document

bench = typer.Typer(rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def tell(line: str) -> None:
    """Say how far a measurement has come; standard output is for its figures."""
    print(line, file=sys.stderr)


def names_in(text: str) -> list[str]:
    """The names in a text with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


@bench.callback(invoke_without_command=True)
def list_benches(context: typer.Context) -> None:
    """Measure side by side, on this machine."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command(epilog="Example: nbest bench control --growth --ray")
def control(
    queries: Annotated[int, typer.Option(help="How many queries.")] = 8000,
    n: Annotated[int, typer.Option("-n", help="Samples a query.")] = 16,
    engines: Annotated[int, typer.Option(help="Fake engines, under Ray.")] = 1,
    workers: Annotated[int, typer.Option(help="Workers, under Ray.")] = 1,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 3,
    growth: Annotated[
        bool, typer.Option("--growth", help="Also 100 to 100,000 queries, and N from 1 to 10,000.")
    ] = False,
    on_ray: Annotated[bool, typer.Option("--ray", help="Growth under Ray, too.")] = False,
    as_json: Json = False,
) -> None:
    """Samples a second through everything but an engine, committed to disk."""
    from nbest.experiments.bench.control import Load, measure
    from nbest.experiments.bench.growth import growing_loads, growth_table, line_of, measure_growth
    from nbest.experiments.cli.display.tables import console
    from nbest.orchestrator.cluster.settings import Cluster

    load, cluster = Load(queries=queries, n=n), Cluster(engines=engines, workers=workers)
    runs = [measure(place, load, cluster, rounds) for place in ("local", "ray")]
    for run in runs:
        tell(line_of(run))
    places = ("local", "ray") if on_ray else ("local",)
    grown = measure_growth(places, growing_loads(), cluster, tell) if growth else []
    if not as_json:
        console().print(growth_table([*runs, *grown]))
        return
    document = {f"{run.place}_samples_per_s": run.samples_per_s for run in runs}
    lists = {"runs": [r.as_json() for r in runs], "growth": [r.as_json() for r in grown]}
    print_document({**document, **lists})


@bench.command(epilog="Example: nbest bench selectors --json")
def selectors(
    candidates: Annotated[int, typer.Option(help="Candidates a query.")] = 10_000,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 3,
    as_json: Json = False,
) -> None:
    """How fast candidates are voted on, and how fast a long trace is looked through."""
    from nbest.experiments.bench.selectors import measure_selectors, speeds_table
    from nbest.experiments.cli.display.tables import console

    speeds = measure_selectors(candidates, rounds)
    if as_json:
        print_document(asdict(speeds))
    else:
        console().print(speeds_table(speeds))


@bench.command(epilog="Example: nbest bench estimates --json")
def estimates(
    rounds: Annotated[int, typer.Option(help="Rounds of what is short; the median counts.")] = 5,
    queries: Annotated[int, typer.Option(help="Of the report, 16 samples each.")] = 10_000,
    as_json: Json = False,
) -> None:
    """How long curves and a report of stored samples take, from the shell."""
    from nbest.experiments.bench.estimates import CURVE, Pool, measure_estimates, times_table
    from nbest.experiments.cli.display.tables import console

    times = measure_estimates(CURVE, Pool(queries=queries, n=16), rounds, tell)
    if as_json:
        print_document(asdict(times))
    else:
        console().print(times_table(times))


@bench.command(epilog="Example: nbest bench engine --rounds 5 -n 64")
def engine(
    model: Annotated[str, typer.Option(help="Name, folder or hub id.")] = "smollm2-135m",
    queries: Annotated[int, typer.Option(help="Prompts a round.")] = 4,
    n: Annotated[int, typer.Option("-n", help="Samples a prompt.")] = 64,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    max_model_len: Annotated[int, typer.Option(help="Prompt and answer.")] = 1024,
    dtype: Annotated[str, typer.Option(help="What it computes in, as bfloat16.")] = "auto",
    rounds: Annotated[int, typer.Option(help="Rounds that count, after one that does not.")] = 5,
    as_json: Json = False,
) -> None:
    """The same prompts through plain vLLM and through nbest on Ray, in turns."""
    from nbest.experiments.bench.engine import EngineLoad, Round, compare_engines
    from nbest.model_backend.vllm.settings import VLLM

    def tell(result: Round) -> None:
        print(
            f"plain {result.plain_tokens_per_s:.0f} tokens/s, "
            f"nbest {result.nbest_tokens_per_s:.0f}, ratio {result.ratio:.3f}",
            file=sys.stderr,
        )

    settings = VLLM(model, max_model_len=max_model_len, dtype=dtype)
    load = EngineLoad(queries=queries, n=n, max_tokens=max_tokens)
    compared = compare_engines(settings, load, rounds, tell)
    if as_json:
        print_document(compared.as_json())
        return
    rates = f"{compared.plain_tokens_per_s:.0f} and {compared.nbest_tokens_per_s:.0f} tokens/s"
    print(f"median of {compared.rounds} rounds: ratio {compared.ratio:.3f} (plain, nbest: {rates})")


@bench.command(epilog="Example: nbest bench endpoint --rounds 5 -n 64")
def endpoint(
    model: Annotated[str, typer.Option(help="Name, folder or hub id.")] = "smollm2-135m",
    queries: Annotated[int, typer.Option(help="Prompts a round.")] = 1,
    n: Annotated[int, typer.Option("-n", help="Samples a prompt.")] = 64,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
    max_model_len: Annotated[int, typer.Option(help="Prompt and answer.")] = 1024,
    rounds: Annotated[int, typer.Option(help="Rounds that count, after one that does not.")] = 5,
    as_json: Json = False,
) -> None:
    """The same samples from an engine of ours and from vLLM's own server, in turns."""
    from nbest.experiments.bench.endpoint import EndpointRound, compare_endpoint
    from nbest.experiments.bench.engine import EngineLoad
    from nbest.model_backend.vllm.settings import VLLM

    def tell(result: EndpointRound) -> None:
        print(
            f"engine {result.engine_tokens_per_s:.0f} tokens/s, "
            f"endpoint {result.endpoint_tokens_per_s:.0f}, ratio {result.ratio:.3f}",
            file=sys.stderr,
        )

    settings = VLLM(model, max_model_len=max_model_len, max_num_seqs=max(64, n))
    load = EngineLoad(queries=queries, n=n, max_tokens=max_tokens)
    compared = compare_endpoint(settings, load, rounds, tell)
    if as_json:
        print_document(asdict(compared))
        return
    rates = f"{compared.engine_tokens_per_s:.0f} and {compared.endpoint_tokens_per_s:.0f} tokens/s"
    same = f"{compared.same:.0%} of the texts are equal"
    print(
        f"median of {compared.rounds} rounds: ratio {compared.ratio:.3f} "
        f"(engine, endpoint: {rates}); {same}"
    )


@bench.command(epilog="Example: nbest bench reward verifiers/sums --rounds 5")
def reward(
    model: Annotated[str, typer.Argument(help="A reward model: folder or hub id.")],
    queries: Annotated[int, typer.Option(help="Questions a round.")] = 16,
    n: Annotated[int, typer.Option("-n", help="Responses a question.")] = 16,
    max_model_len: Annotated[int, typer.Option(help="Question and response.")] = 512,
    rounds: Annotated[int, typer.Option(help="Rounds that count, after one that does not.")] = 5,
    as_json: Json = False,
) -> None:
    """The same texts through plain vLLM pooling, nbest on Ray, and torch alone."""
    from nbest.experiments.bench.reward import RewardLoad, RewardRound, compare_rewards
    from nbest.model_backend.vllm.reward import VLLMReward

    def tell(result: RewardRound) -> None:
        print(
            f"plain {result.plain_texts_per_s:.0f} texts/s, "
            f"nbest {result.nbest_texts_per_s:.0f}, ratio {result.ratio:.3f}",
            file=sys.stderr,
        )

    settings = VLLMReward(model, max_model_len=max_model_len)
    compared = compare_rewards(settings, RewardLoad(queries=queries, n=n), rounds, tell)
    if as_json:
        print_document(compared.as_json())
        return
    rates = f"{compared.plain_texts_per_s:.0f} and {compared.nbest_texts_per_s:.0f} texts/s"
    print(f"median of {compared.rounds} rounds: ratio {compared.ratio:.3f} (plain, nbest: {rates})")
    print(
        f"vLLM and torch on {compared.texts_compared} texts: rank correlation "
        f"{compared.rank_correlation:.4f}, largest difference {compared.largest_difference:.4f}"
    )


@bench.command(epilog="Example: nbest bench race --valid 0.2 --races 200")
def race(
    valid: Annotated[float, typer.Option(help="Share of the samples that are valid.")] = 0.2,
    races: Annotated[int, typer.Option(help="Of each number of samples.")] = 200,
    as_json: Json = False,
) -> None:
    """The first valid of 1 to 32 samples, in virtual time: how soon, and at what cost."""
    from nbest.experiments.bench.race import measure_races, races_table
    from nbest.experiments.cli.display.tables import console

    rows = measure_races((1, 2, 4, 8, 16, 32), valid, races)
    if as_json:
        print_document({"rows": [row.as_json() for row in rows]})
    else:
        console().print(races_table(rows))


@bench.command(epilog="Example: nbest bench faults --only driver,cluster --rounds 50")
def faults(
    only: Annotated[str, typer.Option(help="Scenarios, with commas between; default: all.")] = "",
    rounds: Annotated[int, typer.Option(help="Rounds of those with kills at random moments.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 1,
    as_json: Json = False,
) -> None:
    """Kill, stop, fill up and interrupt real runs, and count what is lost."""
    from nbest.experiments.bench.faults.suite import faults_table, measure_faults
    from nbest.experiments.cli.display.tables import console
    from nbest.experiments.cli.ending import Exit

    rows = measure_faults(names_in(only), rounds, seed, tell)
    if as_json:
        print_document({"rows": [row.as_json() for row in rows]})
    else:
        console().print(faults_table(rows))
    if not all(row.holds for row in rows):
        raise typer.Exit(Exit.FAILED)


@bench.command(epilog="Example: nbest bench statistics --studies 1000")
def statistics(
    studies: Annotated[int, typer.Option(help="Simulated studies of each promise.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 1,
    only: Annotated[str, typer.Option(help="Kinds, with commas between; default: all.")] = "",
    as_json: Json = False,
) -> None:
    """Simulate studies with a known truth: whether printed figures keep what they promise."""
    from nbest.experiments.bench.statistics.promise import promises_table
    from nbest.experiments.bench.statistics.suite import measure_promises
    from nbest.experiments.cli.display.tables import console
    from nbest.experiments.cli.ending import Exit

    rows = measure_promises(studies, seed, tell, names_in(only))
    if as_json:
        print_document({"rows": [row.as_json() for row in rows]})
    else:
        console().print(promises_table(rows))
    if not all(row.holds for row in rows):
        raise typer.Exit(Exit.FAILED)


@bench.command(epilog="Example: nbest bench search --model smollm2-135m --only engine")
def search(
    runs: Annotated[int, typer.Option(help="Simulated runs of each search.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 1,
    model: Annotated[str | None, typer.Option(help="Default: a fake engine.")] = None,
    questions: Annotated[int, typer.Option(help="In flight on the engine.")] = 16,
    rounds: Annotated[int, typer.Option(help="Of the engine; the median counts.")] = 3,
    only: Annotated[str, typer.Option(help="tests or engine; default: both.")] = "",
    as_json: Json = False,
) -> None:
    """Searches beside what they win in closed form, and what they make of an engine."""
    from nbest.experiments.bench.search.suite import measure_searches
    from nbest.experiments.cli.display.tables import console
    from nbest.experiments.cli.ending import Exit

    measured = measure_searches(runs, seed, model, questions, rounds, only, tell)
    if as_json:
        print_document(measured.as_json())
    for table in () if as_json else measured.tables():
        console().print(table)
    if not measured.holds:
        raise typer.Exit(Exit.FAILED)


@bench.command(epilog="Example: nbest bench schedule --json")
def schedule(as_json: Json = False) -> None:
    """How well engines are kept busy: one large query, and samples of uneven length."""
    from nbest.experiments.bench.schedule import ONE_QUERY, STRAGGLERS, simulate

    schedules = [simulate(work) for work in (ONE_QUERY, STRAGGLERS)]
    if as_json:
        print_document({"schedules": [s.as_json() for s in schedules]})
        return
    for s in schedules:
        print(
            f"{s.name}: {s.ratio:.3f} of the ideal time on {s.engines} engines, "
            f"the busiest has {s.imbalance:.1%} more than the mean"
        )
