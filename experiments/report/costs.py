"""The bill of a report: what each selector's answers have cost, in tokens, operations, dollars."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbest.experiments.report.data import RunReport
from nbest.orchestrator.requirements import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices of tokens in dollars and operations; 0 leaves a column out."""

    input_price: float = 0.0  # dollars for a million tokens that are read
    output_price: float = 0.0  # dollars for a million tokens that are generated
    parameters: float = 0.0  # of the model: two operations a token for each

    def __post_init__(self) -> None:
        for key in ("input_price", "output_price", "parameters"):
            value = getattr(self, key)
            require(value >= 0 and math.isfinite(value), key, "be 0 or more", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A line of the bill of a run, over all of its questions."""

    name: str
    generated: int
    cancelled: int  # of these, by samples that were aborted
    prompt: int
    scorer: int  # tokens that verifiers and judges read and wrote
    seconds: float  # a question; nan where nobody knows
    flops: float
    dollars: float


def costs_of(report: RunReport, prices: Prices) -> list[Cost]:
    """The bill of each selector: the samples, and what it asked of models.

    The adaptive vote is billed for what a replay would have drawn, with what is under way when it
    stops, as a live run would have aborted it.
    """
    bill = [
        _cost(
            row.select,
            prices,
            generated=row.tokens,
            cancelled=report.usage.cancelled_tokens,
            prompt=report.usage.prompt_tokens,
            scorer=row.scorer_tokens,
            seconds=row.seconds,
        )
        for row in report.rows
    ]
    if report.replay is not None and not math.isnan(report.replay.tokens):
        count, replay = report.num_replayed, report.replay
        prompt = report.usage.prompt_tokens * count * replay.started / max(1, report.usage.samples)
        bill.append(
            _cost(
                "adaptive vote (replayed)",
                prices,
                generated=round(count * replay.tokens),
                cancelled=round(count * (replay.tokens - replay.tokens_counted)),
                prompt=round(prompt),
                scorer=0,
                seconds=math.nan,
            )
        )
    return bill


def _cost(
    name: str,
    prices: Prices,
    *,
    generated: int,
    cancelled: int,
    prompt: int,
    scorer: int,
    seconds: float,
) -> Cost:
    return Cost(
        name=name,
        generated=generated,
        cancelled=cancelled,
        prompt=prompt,
        scorer=scorer,
        seconds=seconds,
        # About two operations a parameter and token (Kaplan et al. 2020, section 2.1).
        flops=2 * prices.parameters * (generated + prompt + scorer),
        dollars=(prices.output_price * generated + prices.input_price * (prompt + scorer)) / 1e6,
    )
