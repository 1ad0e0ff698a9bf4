"""What `nbest show` prints: the questions of a run, one of them, one sample with its tokens.

Nothing is told by colour alone: verdicts are words, and hesitant tokens are marked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbest.experiments.cli.display.tables import console, plain_table
from nbest.experiments.language.text import printable, safe_lines
from nbest.experiments.view.prefix_tree import Branch
from nbest.experiments.view.question import QuestionShown, SampleShown, TokenShown, TreeNode
from nbest.experiments.view.rows import KINDS, QuestionRow, counted
from nbest.experiments.view.viewed_run import ViewedRun
from nbest.orchestrator.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

ALTERNATIVES = 12  # tokens that are shown with what else might have been said
SHOWN_CHARACTERS = 52
BANDS = ((0.1, "!"), (0.5, "?"), (0.9, "~"))  # below which a token is marked, and how
WORDS = {True: "right", False: "wrong", None: "-"}


def print_questions(run: ViewedRun, only: str | None, limit: int) -> None:
    """Print a line for each question, of one kind if `only` names it."""
    if only is not None and only not in KINDS:
        raise InputError(f"only must be one of {', '.join(KINDS)}, got {only!r}")
    rows = run.rows()
    wanted = [row for row in rows if only is None or only in row.kinds()]
    table = plain_table("id", "question", "says", "is", "agree", "right answer", "votes")
    for row in wanted[:limit]:
        table.add_row(*_cells(row))
    if wanted:
        console().print(table)
    else:
        print(f"no question is {only or 'there'}")
    if len(wanted) > limit:
        print(f"{len(wanted) - limit:,} more: --limit {len(wanted)}")
    counts = ", ".join(f"{count:,} {kind}" for kind, count in counted(rows).items() if count)
    print(f"{len(rows):,} questions: {counts}")
    _print_notes(run)
    if rows:
        query_id = (wanted or rows)[0].id
        print(f"look at one: nbest show {run.facts.path} {printable(query_id)}")


def _cells(row: QuestionRow) -> list[Text]:
    answer = row.choices[0].answer if row.choices else None
    agree = "-" if row.agreement is None else f"{row.agreement:.0%}"
    votes = [f"{_cut(vote.answer, 14)} x{len(vote.samples)}" for vote in row.votes[:3]]
    votes += [f"{one.status} x{len(one.samples)}" for one in row.silent]
    values = (
        row.id,
        _cut(row.question, SHOWN_CHARACTERS, from_end=True),
        "-" if answer is None else _cut(answer, 20),
        WORDS[row.is_right],
        agree,
        "-" if row.gold is None else _cut(row.gold, 20),
        ", ".join(votes),
    )
    return [_text(value) for value in values]


def print_question(run: ViewedRun, query_id: str) -> None:
    """Print a question: its answers, what each selector chose, its samples, where they part."""
    shown = run.question(query_id)
    row = shown.row
    print(safe_lines(row.question))
    if row.gold is not None:
        print(f"right answer: {printable(row.gold)}")
    if shown.person:
        print(printable(shown.person))
    print()
    for choice in row.choices:
        said = choice.outcome if choice.answer is None else printable(choice.answer)
        agree = "" if choice.confidence is None else f", {choice.confidence:.0%} agree"
        print(f"{printable(choice.select)}: {said} ({WORDS[choice.correct]}{agree})")
    table = plain_table("sample", "says", "is", "ended", "tokens", "mean log p", "s", "chosen by")
    for sample in shown.samples:
        table.add_row(*map(_text, _sample_cells(sample)))
    console().print(table)
    if shown.search:
        print("\nthe tree of the search: score, chains that end below, right ones")
        print("\n".join(_node_line(node) for node in shown.search))
    elif shown.parts is not None and shown.parts.branches:
        unit = "tokens" if shown.parts_are_tokens else "words"
        print(f"\nwhere the samples part, by {unit}")
        print("\n".join(_branch_lines(shown.parts, 0)))
    _print_notes(run)
    print(f"one sample: nbest show {run.facts.path} {printable(row.id)} --sample {_best(shown)}")


def _best(shown: QuestionShown) -> int:
    """The sample that the first selector chose; else the first one."""
    index = shown.row.choices[0].index if shown.row.choices else None
    return shown.samples[0].index if index is None else index


def _sample_cells(sample: SampleShown) -> tuple[str, ...]:
    return (
        str(sample.index),
        "-" if sample.answer is None else _cut(sample.answer, 30),
        WORDS[sample.is_right],
        sample.status,
        f"{sample.tokens:,}",
        "-" if sample.mean_logprob is None else f"{sample.mean_logprob:.2f}",
        f"{sample.seconds:.1f}" if sample.seconds else "-",
        ", ".join(sample.chosen_by),
    )


def _node_line(node: TreeNode) -> str:
    score = "-" if node.score is None else f"{node.score:.3g}"
    below = f"{node.chains} chains" if node.chains else "pruned"
    right = "" if node.right is None else f", {node.right} right"
    return f"{'  ' * (len(node.path) - 1)}{_quoted(node.text)}  {score}, {below}{right}"


def _branch_lines(branch: Branch, depth: int) -> list[str]:
    p = "" if branch.p != branch.p else f", p {branch.p:.2f}"
    right = "" if branch.right is None else f", {branch.right} right"
    lines = [f"{'  ' * depth}{_quoted(branch.text)}  {len(branch.samples)} samples{p}{right}"]
    for child in branch.branches:
        lines += _branch_lines(child, depth + 1)
    if branch.left_out:
        lines.append(f"{'  ' * (depth + 1)}{branch.left_out} samples on other branches")
    return lines


def print_sample(run: ViewedRun, query_id: str, index: int, alternatives: bool) -> None:
    """Print a sample whole, hesitant tokens marked; with what else might have been said."""
    shown = run.question(query_id)
    found = [sample for sample in shown.samples if sample.index == index]
    if not found:
        raise InputError(f"question {query_id!r} has no sample {index}")
    (sample,) = found
    print(printable(", ".join(filter(None, _sample_cells(sample)[1:]))))
    if sample.error:
        print(printable(sample.error))
    tokens = run.tokens(query_id, index)
    if tokens and any(token.p is not None for token in tokens):
        print("marked: ~ p below .9, ? below .5, ! below .1, before temperature\n")
        print(safe_lines("".join(map(_marked, tokens))))
    else:
        print(f"\n{safe_lines(sample.reasoning)}{safe_lines(sample.text)}")
        print("\nno tokens are shown: sampling.logprobs keeps their probabilities, and the model's")
        print("tokenizer, or sampling.token_texts, says what they are")
    if alternatives and tokens:
        console().print(_alternatives(tokens))


def _marked(token: TokenShown) -> str:
    mark = next((mark for below, mark in BANDS if token.p is not None and token.p < below), "")
    return f"{token.text}{mark}"


def _alternatives(tokens: Sequence[TokenShown]) -> Table:
    """The least probable tokens, each with the likeliest others."""
    table = plain_table("token", "says", "p", "likeliest, and the rest")
    known = [(token.p, place) for place, token in enumerate(tokens) if token.p is not None]
    for _, place in sorted(sorted(known)[:ALTERNATIVES], key=lambda one: one[1]):
        token = tokens[place]
        named = [(_quoted(text) if text else "?", p) for text, p in token.alternatives]
        others = [f"{text} {p:.2f}" for text, p in named]
        rest = [] if token.rest is None else [f"rest {token.rest:.2f}"]
        p = "-" if token.p is None else f"{token.p:.3f}"
        cells = (str(place), _quoted(token.text), p, ", ".join((*others, *rest)))
        table.add_row(*map(_text, cells))
    return table


def _print_notes(run: ViewedRun) -> None:
    for line in (run.health().sentence(), *run.facts.notes):
        if line:
            print(printable(line))


def _text(value: str) -> Text:
    from rich.text import Text

    return Text(printable(value))


def _quoted(text: str) -> str:
    """A text in quotation marks, its white space as it is; a long one without its middle."""
    whole = text if len(text) <= 100 else f"{text[:70]} ... {text[-25:]}"
    return printable(json.dumps(whole, ensure_ascii=False))


def _cut(text: str, length: int, *, from_end: bool = False) -> str:
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    return f"...{line[3 - length :]}" if from_end else f"{line[: length - 3]}..."
