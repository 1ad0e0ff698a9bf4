"""The final account of a run: what it has cost, in a few plain lines.

It leaves out what is zero, and knows no terminal.
"""

from __future__ import annotations

from nbest.experiments.cli.display.progress_words import counted, duration, rate
from nbest.orchestrator.run.progress import Progress


def account(progress: Progress) -> list[str]:
    """The account by the last snapshot of a run; empty where nothing was done."""
    if not progress.samples_drawn and not progress.samples_reused:
        return []
    topics = {
        "samples": _samples(progress),
        "tokens": _tokens(progress),
        "engines": _engines(progress),
        "time": _time(progress),
    }
    return [f"{topic}: {', '.join(parts)}" for topic, parts in topics.items() if parts]


def _samples(progress: Progress) -> list[str]:
    counts = {"drawn": progress.samples_drawn, "reused": progress.samples_reused}
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def _tokens(progress: Progress) -> list[str]:
    counts = {"useful": progress.useful_tokens, "cancelled": progress.cancelled_tokens}
    parts = [f"{count:,} {what}" for what, count in counts.items() if count]
    if progress.regenerated_tokens:
        parts.append(f"at most {progress.regenerated_tokens:,} generated twice")
    return parts


def _engines(progress: Progress) -> list[str]:
    engines = progress.engines
    up_s = sum(engine.up_s for engine in engines)
    idle_s = sum(engine.idle_s for engine in engines)
    restarts = sum(engine.restarts for engine in engines)
    cached = sum(engine.cached_tokens for engine in engines)
    prompt = sum(engine.prompt_tokens for engine in engines)
    parts = []
    if idle_s:
        parts.append(f"idle {_percent(idle_s, up_s)} of the time")
    if restarts:
        parts.append(counted(restarts, "restart"))
    if cached:
        parts.append(f"{_percent(cached, prompt)} of the prompt tokens from the prefix cache")
    return [f"{len(engines):,}", *parts] if parts else []


def _percent(part: float, whole: float) -> str:
    """A share in percent; a small one is "less than 1%", never 0%."""
    share = part / whole
    return "less than 1%" if share < 0.01 else f"{share:.0%}"


def _time(progress: Progress) -> list[str]:
    parts = [duration(progress.elapsed_s)]
    if progress.first_engine_s >= 1:
        parts.append(f"of which {duration(progress.first_engine_s)} to start the first engine")
    if progress.generated_tokens:
        parts.append(f"{rate(progress):,.0f} tokens/s")
    return parts
