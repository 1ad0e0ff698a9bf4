"""One question of a run, whole: its samples, what each selector makes of them, where they part."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.exchange.run_tables import mean_logprob
from nbest.experiments.view.prefix_tree import Branch, Strand, prefix_tree
from nbest.experiments.view.rows import QuestionRow, question_row, status_word
from nbest.experiments.view.token_texts import TokenTexts, words_of
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import score_candidates
from nbest.orchestrator.strategies.search.grown import Grown
from nbest.orchestrator.types import Path, Query, Sample, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleShown:
    """A sample with all that is known of it, but for its tokens."""

    index: int  # as in its id
    id: str
    text: str
    reasoning: str
    answer: str | None
    status: str
    error: str
    is_right: bool | None
    chosen_by: tuple[str, ...]  # selectors
    scores: Mapping[str, float | None]  # by selector; None: none, or not finite
    tokens: int
    seconds: float
    mean_logprob: float | None  # nats, before temperature
    arm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A node of a search."""

    path: Path
    text: str
    score: float | None
    tokens: int
    chains: int  # that pass through it to their end; 0: pruned
    right: int | None  # of these chains
    has_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionShown:
    """A question with all of its samples."""

    row: QuestionRow
    prompt: tuple[tuple[str, str], ...]  # who says what; of raw text, one turn of nobody
    samples: tuple[SampleShown, ...]
    parts: Branch | None  # where the samples part; None of a single one
    parts_are_tokens: bool  # else they are words
    search: tuple[TreeNode, ...]  # the nodes of a search; none where the samples are independent
    person: str = ""  # what a person chose, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShown:
    """A token of a sample, and what else the model might have said."""

    text: str
    p: float | None  # before temperature
    alternatives: tuple[tuple[str, float], ...]  # the likeliest tokens; of unknown text: empty
    rest: float | None  # the probability of all others


async def question_shown(
    case: Case,
    scorers: Mapping[str, Scorer],
    gold: Gold | None,
    texts: TokenTexts,
    grown: Grown | None = None,
) -> QuestionShown:
    """Gather what is shown of a case."""
    row = await question_row(case, scorers, gold)
    scores = {name: await _scores(case, scorer) for name, scorer in scorers.items()}
    samples = [_sample(case, place, row, scores) for place in range(len(case.candidates))]
    is_by_token = texts.is_known and all(s.token_ids for s in case.candidates.samples)
    return QuestionShown(
        row=row,
        prompt=turns_of(case.query),
        samples=tuple(samples),
        parts=_parts(case, texts, is_by_token) if len(samples) > 1 else None,
        parts_are_tokens=is_by_token,
        search=_nodes(case, grown) if grown is not None else (),
    )


def turns_of(query: Query) -> tuple[tuple[str, str], ...]:
    """Who says what in the prompt of a query."""
    prompt = query.prompt
    if isinstance(prompt, str):
        return (("", prompt),)
    return tuple((turn.role, turn.content) for turn in prompt)


async def _scores(case: Case, scorer: Scorer) -> Sequence[float | None]:
    """[N] the scores of a selector; None everywhere where it fails."""
    try:
        scores = await score_candidates(case.query, case.candidates, scorer)
    # It may be a plugin, and it reads what a model wrote; its row says why it failed.
    except Exception:  # noqa: BLE001
        return [None] * len(case.candidates)
    return [float(score) if np.isfinite(score) else None for score in scores]


def _sample(
    case: Case, place: int, row: QuestionRow, scores: Mapping[str, Sequence[float | None]]
) -> SampleShown:
    sample, answer = case.candidates.samples[place], case.candidates.answers[place]
    return SampleShown(
        index=index_of(sample.id),
        id=sample.id,
        text=sample.text,
        reasoning=sample.reasoning,
        answer=answer,
        status="ok" if sample.status is Status.OK else status_word(sample),
        error=sample.error,
        is_right=None if answer is None else case.is_right(answer),
        chosen_by=tuple(c.select for c in row.choices if c.index == index_of(sample.id)),
        scores={name: found[place] for name, found in scores.items()},
        tokens=sample.generated_tokens,
        seconds=sample.total_s,
        mean_logprob=mean_logprob(sample),
        arm=sample.arm,
    )


def _parts(case: Case, texts: TokenTexts, is_by_token: bool) -> Branch:
    """The prefix tree of the samples, over token ids where they have any, else over words."""
    pairs = zip(case.candidates.samples, case.candidates.answers, strict=True)
    strands = []
    for sample, answer in pairs:
        parts: Sequence[Hashable] = sample.token_ids
        logprobs = sample.logprobs
        if not is_by_token:
            parts, logprobs = words_of(f"{sample.reasoning}{sample.text}"), None
        is_right = case.is_right(answer)
        strands.append(Strand(parts=parts, logprobs=logprobs, is_right=is_right))
    return prefix_tree(strands, texts.joined if is_by_token else _joined)  # type: ignore[arg-type]


def _joined(words: Sequence[Hashable]) -> str:
    return "".join(map(str, words))


def _nodes(case: Case, grown: Grown) -> tuple[TreeNode, ...]:
    """The nodes of a search, each with the chains that pass through it."""
    rights = [case.is_right(answer) for answer in case.candidates.answers]
    ends = list(zip(grown.paths, rights, strict=True))
    nodes = []
    for node in grown.nodes:
        depth = len(node.path)
        passing = [is_right for end, is_right in ends if end[:depth] == node.path]
        known = [is_right for is_right in passing if is_right is not None]
        nodes.append(
            TreeNode(
                path=node.path,
                text=node.text,
                score=node.score if math.isfinite(node.score) else None,
                tokens=node.tokens,
                chains=len(passing),
                right=sum(known) if known else None,
                has_ended=node.has_ended,
            )
        )
    return tuple(nodes)


def tokens_shown(sample: Sample, texts: TokenTexts) -> tuple[TokenShown, ...]:
    """The tokens of a sample; none where their texts are not known."""
    said = texts.of(sample)
    if said is None:
        return ()
    top = sample.top_logprobs
    rows = None if top is None else np.exp(top.array().astype(np.float64))
    shown = []
    for place, text in enumerate(said):
        alternatives: tuple[tuple[str, float], ...] = ()
        rest = None
        if top is not None and rows is not None and place < len(rows):
            names = top.texts[place * top.k : (place + 1) * top.k] or ("",) * top.k
            alternatives = tuple(zip(names, map(float, rows[place]), strict=True))
            rest = max(0.0, 1.0 - float(rows[place].sum()))
        p = None if sample.logprobs is None else math.exp(sample.logprobs[place])
        shown.append(TokenShown(text=text, p=p, alternatives=alternatives, rest=rest))
    return tuple(shown)
