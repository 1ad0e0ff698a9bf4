"""The history of one engine over all its lives: the sum of its pulses.

It knows no engine and no clock: the caller gives the time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from nbest.orchestrator.engines.meter import Pulse

State = Literal["starting", "up", "down"]

# Tokens a second are averaged over a window of this length, because samples end in bursts.
WINDOW_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """One engine as a display shows it; counts are of all its lives that were seen."""

    name: str
    state: State = "starting"
    restarts: int = 0
    in_flight: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of prompt_tokens
    generated_tokens: int = 0
    cancelled_tokens: int = 0  # of generated_tokens
    tokens_per_s: float = 0.0  # generated, of late
    up_s: float = 0.0
    idle_s: float = 0.0  # of up_s, with nothing in flight

    @property
    def useful_tokens(self) -> int:
        return self.generated_tokens - self.cancelled_tokens

    @property
    def hit_share(self) -> float:
        """The share of the prompt tokens that the prefix cache had; nan before the first."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else float("nan")


class EngineHistory:
    """Collects the pulses of one engine and sums them up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state: State = "starting"
        self._lives = 0
        self._before = Pulse(life="")  # the sum of the lives before
        self._now = Pulse(life="")
        self._looks: deque[tuple[float, int]] = deque()  # time, generated tokens so far

    def saw(self, pulse: Pulse, now_s: float) -> None:
        """Add a pulse that the engine has just sent."""
        if pulse.life != self._now.life:
            self._before = _sum(self._before, self._now)
            self._lives += 1
        self._now, self._state = pulse, "up"
        self._looks.append((now_s, self._before.generated_tokens + pulse.generated_tokens))
        while self._looks[0][0] < now_s - WINDOW_S:
            self._looks.popleft()

    def lost(self) -> None:
        """Note that the engine does not answer and is being started again."""
        if self._state == "up":
            self._state = "down"

    def view(self) -> EngineView:
        total = _sum(self._before, self._now)
        is_up = self._state == "up"
        return EngineView(
            name=self._name,
            state=self._state,
            restarts=max(0, self._lives - 1) + (self._state == "down"),
            in_flight=self._now.in_flight if is_up else 0,
            samples=total.samples,
            prompt_tokens=total.prompt_tokens,
            cached_tokens=total.cached_tokens,
            generated_tokens=total.generated_tokens,
            cancelled_tokens=total.cancelled_tokens,
            tokens_per_s=self._rate() if is_up else 0.0,
            up_s=total.up_s,
            idle_s=total.idle_s,
        )

    def _rate(self) -> float:
        if len(self._looks) < 2:
            return 0.0
        (then_s, before), (now_s, after) = self._looks[0], self._looks[-1]
        return (after - before) / (now_s - then_s) if now_s > then_s else 0.0


def _sum(one: Pulse, other: Pulse) -> Pulse:
    return Pulse(
        life=other.life,
        samples=one.samples + other.samples,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        generated_tokens=one.generated_tokens + other.generated_tokens,
        cancelled_tokens=one.cancelled_tokens + other.cancelled_tokens,
        up_s=one.up_s + other.up_s,
        idle_s=one.idle_s + other.idle_s,
    )
