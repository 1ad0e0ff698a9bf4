"""`nbest ask --schema`: one question, N samples, one JSON value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from nbest.experiments.cli.ask import as_document, statuses
from nbest.experiments.cli.display.documents import print_document
from nbest.experiments.config.endpoints import chosen_model
from nbest.experiments.config.threshold import read_threshold
from nbest.experiments.language.text import safe_lines
from nbest.experiments.output.ask import ask
from nbest.experiments.output.structured_output import Output, StructuredOutput
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams


def answer_value(
    question: str,
    wanted: Mapping[str, Any],
    sampling: Mapping[str, Any],
    model: tuple[str, str | None, str | None, str | None],
    seed: int,
) -> Output[Any]:
    """Start the engine, draw samples, and choose a value.

    `wanted` are settings of `StructuredOutput`, `sampling` those of its `SamplingParams`.
    """
    require(bool(question.strip()), "question", "hold a text", question)
    sure = read_threshold(wanted["min_confidence"]).share
    output = StructuredOutput(
        **{**wanted, "min_confidence": sure}, params=SamplingParams(**sampling)
    )
    return ask(question, output, chosen_model(*model), seed=seed)


def print_value(output: Output[Any], as_json: bool) -> None:
    """Print the value, and how it came about; or all of it as one JSON document."""
    if as_json:
        print_document(document_of(output))
        return
    counts = statuses(output.selection)
    if output.layer is None:
        print(f"no answer: {counts}")
        return
    print(safe_lines(json.dumps(output.value, ensure_ascii=False, indent=2)))
    agree = f"{output.agreement:.0%} of the answers agree"
    changes = "".join(f"; {change}" for change in output.changes)
    print(f"\n{output.layer}{changes}   ({agree}; {counts})")
    for path, share in output.fields.items():
        print(safe_lines(f"{path}: {share:.0%} agree"))


def document_of(output: Output[Any]) -> dict[str, object]:
    """What `--json` prints: the document of `nbest ask`, and the value with its layer."""
    return {
        **as_document(output.selection),
        "value": output.value,
        "layer": output.layer,
        "changes": list(output.changes),
        "agreement": None if math.isnan(output.agreement) else output.agreement,
        "fields": output.fields,
    }
