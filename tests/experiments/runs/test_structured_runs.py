"""Runs of structured answers: `output:` in a config, resumed, grown, and counted by layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.analysis.check import as_document, check
from nbest.experiments.analysis.replay.trees import replay_tree
from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import Config, load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.errors import InputError, RunChanged
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.corrected import Corrected

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
GOLD = {"age": 34, "name": "Ann"}
ANSWERS = [
    '{"name": "Ann", "age": 34}',
    "Sure: {'name': 'Ann', 'age': 34,}",
    'Here: {"name": "Ann", "age": 35}',
    '{"name": "Ann"}',
    "I do not know",
]


def config(tmp_path: Path, **output: object) -> Config:
    rows = [{"question": f"Person {i}?", "answer": json.dumps(GOLD)} for i in range(6)]
    questions = tmp_path / "people.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "person.json").write_text(json.dumps(SCHEMA, indent=2))
    raw = {
        "name": "people",
        "dataset": {"kind": "jsonl", "path": str(questions)},
        "prompt": {"template": "Say {question}"},
        "model": {"backend": "fake", "answers": ANSWERS, "weights": [3, 1, 1, 3, 2]},
        "strategy": {"n": 4},
        "output": {"schema": str(tmp_path / "person.json"), **output},
        "cluster": {"local": True},
    }
    path = tmp_path / "people.yaml"
    path.write_text(json.dumps(raw))
    return load_config(path)


def drawn(config: Config, folder: Path) -> None:
    carry_out(make_plan(config), folder, lambda progress: None)


def test_output_stands_for_what_it_sets(tmp_path: Path) -> None:
    plain, both = config(tmp_path), config(tmp_path, mode="both", choose="by_field", repair="none")
    schema = json.dumps(SCHEMA, separators=(",", ":"))
    for one in (plain, both):
        (query, *_) = make_plan(one).prompts.queries
        assert query.prompt.startswith("Say Person 0?\n\nAnswer with one JSON value")  # type: ignore[union-attr]
        assert str(query.prompt).endswith(schema)
        assert one.output is None
        assert Config.model_validate(json.loads(one.model_dump_json(by_alias=True)))
    assert (plain.extract, plain.equivalence, plain.grade) == (
        'json(repair="lossless", schema="{\\"type\\": \\"object\\"}")',
        "json",
        "json",
    )
    assert plain.select == ("plain_first(by=vote)",)
    assert plain.sampling.constraint is None
    strategy = both.build_strategy()
    assert isinstance(strategy, Corrected)
    assert (strategy.half_free, strategy.compose is None) == (True, False)
    assert strategy.params.constraint is not None
    assert json.loads(strategy.params.constraint.json or "") == SCHEMA
    masked = config(tmp_path, mode="constrained")
    assert make_plan(masked).prompts.queries[0].prompt == "Say Person 0?"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["extract=last_number"], "extract must be left out with output, got 'last_number'"),
        (["strategy.race=json"], "strategy.race must be left out with output, got 'json'"),
        (["output.mode=strict"], "output.mode must be"),
        (["output.schema=none.json"], "schema must be a file that can be read, got 'none.json'"),
        (["output.retries=-1"], "output.retries must be at least 0, got -1"),
        (["output.nothing=1"], "output.nothing"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, changes: list[str], message: str) -> None:
    config(tmp_path)
    with pytest.raises(InputError) as caught:
        load_config(tmp_path / "people.yaml", changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_schema_that_the_engine_would_refuse_is_refused_before_it_starts(tmp_path: Path) -> None:
    config(tmp_path)
    schema = json.dumps({"type": "array", "uniqueItems": True})
    changes = [
        f"output.schema={schema}",
        "output.mode=constrained",
        "model={backend: vllm, model: m}",
    ]
    with pytest.raises(InputError, match="`uniqueItems` at / is refused by the engine"):
        make_plan(load_config(tmp_path / "people.yaml", changes))
    loose = json.dumps({"type": "object", "required": ["a"]})
    changes[0] = f"output.schema={loose}"
    (note,) = make_plan(load_config(tmp_path / "people.yaml", changes)).notes
    assert note == "json_schema: `required` at / is checked afterwards: the engine does not"


def test_a_run_is_chosen_from_again_without_an_engine(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path), run)
    records = RunReader(run).records()
    assert all(json.loads(r.answer or "null") in (GOLD, GOLD | {"age": 35}) for r in records)
    (row,) = compare(run, "plain_first(by=vote)").rows
    right = sum(json.loads(r.answer or "null") == GOLD for r in records)
    assert row.accuracy == pytest.approx(right / 6)
    assert row.tokens == sum(r.usage.generated_tokens for r in records)


def test_a_second_command_draws_nothing_and_a_larger_one_only_what_is_new(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path), run)
    before = {s.id for _, samples in RunReader(run).samples() for s in samples}
    drawn(config(tmp_path), run)
    assert {s.id for _, samples in RunReader(run).samples() for s in samples} == before
    drawn(load_config(tmp_path / "people.yaml", ["strategy.n=8"]), run)
    after = {s.id for _, samples in RunReader(run).samples() for s in samples}
    assert before < after
    fresh = tmp_path / "fresh"
    drawn(load_config(tmp_path / "people.yaml", ["strategy.n=8"]), fresh)
    ids = {s.id for _, samples in RunReader(fresh).samples() for s in samples}
    assert ids == after


def test_half_free_is_part_of_what_a_run_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path, mode="both"), run)
    with pytest.raises(RunChanged, match="half_free"):
        drawn(load_config(tmp_path / "people.yaml", ["output.mode=constrained"]), run)


def test_samples_are_counted_by_layer_and_by_how_they_came_about(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path), run)
    document = as_document(check(run, json.dumps(SCHEMA)))
    made = document["made"]
    assert isinstance(made, dict)
    assert made["first"]["samples"] == 24
    for part in (document, *made.values()):
        layers = part["layers"]
        known = sum(layers.values()) + part["invalid"] + part["truncated"] + part["failed"]
        assert known == part["samples"]
    stored = [
        s.text.strip() for key, some in RunReader(run).samples() for s in some if "/t" not in key
    ]
    expected = {
        "plain": sum(text == ANSWERS[0] for text in stored),
        "extracted": sum(text == ANSWERS[2] for text in stored),
        "repaired": sum(text == ANSWERS[1] for text in stored),
    }
    assert made["first"]["layers"] == expected
    assert made["first"]["right"] == expected["plain"] + expected["repaired"]
    assert made["first"]["right_by_layer"]["extracted"] == 0
    assert {one["reason"] for one in document["reasons"]} == {  # type: ignore[attr-defined]
        "/: must have the key age",
        'line 1, column 1: must be JSON from here on, got "I do not know"',
    }
    valid = sum(expected.values())
    fields = document["fields"]
    assert isinstance(fields, dict)
    assert fields["precision"] == pytest.approx((2 * valid - expected["extracted"]) / (2 * valid))


def test_the_command_prints_a_table_or_a_document(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path), run)
    schema = str(tmp_path / "person.json")
    shown = CliRunner().invoke(app, ["check", str(run), "--schema", schema])
    assert shown.exit_code == 0
    assert "corrected" in shown.stdout
    assert "fields of valid first samples" in shown.stdout
    told = CliRunner().invoke(app, ["check", str(run), "--schema", schema, "--json"])
    assert set(json.loads(told.stdout)) >= {"layers", "invalid", "truncated", "made", "reasons"}
    yaml = CliRunner().invoke(app, ["check", str(run), "--language", "yaml"])
    assert yaml.exit_code == 0
    wrong = CliRunner().invoke(app, ["check", str(run), "--language", "xml"])
    assert isinstance(wrong.exception, InputError)


def test_a_run_is_checked_by_its_own_schema(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path), run)
    own, given = as_document(check(run)), as_document(check(run, json.dumps(SCHEMA)))
    assert own == given
    assert (own["language"], own["schema"]) == ("json", SCHEMA)
    any_value = CliRunner().invoke(app, ["check", str(run), "--schema", "{}"])
    assert "without a schema" not in any_value.stdout


def test_fewer_corrections_and_retries_are_replayed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path), run)
    same = replay_tree(run, "corrected")
    records = RunReader(run).records()
    assert (same.complete, same.missing) == (6, 0)
    assert same.tokens == sum(r.usage.generated_tokens for r in records) / 6
    bare = replay_tree(run, "corrected(corrections=0, retries=0)")
    fresh = tmp_path / "fresh"
    drawn(config(tmp_path, corrections=0, retries=0), fresh)
    drawn_so = RunReader(fresh).records()
    assert bare.complete == 6
    assert bare.tokens == sum(r.usage.generated_tokens for r in drawn_so) / 6
    assert bare.answered == sum(r.answer is not None for r in drawn_so) / 6
    more = replay_tree(run, "corrected(n=8)")
    assert more.complete == 0
    assert more.missing >= 6
    for text, message in (
        ("corrected(words=1)", "corrected has no argument 'words'"),
        ("corrected(n=x)", "n must be a whole number"),
        ("corrected(retries=0, retries=1)", "every argument must be given once"),
    ):
        with pytest.raises(InputError, match=message):
            replay_tree(run, text)


TABLES = "CREATE TABLE p (name TEXT, age INTEGER); INSERT INTO p VALUES ('Ann', 34), ('Bob', 20);"


def test_queries_are_drawn_corrected_and_voted_on_by_their_result(tmp_path: Path) -> None:
    config(tmp_path)
    raw = json.loads((tmp_path / "people.yaml").read_text())
    (tmp_path / "people.sql").write_text(TABLES)
    raw["output"] = {"language": "sql", "schema": str(tmp_path / "people.sql")}
    right = ("SELECT name FROM p WHERE age > 30", "```sql\nSELECT max(name) FROM p\n```")
    raw["model"] |= {"answers": [*right, "SELECT 'Ann'", "DROP TABLE p", "who knows"]}
    rows = [{"question": f"Who is older than {i}?", "answer": "SELECT 'Ann'"} for i in range(4)]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "people.yaml").write_text(json.dumps(raw))
    loaded = load_config(tmp_path / "people.yaml")
    assert str(make_plan(loaded).prompts.queries[0].prompt).endswith(TABLES)
    run = tmp_path / "run"
    drawn(loaded, run)
    records = RunReader(run).records()
    assert {r.answer for r in records} <= {right[0], "SELECT max(name) FROM p", "SELECT 'Ann'"}
    (row,) = compare(run, "vote").rows
    with pytest.raises(InputError, match="these are SQL queries"):
        check(run)
    said_ann = sum(r.answer in (right[0], "SELECT 'Ann'") for r in records)
    assert row.accuracy == pytest.approx(said_ann / 4)


def test_yaml_is_drawn_and_checked(tmp_path: Path) -> None:
    config(tmp_path)
    raw = json.loads((tmp_path / "people.yaml").read_text())
    raw["output"] |= {"language": "yaml", "choose": "by_field"}
    raw["model"] |= {"answers": ["name: Ann\nage: 34", "name: Ann", "name: Node: Ann\nage: 34"]}
    raw["model"]["weights"] = [3, 1, 1]
    (tmp_path / "people.yaml").write_text(json.dumps(raw))
    run = tmp_path / "run"
    drawn(load_config(tmp_path / "people.yaml"), run)
    assert {r.answer for r in RunReader(run).records()} == {'{"name":"Ann","age":34}'}
    document = as_document(check(run))
    assert document["language"] == "yaml"
    assert document["layers"]["repaired"] > 0  # type: ignore[index]
    refused = ["output.mode=constrained"]
    with pytest.raises(InputError, match="mode must be prompt with yaml, got 'constrained'"):
        load_config(tmp_path / "people.yaml", refused)


def test_a_replay_abstains_as_the_run_does(tmp_path: Path) -> None:
    config(tmp_path)
    unsure = load_config(tmp_path / "people.yaml", ["strategy.min_confidence=0.7"])
    run = tmp_path / "run"
    drawn(unsure, run)
    answered = [r.answer is not None for r in RunReader(run).records()]
    assert 0 < sum(answered) < len(answered)
    assert replay_tree(run, "corrected").answered == sum(answered) / len(answered)


def test_a_check_reads_as_the_run_does(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drawn(config(tmp_path, repair="none"), run)
    document = as_document(check(run))
    layers = document["layers"]
    assert isinstance(layers, dict)
    assert layers["repaired"] == 0
    said = {one["reason"] for one in document["reasons"]}  # type: ignore[attr-defined]
    assert "must be readable without repair" in said


def test_options_that_would_count_for_nothing_are_refused() -> None:
    schema = ["--schema", '{"type": "integer"}']
    for arguments, message in (
        ([*schema, "--select", "first"], "--select must be left out with --schema, got 'first'"),
        ([*schema, "--race", "json"], "--race must be left out with --schema"),
        (["--mode", "both"], "--mode must go with --schema, got 'both'"),
    ):
        outcome = CliRunner().invoke(app, ["ask", "?", "--backend", "fake", *arguments])
        assert isinstance(outcome.exception, InputError)
        assert message in str(outcome.exception)
