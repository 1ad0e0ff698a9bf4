"""The official JSON-Schema-Test-Suite through the validator `json`, and through types.

    python -m nbest.experiments.studies.layers.suite FOLDER

FOLDER is `json/tests/draft2020-12` of the source package of jsonschema. Schemas that refer to other
documents are refused, as nothing is fetched; all others have to agree with the suite. Then the same
for `ask(output=...)`, with the types that say what a schema does: what has no type is not written.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from nbest.experiments.cli.ending import run_command
from nbest.experiments.output.models import ValueType
from nbest.experiments.studies.layers.written_types import NotWritten, written
from nbest.orchestrator.errors import InputError
from nbest.scorers.structured.json_schema import satisfies, schema_text
from nbest.scorers.structured.reading import read_json
from nbest.scorers.structured.reasons import reasons_of_json


class Case(NamedTuple):
    """One test of the suite."""

    name: str
    schema: Any
    text: str
    is_valid: bool


def cases_of(folder: Path) -> Iterator[Case]:
    """Every test of a draft's folder, optional ones aside."""
    for path in sorted(folder.glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            for test in group["tests"]:
                name = f"{path.stem}: {group['description']}: {test['description']}"
                text = json.dumps(test["data"])
                yield Case(name, group["schema"], text, test["valid"])


def verdicts(
    cases: Iterable[Case], outcome_of: Callable[[Case], str]
) -> tuple[Counter[str], list[str]]:
    """Count agreements, and name what does not agree."""
    counts: Counter[str] = Counter()
    named = []
    for case in cases:
        outcome = outcome_of(case)
        counts[outcome] += 1
        if outcome not in ("agrees", "refused", "not written"):
            named.append(f"{outcome}: {case.name}")
    return counts, named


def by_schema(case: Case) -> str:
    """What the reader, the validator and its reasons say of a test."""
    try:
        schema = schema_text(
            case.schema if isinstance(case.schema, dict) else _of_flag(case.schema)
        )
    except InputError:
        return "refused"
    assert schema is not None
    found = satisfies(case.text, schema)
    is_read = read_json(case.text, schema=schema) is not None
    has_reasons = bool(reasons_of_json(case.text, schema))
    if not found == is_read != has_reasons:
        return "reader, validator and reasons differ"
    return _agreement(found, case.is_valid)


def by_type(case: Case) -> str:
    """What the type that says the same as the schema says of a test."""
    try:
        kind = ValueType(written(case.schema))
    except NotWritten:
        return "not written"
    except InputError:
        return "refused"
    try:
        kind.value(case.text)
    except ValidationError:
        return _agreement(False, case.is_valid)
    return _agreement(satisfies(case.text, kind.schema), case.is_valid)


def _agreement(found: bool, is_valid: bool) -> str:
    if found == is_valid:
        return "agrees"
    return "accepts an invalid one" if found else "rejects a valid one"


def _of_flag(flag: bool) -> dict[str, Any]:
    """The schema that true and false stand for: everything, nothing."""
    return {} if flag else {"not": {}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the counts, and what does not agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    cases = list(cases_of(parser.parse_args(arguments).folder))
    for title, outcome_of in (("schemas", by_schema), ("types", by_type)):
        counts, named = verdicts(cases, outcome_of)
        found = ", ".join(f"{count} {what}" for what, count in counts.most_common())
        print("\n".join((f"{title}: {found}", *named)))


if __name__ == "__main__":
    run_command(main)
