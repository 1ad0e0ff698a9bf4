"""What the page of `nbest view` is told: plain data, for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nbest.experiments.view.prefix_tree import Branch
from nbest.experiments.view.question import QuestionShown, TokenShown
from nbest.experiments.view.rows import SHOWN_CHARACTERS, QuestionRow
from nbest.experiments.view.viewed_run import Tell, ViewedRun

SHOWN_VOTES = 6  # of a question in the list
TELL_EVERY = 1_000
DIFFER = "runs differ"


def overview(runs: Sequence[ViewedRun], tell: Tell = lambda line: None) -> dict[str, Any]:
    """All questions of one run or two: `heads` of the runs, and `overview_rows`."""
    rows = []
    for row in overview_rows(runs):
        rows.append(row)
        if len(rows) % TELL_EVERY == 0:
            tell(f"{len(rows):,} questions read")
    return {"runs": heads(runs), "rows": rows, "is_whole": True}


def heads(runs: Sequence[ViewedRun]) -> list[dict[str, Any]]:
    """What each run is."""
    return [_facts(run) for run in runs]


def overview_rows(runs: Sequence[ViewedRun], at_once: int = 250) -> Iterator[dict[str, Any]]:
    """Yield a row for each question, with a cell for each run; None where it is not asked.

    Questions of two runs are the same where their ids and their texts are. `at_once` questions are
    read together.
    """
    ids = list(dict.fromkeys(query_id for run in runs for query_id in run.query_ids))
    for start in range(0, len(ids), at_once):
        chunk = ids[start : start + at_once]
        for rows in zip(*(run.rows_of(chunk) for run in runs), strict=True):
            for question in dict.fromkeys(row.question for row in rows if row is not None):
                same = [row if row and row.question == question else None for row in rows]
                yield _row(question, same)


def _row(question: str, rows: Sequence[QuestionRow | None]) -> dict[str, Any]:
    known = [row for row in rows if row is not None]
    gold = known[0].gold
    return {
        "id": known[0].id,
        "question": question[-SHOWN_CHARACTERS:],
        "gold": None if gold is None else gold[:SHOWN_CHARACTERS],
        "kinds": _kinds(known),
        "cells": [None if row is None else _cell(row) for row in rows],
    }


def _facts(run: ViewedRun) -> dict[str, Any]:
    return {**asdict(run.facts), "health": run.health().sentence()}


def _kinds(known: Sequence[QuestionRow]) -> list[str]:
    """The words that a question can be filtered by: those of the first run that has it."""
    kinds = list(known[0].kinds())
    said = {(row.is_right, row.choices[0].answer if row.choices else None) for row in known}
    return [*kinds, DIFFER] if len(said) > 1 else kinds


def _cell(row: QuestionRow) -> dict[str, Any]:
    first = row.choices[0] if row.choices else None
    answer = None if first is None or first.answer is None else first.answer[:SHOWN_CHARACTERS]
    shown = row.votes[:SHOWN_VOTES]
    return {
        "answer": answer,
        "right": row.is_right,
        "agreement": row.agreement,
        "votes": [[v.answer[:SHOWN_CHARACTERS], len(v.samples), v.is_right] for v in shown],
        "others": sum(len(vote.samples) for vote in row.votes[SHOWN_VOTES:]),
        "silent": [[one.status, len(one.samples)] for one in row.silent],
        "samples": row.samples,
        "tokens": row.tokens,
    }


def question_document(shown: QuestionShown) -> dict[str, Any]:
    """One question of one run, whole."""
    row = shown.row
    return {
        "id": row.id,
        "question": row.question,
        "gold": row.gold,
        "prompt": [{"role": role, "content": content} for role, content in shown.prompt],
        "choices": [
            {
                "select": choice.select,
                "answer": choice.answer,
                "index": choice.index,
                "right": choice.correct,
                "agreement": choice.confidence,
                "outcome": choice.outcome,
            }
            for choice in row.choices
        ],
        "votes": [asdict(vote) for vote in row.votes],
        "silent": [asdict(one) for one in row.silent],
        "samples": [asdict(sample) for sample in shown.samples],
        "parts": None if shown.parts is None else _branch(shown.parts),
        "by_token": shown.parts_are_tokens,
        "search": [asdict(node) for node in shown.search],
        "tokens": row.tokens,
        "person": shown.person,
    }


def _branch(branch: Branch) -> dict[str, Any]:
    return {
        "text": branch.text,
        "start": branch.start,
        "length": branch.length,
        "samples": len(branch.samples),
        "ended": list(branch.ended),
        "right": branch.right,
        "p": _or_none(branch.p),
        "rest": _or_none(branch.rest),
        "left_out": branch.left_out,
        "branches": [_branch(child) for child in branch.branches],
    }


def tokens_document(tokens: Sequence[TokenShown]) -> dict[str, Any]:
    """The tokens of a sample: text, probability, the likeliest others, the rest."""
    return {
        "tokens": [
            [
                token.text,
                token.p,
                [[text, p] for text, p in token.alternatives],
                token.rest,
            ]
            for token in tokens
        ]
    }


def whole_document(
    runs: Sequence[ViewedRun], most: int, tell: Tell = lambda line: None
) -> Mapping[str, Any]:
    """All that a page of its own holds: the questions, and the samples of the first `most`."""
    document = overview(runs, tell)
    questions: dict[str, Any] = {}
    for row in document["rows"][:most]:
        for place, cell in enumerate(row["cells"]):
            if cell is None:
                continue
            shown = runs[place].question(row["id"])
            questions[f"{place}/{row['id']}"] = {
                **question_document(shown),
                "token_texts": [
                    tokens_document(runs[place].tokens(row["id"], sample.index))["tokens"]
                    for sample in shown.samples
                ],
            }
    return {**document, "questions": questions}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
