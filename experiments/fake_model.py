"""The fake model as a config names it: rehearse a run, a cluster or a report without an engine.

It knows no dataset: it says its few answers whatever it is asked.
"""

from __future__ import annotations

from model_backend.fake import FakeBackend, SeededAnswers


def seeded_fake(
    *,
    answers: tuple[str, ...] = ("42", "41", "40"),
    weights: tuple[int, ...] = (2, 1, 1),
    first_token_s: float = 0.0,
    token_s: float = 0.0,
    max_concurrency: int = 256,
) -> FakeBackend:
    """A fake backend that says `answers` about as often as `weights` tell."""
    script = SeededAnswers(
        answers=answers, weights=weights, first_token_s=first_token_s, token_s=token_s
    )
    return FakeBackend(script=script, max_concurrency=max_concurrency)
