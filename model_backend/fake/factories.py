"""Makes the fake models that a config names, to rehearse a run, a cluster or a report.

They know no dataset: they give their few answers whatever they are asked.
"""

from __future__ import annotations

import math

from nbest.model_backend.fake.chains import ChainScript
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.faults import (
    Fails,
    Hangs,
    Harm,
    HarmsProcess,
    Journal,
    OverloadedAtFirst,
    Rejects,
)
from nbest.model_backend.fake.script import Script, SeededAnswers


def seeded_fake(
    *,
    answers: tuple[str, ...] = ("42", "41", "40"),
    weights: tuple[int, ...] = (2, 1, 1),
    first_token_s: float = 0.0,
    token_s: float = 0.0,
    max_concurrency: int = 256,
) -> FakeBackend:
    """Make a fake backend that gives `answers` about as often as `weights` say."""
    script = SeededAnswers(
        answers=answers, weights=weights, first_token_s=first_token_s, token_s=token_s
    )
    return FakeBackend(script=script, max_concurrency=max_concurrency)


def chains_fake(
    *,
    depth: int = 6,
    p: float = 0.8,
    gap: float = 0.0,
    step_tokens: int = 1,
    first_token_s: float = 0.0,
    token_s: float = 0.0,
    max_concurrency: int = 256,
    journal: str | None = None,
) -> FakeBackend:
    """Make a fake backend that answers in `depth` steps, each right by the chance `p`.

    Wrong steps are less likely to it by `gap` nats; each call adds a line to the file `journal`.
    """
    script = ChainScript(
        depth=depth,
        p=p,
        gap=gap,
        step_tokens=step_tokens,
        first_token_s=first_token_s,
        token_s=token_s,
    )
    return FakeBackend(script=_with_journal(script, journal), max_concurrency=max_concurrency)


def faulty_fake(
    *,
    answers: tuple[str, ...] = ("42", "41", "40"),
    weights: tuple[int, ...] = (2, 1, 1),
    first_token_s: float = 0.0,
    token_s: float = 0.0,
    max_concurrency: int = 256,
    harm_on: str | None = None,
    harm: Harm = Harm.SIGKILL,
    hang_on: str | None = None,
    stall_s: float = math.inf,
    reject_on: str | None = None,
    reject_reason: str = "the request is refused",
    fail_on: str | None = None,
    fail_reason: str = "the request failed",
    overloads: int = 0,
    journal: str | None = None,
) -> FakeBackend:
    """Make a fake backend that also misbehaves, at prompts that hold the text of an `_on`.

    `harm` (sigkill, exit, sigstop) is done to the engine's process; an engine that hangs reports
    after `stall_s` that it is dead; each request is told `overloads` times that the engine is full;
    each call adds a line to the file `journal`.
    """
    script: Script = SeededAnswers(
        answers=answers, weights=weights, first_token_s=first_token_s, token_s=token_s
    )
    if overloads:
        script = OverloadedAtFirst(then=script, times=overloads)
    if reject_on is not None:
        script = Rejects(then=script, marker=reject_on, reason=reject_reason)
    if fail_on is not None:
        script = Fails(then=script, marker=fail_on, reason=fail_reason)
    if hang_on is not None:
        script = Hangs(then=script, marker=hang_on, stall_s=stall_s)
    if harm_on is not None:
        script = HarmsProcess(then=script, marker=harm_on, harm=harm)
    return FakeBackend(script=_with_journal(script, journal), max_concurrency=max_concurrency)


def _with_journal(script: Script, path: str | None) -> Script:
    """Put a journal before a script: it notes a request before a fault can end the process."""
    return script if path is None else Journal(then=script, path=path)
