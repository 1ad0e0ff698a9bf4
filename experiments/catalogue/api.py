"""The page of the Python API, written from the public names:

python -m nbest.experiments.catalogue.api > docs/api.md
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import nbest
from nbest.experiments.language.text import first_sentence

ROOMS: Mapping[str, str] = {  # by the start of a module's name, in the order of the page
    "experiments.": "Asking, runs, tables",
    "orchestrator.strategies": "Strategies: how many samples, and when drawing stops",
    "orchestrator.": "Nouns: what everything is made of",
    "model_backend.": "Models",
    "scorers.answers": "Extractors: how an answer is read",
    "scorers.equivalence": "Equivalences: which answers are the same",
    "scorers.validators": "Validators: which texts are valid",
    "scorers.structured": "Structured output",
    "scorers.estimators": "Estimators: what k samples would give, and how sure that is",
    "scorers.": "Selectors",
}
WIDTH = 100  # characters of a signature


def page() -> str:
    """The page in Markdown."""
    parts = [
        "# Python API\n",
        "Every public name; `from nbest import NAME`. `help(NAME)` has shapes, units and errors.",
        "This page is written from the code:",
        "`python -m nbest.experiments.catalogue.api > docs/api.md`.\n",
    ]
    sections: dict[str, list[str]] = {title: [] for title in ROOMS.values()}
    for name in sorted(nbest.__all__, key=str.casefold):
        value = getattr(nbest, name)
        sections[_title(value)].append(f"| `{name}` | {_what(value)} | `{_signature(value)}` |")
    for title, rows in sections.items():
        if rows:
            parts += [
                f"## {title}\n",
                "| name | what it is | call |",
                "| --- | --- | --- |",
                *rows,
                "",
            ]
    return "\n".join(parts).rstrip() + "\n"


def _title(value: object) -> str:
    module = getattr(value, "__module__", "").removeprefix("nbest.")
    starts = (title for start, title in ROOMS.items() if module.startswith(start))
    return next(starts, ROOMS["orchestrator."])


def _what(value: object) -> str:
    """The first sentence of a docstring."""
    documented = inspect.isclass(value) or inspect.isroutine(value)
    return first_sentence((inspect.getdoc(value) or "") if documented else "").replace("|", "\\|")


def _signature(value: object) -> str:
    if not callable(value):
        return str(value)[:WIDTH]
    if getattr(value, "_is_protocol", False):
        return "a protocol"
    try:
        parameters = list(_parameters(inspect.signature(value)))
    except (ValueError, TypeError):
        return ""
    text = f"({', '.join(parameters)})"
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4]}...)"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    """Names with `=` where there is a default; the star stands before those that need a name."""
    starred = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield name if parameter.default is parameter.empty else f"{name}=..."


if __name__ == "__main__":
    print(page(), end="")
