"""The command line. It reads options and prints results; everything else is done elsewhere.

What a command needs is imported inside it, so that `--help` takes no time.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from nbest.experiments.cli.ask_options import require_fitting_options
from nbest.experiments.cli.benches import bench
from nbest.experiments.cli.check import add_check_command
from nbest.experiments.cli.display.help_groups import FIRST, WIDTH, GroupedCommands
from nbest.experiments.cli.ending import leaving_at_once, run_command, tolerated_errors
from nbest.experiments.cli.find import add_find_commands
from nbest.experiments.cli.fit_weights import add_fit_weights_command
from nbest.experiments.cli.grade import add_grade_command
from nbest.experiments.cli.look import add_look_commands
from nbest.experiments.cli.people import add_person_commands
from nbest.experiments.cli.pools import add_pool_commands
from nbest.experiments.cli.verify import add_verify_command
from nbest.experiments.training.command import add_train_command
from nbest.orchestrator.errors import InputError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=GroupedCommands,
    epilog=FIRST,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)

app.add_typer(bench, name="bench")
add_look_commands(app)
add_find_commands(app)
add_person_commands(app)
add_pool_commands(app)
add_train_command(app)
add_verify_command(app)
add_check_command(app)
add_grade_command(app)
add_fit_weights_command(app)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Extract = Annotated[
    str | None, typer.Option(help="How an answer is read in a text, e.g. last_number.")
]
MinConfidence = Annotated[
    str,
    typer.Option(
        metavar="SHARE[@N]",
        help="Give no answer that a smaller share of the answers agrees with; @16: only where "
        "there are 16 samples a question.",
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ask an OpenAI-compatible server that runs already, as http://localhost:8000/v1.",
    ),
]
KeyName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The environment variable with the key for --base-url."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change a value of the config.")
]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        print(f"nbest {version('nbest')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Spend more compute at answer time: draw N samples a question, and pick the best."""


@app.command(epilog="Example: nbest run experiments/configs/demo.yaml --set strategy.n=32")
def run(
    config: Annotated[
        str,
        typer.Argument(help="A YAML file, or a task (nbest list tasks).", show_default=False),
    ],
    set_: SetOption = None,
    base_url: BaseUrl = None,
    model: Annotated[
        str | None, typer.Option(help="Of --base-url; default: the name that the config has.")
    ] = None,
    api_key_env: KeyName = None,
    out: Annotated[
        str | None, typer.Option(help="Run folder or URI, as s3://bucket/run; default: runs/NAME.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many questions.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the first prompt and the plan; start nothing.")
    ] = False,
    fail_on_error: Annotated[
        str,
        typer.Option(
            help="Exit with 3 if questions ended in error: true, false, from a count on, as 5, or "
            "above a share, as 0.1."
        ),
    ] = "true",
    allow_unauthenticated_ray: Annotated[
        bool,
        typer.Option(
            "--allow-unauthenticated-ray", help="Join a Ray cluster that asks for no token."
        ),
    ] = False,
    retry_quarantined: Annotated[
        bool,
        typer.Option("--retry-quarantined", help="Ask again what killed its engine last time."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Json = False,
) -> None:
    """Run a batch; the same command again goes on where it stopped."""
    from nbest.experiments.cli.display.plan_view import print_plan
    from nbest.experiments.cli.display.progress_view import shown_progress
    from nbest.experiments.cli.run_summary import conclude
    from nbest.experiments.config.endpoints import endpoint_overrides
    from nbest.experiments.runs.execute import carry_out, endings_of
    from nbest.experiments.runs.plan import make_plan
    from nbest.experiments.tasks.named import config_file, load_task_or_file

    allowed = ["cluster.allow_unauthenticated=true"] if allow_unauthenticated_ray else []
    served = endpoint_overrides(config_file(config), base_url, model, api_key_env)
    plan = make_plan(load_task_or_file(config, [*served, *(set_ or ()), *allowed]), limit)
    for note in plan.notes:
        print(f"nbest: {note}", file=sys.stderr)
    folder = out or f"runs/{plan.config.name}"
    if dry_run:
        return print_plan(plan, folder, as_json)
    tolerated = tolerated_errors(fail_on_error, plan.num_queries)
    with shown_progress(is_quiet=quiet) as report:
        records = carry_out(plan, folder, report, retry_quarantined=retry_quarantined)
        endings = endings_of(records)
        del records  # a run of many questions needs the memory for its table
    conclude(plan, folder, endings, tolerated, as_json)


@app.command(epilog="Example: nbest select runs/demo --select 'vote,mean_logprob,random(seed=3)'")
def select(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    selectors: Annotated[
        str | None, typer.Option("--select", help="Names; default: those of the run's config.")
    ] = None,
    extract: Extract = None,
    grade: Annotated[str | None, typer.Option(help="How answers are graded, e.g. number.")] = None,
    equivalence: Annotated[
        str | None, typer.Option(help="Which answers count as the same, e.g. number.")
    ] = None,
    min_confidence: MinConfidence = "0",
    max_risk: Annotated[
        float | None,
        typer.Option(help="Fit the least confidence that keeps the share of wrong answers."),
    ] = None,
    delta: Annotated[float, typer.Option(help="How likely --max-risk may be missed.")] = 0.1,
    as_json: Json = False,
) -> None:
    """Choose again from stored samples; no engine starts."""
    from nbest.experiments.analysis.abstaining import (
        RiskLimit,
        answered_sentence,
        guarantee_sentence,
    )
    from nbest.experiments.analysis.paired import paired_sentences, winner_note
    from nbest.experiments.analysis.select import NO_THRESHOLD, compare
    from nbest.experiments.cli.run_summary import end_by_failures, print_comparison, print_notes
    from nbest.experiments.config.threshold import read_threshold
    from nbest.experiments.language.text import printable

    is_given = read_threshold(min_confidence) != NO_THRESHOLD
    if max_risk is not None and is_given:
        raise InputError("max_risk must be given without min_confidence: it fits one")
    compared = compare(run_dir, selectors, extract, grade, equivalence, min_confidence)
    limit = None if max_risk is None else RiskLimit(max_risk=max_risk, delta=delta)
    print_comparison(compared, as_json, limit)
    print_notes(run_dir, as_json)
    if as_json:
        return end_by_failures(compared)
    for sentence in (*paired_sentences(compared.rows), *winner_note(compared.rows)):
        print(printable(sentence))
    for row in compared.rows:
        if is_given:
            print(printable(answered_sentence(row)))
        if limit is not None:
            print(printable(guarantee_sentence(row, limit, len(compared.rows))))
    end_by_failures(compared)


@app.command(epilog='Example: nbest ask "How many days are in a week?" -n 16 --select vote')
def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    n: Annotated[int, typer.Option("-n", help="How many samples.")] = 8,
    selector: Annotated[str, typer.Option("--select", help="Which one to take.")] = "vote",
    extract: Annotated[str, typer.Option(help="How an answer is read.")] = "final_answer",
    equivalence: Annotated[
        str, typer.Option(help="Which answers count as the same, e.g. mathematics.")
    ] = "exact",
    model: Annotated[
        str | None,
        typer.Option(
            help="Name, folder or hub id; default: smollm2-135m, or the one model of --base-url."
        ),
    ] = None,
    base_url: BaseUrl = None,
    api_key_env: KeyName = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 256,
    seed: Annotated[int, typer.Option(help="Same seed, same samples.")] = 0,
    rule: Annotated[str | None, typer.Option(help="Stop when it is content, e.g. margin.")] = None,
    race: Annotated[
        str | None, typer.Option(help="The first valid sample wins, e.g. json.")
    ] = None,
    min_confidence: MinConfidence = "0",
    schema: Annotated[
        str | None,
        typer.Option(help="The answer is a JSON value of this schema: a file, or JSON text."),
    ] = None,
    mode: Annotated[
        str, typer.Option(help="With a schema: prompt, constrained (by the engine), or both.")
    ] = "prompt",
    repair: Annotated[str, typer.Option(help="Of broken JSON: lossless, or none.")] = "lossless",
    corrections: Annotated[int, typer.Option(help="Of an answer that breaks the schema.")] = 1,
    retries: Annotated[int, typer.Option(help="Of an answer, after its corrections.")] = 2,
    choose: Annotated[str, typer.Option(help="Of valid answers: vote, first, by_field.")] = "vote",
    backend: Annotated[str, typer.Option(help="vllm, or fake for a rehearsal.")] = "vllm",
    as_json: Json = False,
) -> None:
    """Ask one question, in this process."""
    from nbest.experiments.cli.ask import Question, answer, as_document, as_text
    from nbest.experiments.cli.display.documents import print_document

    require_fitting_options(context, schema)
    if schema is not None:
        from nbest.experiments.cli.ask_value import answer_value, print_value

        wanted = {"schema": schema, "mode": mode, "repair": repair, "choose": choose, "n": n}
        wanted |= {"corrections": corrections, "retries": retries}
        wanted |= {"min_confidence": min_confidence}
        sampling = {"temperature": temperature, "max_tokens": max_tokens}
        asked = (backend, model, base_url, api_key_env)
        return print_value(answer_value(question, wanted, sampling, asked, seed), as_json)

    settings = Question(
        text=question,
        n=n,
        select=selector,
        extract=extract,
        equivalence=equivalence,
        model=model,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        rule=rule,
        race=race,
        min_confidence=min_confidence,
        backend=backend,
        base_url=base_url,
        api_key_env=api_key_env,
    )
    selection = answer(settings)
    if as_json:
        print_document(as_document(selection))
    else:
        print(as_text(selection))


def main() -> None:
    """Run the command line: the entry point of `nbest`."""
    gc.set_threshold(100_000, 20, 50)  # a run is many small objects, few of them garbage
    with leaving_at_once():
        run_command(lambda: app(args=sys.argv[1:] or ["--help"], standalone_mode=False))
