"""What a report shows of one run: numbers and texts, gathered once and graded already."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.curve_command import powers_of_two, sampling_notes, selector_curves
from experiments.curves import (
    Curve,
    any_curves,
    curve_of,
    graded_cases,
    one_curves,
    smallest_pool,
)
from experiments.evaluate import Case, Row, any_right_row, one_sample_row, selector_row
from experiments.paired_rows import paired_sentences
from experiments.replay_command import Replay, Replayed, replay_cases
from experiments.select_command import load_cases, named_scorer
from orchestrator.errors import InputError
from orchestrator.protocols import Scorer
from orchestrator.selection import select
from orchestrator.store_read import read_manifest
from scorers.abstention import RiskPoint, risk_coverage

SHOWN_QUESTIONS = 8  # of each sort: best, worst, most contested
SHOWN_VERDICTS = 40  # questions where selectors differ
SHOWN_CHARACTERS = 1500  # of a text
SHOWN_ANSWERS = 5  # of a question
REPLAYED = 40_000  # orders of all questions together
FEWEST_SHUFFLES, MOST_SHUFFLES = 4, 20  # of a question


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerShown:
    """One answer to a question, with a sample that gives it."""

    answer: str
    votes: int
    is_right: bool | None  # None: ungraded
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionShown:
    """A question and what was said to it."""

    id: str
    prompt: str
    share_right: float  # of the samples; nan where nothing is graded
    num_samples: int
    num_silent: int  # without an answer
    answers: tuple[AnswerShown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionVerdicts:
    """Who is right about one question."""

    id: str
    right: tuple[bool | None, ...]  # a selector each, in the order of the rows; None: abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run."""

    name: str
    model: str
    rows: tuple[Row, ...]  # a selector each
    baselines: tuple[Row, ...]
    curves: tuple[Curve, ...]  # baselines first
    ks: tuple[int, ...]
    tokens_a_sample: float  # generated, mean
    prompt_tokens: int
    risk: tuple[RiskPoint, ...]  # of the first selector
    replay: Replay | None  # of the default adaptive strategy
    warnings: tuple[str, ...]  # of the watch
    paired: tuple[str, ...]  # what each selector wins over the first
    estimated: tuple[str, ...]  # curves without a closed form, and their error
    verdicts: tuple[QuestionVerdicts, ...]  # questions where the selectors differ
    best: tuple[QuestionShown, ...]
    worst: tuple[QuestionShown, ...]
    contested: tuple[QuestionShown, ...]


def run_report(
    run: Path, selectors: Sequence[str] | None = None, shown: int = SHOWN_QUESTIONS
) -> RunReport:
    """Gather it, with so many questions of each sort; by default for the run's own selectors."""
    manifest = read_manifest(run)
    names = tuple(selectors or _selectors(manifest.config.get("select")))
    scorers = {name: named_scorer(name, run) for name in names}
    cases = load_cases(run)
    graded = graded_cases(cases)
    rows = asyncio.run(_rows(scorers, cases))
    known = {row.select: scorers[row.select] for row in rows if row.failed < len(cases)}
    largest = smallest_pool(graded)
    ks = powers_of_two(largest) if graded else ()
    found = selector_curves(known, graded, ks, largest) if graded else {}
    baselines = (
        (
            curve_of("one sample", one_curves(graded, largest)),
            curve_of("any right", any_curves(graded, largest)),
        )
        if graded
        else ()
    )
    return RunReport(
        name=run.name,
        model=str(_model(manifest.config)),
        rows=tuple(rows),
        baselines=(one_sample_row(cases), any_right_row(cases)),
        curves=(*baselines, *(curve for curve, _ in found.values())),
        ks=ks,
        tokens_a_sample=_tokens_a_sample(cases),
        prompt_tokens=sum(s.prompt_tokens for c in cases for s in c.candidates.samples),
        risk=_risk(rows[0]) if rows else (),
        replay=_replay(graded, largest),
        verdicts=asyncio.run(_verdicts([scorers[row.select] for row in rows], graded)),
        warnings=tuple(f"{name}: {told}" for name, (_, told) in found.items() if told),
        paired=tuple(paired_sentences(rows)),
        estimated=sampling_notes([curve for curve, _ in found.values()]),
        best=_shown(graded, shown, lambda case: (-_share(case), case.query.id)),
        worst=_shown(graded, shown, lambda case: (_share(case), case.query.id)),
        contested=_shown(cases, shown, lambda case: (_margin(case), case.query.id)),
    )


async def _rows(scorers: dict[str, Scorer], cases: Sequence[Case]) -> list[Row]:
    """The selectors that can be applied without an engine."""
    rows = []
    for name, scorer in scorers.items():
        try:
            rows.append(await selector_row(name, scorer, cases))
        except InputError:  # it wants log-probabilities, or a model, that the run has not
            continue
    return rows


async def _verdicts(
    scorers: Sequence[Scorer], cases: Sequence[Case]
) -> tuple[QuestionVerdicts, ...]:
    """The first questions about which selectors differ."""
    found: list[QuestionVerdicts] = []
    for case in cases:
        if len(found) == SHOWN_VERDICTS or len(scorers) < 2:
            break
        answers = [(await select(case.query, case.candidates, s)).answer for s in scorers]
        right = tuple(None if a is None else case.verdicts[a] == 1.0 for a in answers)
        if len(set(right)) > 1:
            found.append(QuestionVerdicts(id=case.query.id, right=right))
    return tuple(found)


def _selectors(select: object) -> tuple[str, ...]:
    return tuple(map(str, select)) if isinstance(select, list) else ("vote",)


def _model(config: object) -> object:
    model = config.get("model") if isinstance(config, dict) else None
    return model.get("model", model.get("backend", "")) if isinstance(model, dict) else "imported"


def _tokens_a_sample(cases: Sequence[Case]) -> float:
    tokens = [s.generated_tokens for case in cases for s in case.candidates.samples]
    return float(np.mean(tokens)) if tokens else 0.0


def _risk(row: Row) -> tuple[RiskPoint, ...]:
    confidence = [value for value, _ in row.answered]
    right = [is_right for _, is_right in row.answered]
    return tuple(risk_coverage(confidence, right, row.n_graded)) if right else ()


def _replay(cases: Sequence[Case], largest: int) -> Replay | None:
    if largest < 4:
        return None
    shuffles = min(MOST_SHUFFLES, max(FEWEST_SHUFFLES, REPLAYED // len(cases)))
    return replay_cases(cases, Replayed(), min(largest, 64), shuffles)


def _share(case: Case) -> float:
    return float(np.mean(case.shares)) if case.shares else 0.0


def _margin(case: Case) -> float:
    """How far the leader is ahead, as a share of the votes; 1 where there are none."""
    votes = sorted(Counter(a for a in case.candidates.answers if a is not None).values())
    if not votes:
        return 1.0
    second = votes[-2] if len(votes) > 1 else 0
    return (votes[-1] - second) / sum(votes)


def _shown(
    cases: Sequence[Case], count: int, key: Callable[[Case], tuple[float, str]]
) -> tuple[QuestionShown, ...]:
    ordered = sorted(cases, key=key)
    return tuple(_question(case) for case in ordered[:count])


def _question(case: Case) -> QuestionShown:
    answers = case.candidates.answers
    votes = Counter(answer for answer in answers if answer is not None)
    texts = {a: s.text for a, s in zip(answers, case.candidates.samples, strict=True)}
    prompt = case.query.prompt
    said = prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)
    return QuestionShown(
        id=case.query.id,
        prompt=said[-SHOWN_CHARACTERS:],
        share_right=_share(case) if case.is_graded else float("nan"),
        num_samples=len(answers),
        num_silent=answers.count(None),
        answers=tuple(
            AnswerShown(
                answer=answer[:SHOWN_CHARACTERS],
                votes=count,
                is_right=None if np.isnan(v := case.verdicts[answer]) else v == 1.0,
                text=texts[answer][:SHOWN_CHARACTERS],
            )
            for answer, count in votes.most_common(SHOWN_ANSWERS)
        ),
    )
