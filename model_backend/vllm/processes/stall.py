"""Notices an engine that has work and gets nowhere.

An engine may hang with its process alive and every health check green; only the lack of progress
shows it. Requests report nothing before they are whole, so progress is read where vLLM counts it:
it hands its statistics of every scheduler step to its stat loggers.

`Stall` is told the time and knows no clock; nothing here kills anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm.v1.metrics.stats import IterationStats, MultiModalCacheStats, SchedulerStats

# A check that comes much later than it was due (this, and this share of the stall time) shows that
# this process itself stood still, stopped or busy elsewhere, and could not see any progress.
LATE_S = 1.0
LATE_SHARE = 0.1

# The first step of an engine compiles kernels and claims memory: it is given at least this long.
FIRST_S = 120.0


class Stall:
    """Decides whether an engine hangs: work in hand, and no progress for `stall_s` seconds."""

    def __init__(self, stall_s: float, now_s: float) -> None:
        self.stall_s = stall_s
        self._patience_s = max(stall_s, FIRST_S)
        self._last_s = now_s  # when it last got somewhere, or last had nothing to do
        self._look_s = now_s + stall_s  # when to look next

    @property
    def silence_s(self) -> float:
        """How long without progress is a hang: `stall_s`, more before an engine's first step."""
        return self._patience_s

    def begin(self, now_s: float) -> None:
        """Note that an idle engine was given work."""
        self._last_s = now_s

    def progress(self, now_s: float) -> None:
        """Note that the engine got somewhere."""
        self._last_s = now_s
        self._patience_s = self.stall_s

    def has_stalled(self, now_s: float, *, is_busy: bool) -> bool:
        """Tell whether the engine hangs; if it does not, ask again in `wait_s` seconds."""
        late_s = LATE_S + LATE_SHARE * self.stall_s
        if not is_busy or now_s > self._look_s + late_s:
            self._last_s = now_s
        due_s = self._last_s + self._patience_s
        self._look_s = min(due_s, now_s + self.stall_s)
        return now_s >= due_s

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait for the next look: no hang can be older than `stall_s` then."""
        return max(0.0, self._look_s - now_s)


class StepLogger:
    """A stat logger of vLLM (`StatLoggerBase`, by shape) that only reports progress.

    Tokens are progress, and so is a step that changes what is in the batch: a long prompt that is
    read in chunks gives no token until its end, but fills the KV cache. A step that changes nothing
    is none: the scheduler turns idle rounds when it can run none of its requests.
    """

    def __init__(self, progress: Callable[[], None]) -> None:
        self._progress = progress
        self._batch: tuple[int, int, float] = (0, 0, 0.0)

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: MultiModalCacheStats | None = None,
        engine_idx: int = 0,
    ) -> None:
        batch = self._batch
        if scheduler_stats is not None:
            batch = (
                scheduler_stats.num_running_reqs,
                scheduler_stats.num_waiting_reqs,
                scheduler_stats.kv_cache_usage,
            )
        if iteration_stats is not None or batch != self._batch:
            self._progress()
        self._batch = batch

    def log_engine_initialized(self) -> None: ...

    def log(self) -> None: ...

    def record_sleep_state(self, is_awake: int, level: int) -> None: ...
