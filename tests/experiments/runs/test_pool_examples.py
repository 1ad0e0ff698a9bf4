"""The converters of docs/pools.md, each on a small file as the other tool writes it."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Status

PAGE = Path(__file__).parents[3] / "docs" / "pools.md"
SECTIONS = dict(re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", PAGE.read_text(), re.M | re.S))


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def completion(text: str, reason: str) -> object:
    return {"message": {"content": text}, "finish_reason": reason, "stop_reason": reason}


FILES = {
    "lm-evaluation-harness": (
        "samples_gsm8k.jsonl",
        lines(
            {"doc_id": 0, "filter": "none", "target": "7", "resps": [["so 7", "8"]]},
            {"doc_id": 0, "filter": "strict", "target": "7", "resps": [["so 7", "8"]]},
        ),
        [Status.OK, Status.OK],
    ),
    "vLLM run-batch": (
        "results.jsonl",
        lines(
            {
                "custom_id": "0",
                "response": {
                    "body": {"choices": [completion("7", "stop"), completion("8", "length")]}
                },
            },
            {"custom_id": "refused", "response": None},
        ),
        [Status.OK, Status.TRUNCATED],
    ),
    "search-and-learn": (
        "completions.jsonl",
        lines({"answer": "7", "completions": ["7", "8"], "scores": [[0.5, 0.9], []]}),
        [Status.OK, Status.OK],
    ),
    "Inspect": (
        "log.json",
        json.dumps(
            {
                "samples": [
                    {"id": 0, "target": "7", "output": {"choices": [completion(text, reason)]}}
                    for text, reason in (("7", "stop"), ("8", "content_filter"))
                ]
            }
        ),
        [Status.OK, Status.ERROR],
    ),
}


@pytest.mark.parametrize("tool", SECTIONS)
def test_what_it_prints_can_be_imported(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, content, statuses = FILES[tool]
    Path(name).write_text(content)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(SECTIONS[tool], tool, "exec"), {})
    Path("pool.jsonl").write_text(printed.getvalue())
    import_pool([Path("pool.jsonl")], "run")
    stored = dict(RunReader("run").samples())
    assert [sample.status for sample in stored["0"]] == statuses
    assert stored["0"][0].text.endswith("7")


def test_every_tool_of_the_page_has_a_file() -> None:
    assert SECTIONS.keys() == FILES.keys()
