"""The study of structured output: corrupted records, a fake model, and the suite's counter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nbest.experiments.studies.layers.__main__ import main
from nbest.experiments.studies.layers.faults import LOSSY, MENDABLE
from nbest.experiments.studies.layers.repairs import corrupted, lenient, ours
from nbest.experiments.studies.layers.suite import Case, by_schema, by_type, cases_of, verdicts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_corrupted_record_comes_back_wrong(seed: int) -> None:
    outcomes = corrupted(1_500, seed, ours)
    assert sum(outcome.wrong for outcome in outcomes.values()) == 0
    mended = sum(outcomes[name].recovered for name in MENDABLE)
    assert mended / sum(outcomes[name].total for name in MENDABLE) > 0.97
    assert all(outcomes[name].refused == outcomes[name].total for name in LOSSY)


def test_the_counter_counts_wrong_ones() -> None:
    """A lenient reader is told apart: it returns a value for what is lost."""
    outcomes = corrupted(500, 1, lenient)
    assert all(outcomes[name].wrong == outcomes[name].total > 0 for name in LOSSY)


def test_both_parts_run(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--records", "230", "--questions", "3", "-n", "2", "--model", "fake"])
    shown = capsys.readouterr().out
    assert "all that lose nothing" in shown
    assert [line for line in shown.splitlines() if line.startswith("one, retried")]


def test_a_suite_is_counted(tmp_path: Path) -> None:
    def group(schema: object, *tests: tuple[object, bool]) -> dict[str, object]:
        listed = [{"description": str(i), "data": d, "valid": v} for i, (d, v) in enumerate(tests)]
        return {"description": "g", "schema": schema, "tests": listed}

    groups = [
        group({"type": "integer"}, (1, True), ("1", False), (2, False)),
        group(True, (None, True)),
        group(False, (None, False)),
        group({"$ref": "http://elsewhere.example/x.json"}, (1, True)),
    ]
    (tmp_path / "type.json").write_text(json.dumps(groups))
    counts, named = verdicts(cases_of(tmp_path), by_schema)
    assert counts == {"agrees": 4, "accepts an invalid one": 1, "refused": 1}
    assert named == ["accepts an invalid one: type: g: 2"]


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"minimum": 1.5}, (2, "x", None, [1], {"a": 1}), (1,)),
        ({"type": ["integer", "null"]}, (1, None), (1.5, "1", True)),
        (
            {"required": ["a"], "properties": {"a": {"type": "string"}}},
            ({"a": "x"}, 1),
            ({}, {"a": 1}),
        ),
        ({"type": "object", "additionalProperties": False}, ({},), ({"a": 1}, [])),
        ({"type": "object", "minProperties": 1}, ({"a": None},), ({},)),
        (
            {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 1}]},
            ("a", [1]),
            ([1, 2], 3),
        ),
        ({"enum": ["a", None]}, ("a", None), ("b", 0)),
        (True, (1, {}), ()),
    ],
)
def test_types_say_what_their_schemas_do(
    schema: object, right: Sequence[object], wrong: Sequence[object]
) -> None:
    for is_valid, values in ((True, right), (False, wrong)):
        for value in values:
            assert by_type(Case("", schema, json.dumps(value), is_valid)) == "agrees"
            assert by_type(Case("", schema, json.dumps(value), not is_valid)) != "agrees"


def test_a_schema_without_a_type_is_not_written() -> None:
    for schema in ({"not": {}}, {"uniqueItems": True}, {"enum": [1, 1.0]}, {"format": "date"}):
        assert by_type(Case("", schema, "1", True)) == "not written"
