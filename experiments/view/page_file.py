"""`nbest view --out`: the page as one file, which asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from nbest.experiments.pages.files import require_new, write_text
from nbest.experiments.view.documents import whole_document
from nbest.experiments.view.server import PACKAGE
from nbest.experiments.view.viewed_run import Tell, ViewedRun
from nbest.orchestrator.requirements import require


def write_page(
    runs: Sequence[ViewedRun],
    out: Path,
    questions: int,
    *,
    force: bool = False,
    tell: Tell = lambda line: None,
) -> Path:
    """Write the page with all questions, and the samples of the first `questions` of them."""
    require_new(out, force)
    require(questions >= 0, "questions", "be 0 or more", questions)
    page = standalone_page(runs, questions, tell)
    write_text(out, page)
    return out


def standalone_page(runs: Sequence[ViewedRun], most: int, tell: Tell = lambda line: None) -> str:
    """The page as one file, which asks nobody for anything; it holds `most` questions whole."""
    style, script = _file("page.css"), _file("page.js")
    document = json.dumps(whole_document(runs, most, tell), allow_nan=False, separators=(",", ":"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    data = document.replace("<", "\\u003c").encode("utf-8", "replace").decode()
    title = escape(" and ".join(run.facts.name for run in runs))
    return (
        _file("page.html")
        .replace("<title>nbest view</title>", f"<title>{title}: nbest view</title>")
        .replace(
            '<link rel="stylesheet" href="/page.css">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<style>{style}</style>",
        )
        .replace(
            '<script src="/page.js"></script>',
            f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>',
        )
    )


def _file(name: str) -> str:
    return (files(PACKAGE) / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"
