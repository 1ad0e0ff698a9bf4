"""What `nbest run` and `nbest select` print: the table, and what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import islice

import typer

from nbest.experiments.analysis.abstaining import RiskLimit, abstention_json
from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.select import Comparison, compare_scorers
from nbest.experiments.cli.display.documents import print_document
from nbest.experiments.cli.display.tables import console, selector_table
from nbest.experiments.cli.ending import Exit
from nbest.experiments.language.text import printable
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.bill import COUNTS, bill_line, bill_lines
from nbest.experiments.runs.exchange.export_answers import rows_chosen
from nbest.experiments.runs.execute import Endings
from nbest.experiments.runs.plan import Plan
from nbest.experiments.runs.scope import Scope
from nbest.experiments.runs.selectors import named_scorer
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome, Record


def conclude(plan: Plan, folder: StrPath, endings: Endings, tolerated: int, as_json: bool) -> None:
    """Print the table of a run and what failed in it; exit with 3 if too much did."""
    failed = endings.failed
    compared: Comparison | None = None
    run = RunReader(folder)
    if len(failed) < plan.num_queries:
        # `user` is built anew: it reads a person's choices, which the config does not know.
        scorers = {
            name: named_scorer(name, run) if name == "user" else scorer
            for name, scorer in plan.config.scorers().items()
        }
        scope = Scope({query.id for query in plan.prompts.queries}, plan.config.strategy.n)
        reading = plan.config.reading()
        compared = compare_scorers(run, scorers, reading, scope=scope, gold=plan.gold)
        print_comparison(compared, as_json)
        tell_notes(scope.notes(), as_json)
        print_notes(folder, as_json)
    tell_notes(_bill(plan, folder, endings), as_json)
    if compared is not None and not as_json:
        first = dict(islice(scorers.items(), 1))
        print_answers(run, first, reading)
    tell_errors(failed, plan.num_queries)
    _tell_out_of_budget(endings)
    if len(failed) > tolerated:
        raise typer.Exit(Exit.SOME_ERRORS)
    if compared is not None:
        end_by_failures(compared, tolerated)


def print_answers(run: RunReader, scorers: Mapping[str, Scorer], reading: Reading) -> None:
    """Print a few answers, where the others are, and how to look at them."""
    rows = islice(rows_chosen(run, scorers, reading), EXAMPLES)
    for row in rows:
        question = " ".join(row.question.split())
        question = question if len(question) <= 60 else f"...{question[-57:]}"
        answer = row.outcome if row.answer is None else " ".join(row.answer.split())
        verdict = {True: ", right", False: ", wrong", None: ""}[row.correct]
        agree = "" if row.confidence is None else f" ({row.confidence:.0%} agree{verdict})"
        print(printable(f"  {question} -> {answer[:40]}{agree}"))
    place = printable(run.shown_path)  # without a password
    print(f"kept in {place}: nbest view {place}, nbest export {place} --format answers")


EXAMPLES = 3  # answers that are shown at the end of a run


def _bill(plan: Plan, folder: StrPath, endings: Endings) -> list[str]:
    """What the run has cost: by model, where there are several."""
    if models := plan.named_models():
        return bill_lines(plan.backend, models, RunReader(folder).samples(COUNTS))
    price = getattr(plan.backend, "price", None)
    return [f"price: {bill_line(price, endings.usage)}"] if price else []


def print_notes(folder: StrPath, as_json: bool) -> None:
    """Warn of a run that is unfinished, or stopped drawing by what its samples said."""
    tell_notes(run_notes(RunReader(folder)), as_json)


def tell_notes(notes: Sequence[str], as_json: bool) -> None:
    """Print notes; on standard error where standard output is for JSON."""
    for note in notes:
        print(note, file=sys.stderr if as_json else sys.stdout)


def end_by_failures(comparison: Comparison, tolerated: int = 0) -> None:
    """Exit with 3 where a selector failed at more questions than are tolerated."""
    if any(row.failed > tolerated for row in comparison.rows):
        raise typer.Exit(Exit.SOME_ERRORS)


def print_comparison(comparison: Comparison, as_json: bool, limit: RiskLimit | None = None) -> None:
    for row in comparison.rows:
        if row.failed:
            text = f"{row.select} failed at {row.failed} questions, first {row.failure}"
            print(f"nbest: {printable(text)}", file=sys.stderr)
        if row.abstained == row.n_queries > 0 and comparison.samples.answered:
            text = f"{row.select} abstained from all {row.n_queries} questions"
            text += ": none of its scores could be read, or too few samples agree"
            print(f"nbest: {printable(text)}", file=sys.stderr)
    if as_json:
        print_document(comparison_document(comparison, limit))
        return tell_notes(comparison.notes, as_json)
    console().print(selector_table(comparison.rows, comparison.baselines))
    for sentence in (*comparison.samples.sentences(), *comparison.notes):
        print(sentence)


def comparison_document(comparison: Comparison, limit: RiskLimit | None) -> dict[str, object]:
    """What `--json` prints: the first selector, for it gives the answers, then all of them."""
    count = len(comparison.rows)
    rows = [row.as_json() | abstention_json(row, limit, count) for row in comparison.rows]
    first = {key: rows[0][key] for key in ("select", "accuracy")} if rows else {}
    return {
        **first,
        "rows": rows,
        "baselines": [row.as_json() for row in comparison.baselines],
        "samples": comparison.samples.as_json(),
    }


def tell_errors(failed: Sequence[Record], num_queries: int) -> None:
    """Say which questions failed: the first few, and how many."""
    if not failed:
        return
    for record in failed[:5]:
        how = "failed" if record.outcome is Outcome.ERROR else str(record.outcome)
        print(
            f"nbest: {printable(record.query_id)} {how}: {printable(record.error)}", file=sys.stderr
        )
    quarantined = sum(record.outcome is Outcome.QUARANTINED for record in failed)
    advice = f", {quarantined} of them quarantined (--retry-quarantined asks again)"
    print(
        f"nbest: {len(failed)} of {num_queries} questions failed{advice if quarantined else ''}",
        file=sys.stderr,
    )


def _tell_out_of_budget(endings: Endings) -> None:
    if endings.out_of_budget:
        print(
            f"nbest: {endings.out_of_budget} of {endings.total} questions got no sample, "
            "for the budget was spent: they are in no line of the table",
            file=sys.stderr,
        )
