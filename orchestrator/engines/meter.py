"""Counts what passes through one engine, and how long it had nothing to do.

It knows no engine, and no time but that of the clock that it gets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nbest.orchestrator.types import Sample, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One engine at one moment; counts are of its present life."""

    life: str  # which life: another name after every restart
    in_flight: int = 0  # requests that it works on or that wait in it
    samples: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of prompt_tokens
    generated_tokens: int = 0
    cancelled_tokens: int = 0  # of generated_tokens, those of aborted samples
    up_s: float = 0.0  # since it could be used
    idle_s: float = 0.0  # of up_s, with nothing in flight


class Meter:
    """The running counts behind a pulse."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._up_since_s = self._idle_since_s = now()
        self._idle_s = 0.0
        self._in_flight = self._samples = 0
        self._prompt_tokens = self._cached_tokens = 0
        self._generated_tokens = self._cancelled_tokens = 0

    @property
    def in_flight(self) -> int:
        """How many requests have come and not left."""
        return self._in_flight

    def began(self) -> None:
        """Note that a request has come."""
        if self._in_flight == 0:
            self._idle_s += self._now() - self._idle_since_s
        self._in_flight += 1

    def ended(self, sample: Sample | None) -> None:
        """Note that a request has left; without a sample, it failed."""
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle_since_s = self._now()
        if sample is None:
            return
        self._samples += 1
        self._prompt_tokens += sample.prompt_tokens
        self._cached_tokens += sample.cached_tokens
        self._generated_tokens += sample.generated_tokens
        if sample.status is Status.CANCELLED:
            self._cancelled_tokens += sample.generated_tokens

    def pulse(self, life: str) -> Pulse:
        now_s = self._now()
        return Pulse(
            life=life,
            in_flight=self._in_flight,
            samples=self._samples,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            generated_tokens=self._generated_tokens,
            cancelled_tokens=self._cancelled_tokens,
            up_s=now_s - self._up_since_s,
            idle_s=self._idle_s + (0.0 if self._in_flight else now_s - self._idle_since_s),
        )
