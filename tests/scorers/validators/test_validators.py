"""Validators: what keeps a rule and what breaks it, hostile texts included."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import BaseModel

from nbest import (
    AllOf,
    AmongValid,
    CodeBlock,
    FirstValid,
    JsonValid,
    MajorityVote,
    Matches,
    Satisfies,
    Shortest,
    SqlValid,
    YamlValid,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Validator
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.types import Candidates, Query, Sample

QUERY = Query(id="q", prompt="?")
SCHEMA = '{"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}}'
TABLES = "CREATE TABLE t (id INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');"
HOSTILE = ("", "\0", "\ud800", "[" * 100_000, "{" * 100_000, "9" * 10_000, "'" * 9, "- " * 5_000)


def pool(*answers: str | None) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=a or "") for i, a in enumerate(answers))
    return Candidates(samples=samples, answers=answers)


async def is_valid(rule: Validator, text: str) -> bool:
    flags = await rule(QUERY, pool(text, None))
    assert not flags[1]
    return bool(flags[0])


def fourth_is_x(text: str) -> bool:
    return text[3] == "x"


RULES: tuple[Validator, ...] = (
    Matches(pattern=r"\d+"),
    JsonValid(schema=SCHEMA),
    YamlValid(schema=SCHEMA),
    SqlValid(check="parse"),
    SqlValid(schema=TABLES, check="explain"),
    SqlValid(schema=TABLES, check="execute"),
    SqlValid(schema=TABLES, check="execute", dialect="duckdb"),
    Satisfies(fourth_is_x),
    AllOf(rules=(Matches(pattern=r"\d+"), JsonValid())),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
async def test_hostile_texts_are_invalid_and_nothing_is_raised(rule: Validator) -> None:
    expected = [isinstance(rule, Matches) and text.isdigit() for text in HOSTILE]
    assert (await rule(QUERY, pool(*HOSTILE))).tolist() == expected


@pytest.mark.parametrize(
    ("text", "plain", "with_schema"),
    [
        ('{"x": 1}', True, True),
        ('{"x": "1"}', True, False),
        ("[1, 2]", True, False),
        ('{"x": NaN}', False, False),
        ("{'x': 1}", False, False),
        ('```json\n{"x": 1}\n```', False, False),
        ('{"x": 1} and more', False, False),
        ('{"x": 1, "x": 2}', False, False),  # which of them?
        ('{"x": 1, "y": {"z": 1, "z": 1}}', False, False),
    ],
)
async def test_json(text: str, plain: bool, with_schema: bool) -> None:
    assert await is_valid(JsonValid(), text) == plain
    assert await is_valid(JsonValid(schema=SCHEMA), text) == with_schema


async def test_json_in_a_block_is_valid_where_the_answer_is_what_counts() -> None:
    text = 'Here:\n```json\n{"x": 1}\n```\n'
    samples = (Sample(id="s", text=text),)
    candidates = Candidates(samples=samples, answers=(CodeBlock(language="json")(text),))
    assert not (await JsonValid()(QUERY, candidates)).any()
    assert (await JsonValid(of="answer")(QUERY, candidates)).all()


@pytest.mark.parametrize(
    ("text", "plain", "with_schema"),
    [
        ("x: 1", True, True),
        ("x: 1\ny: [a, b]", True, True),
        ("x: one", True, False),
        ("when: 2024-05-01", True, False),
        ("x: 1\nx: 2", False, False),  # which of them?
        ("a: &a [x, x]\nb: *a", False, False),
        ("!!python/object/apply:os.system ['true']", False, False),
        ("x: [1", False, False),
        ("x: 1\n---\nx: 2", False, False),
        ("? [a, b]\n: 1", False, False),
        ("", False, False),
        ("\n# nothing\n", False, False),
        ("I cannot answer that.", False, False),
        ("42", False, False),
        ("- x\n- y", True, False),
        ("!!set {x, y}", False, False),
    ],
)
async def test_yaml(text: str, plain: bool, with_schema: bool) -> None:
    assert await is_valid(YamlValid(), text) == plain
    assert await is_valid(YamlValid(schema=SCHEMA), text) == with_schema


@pytest.mark.parametrize(
    ("kind", "text", "is_right"),
    [
        ("string", "v: 01234", True),
        ("string", "v: NO", True),
        ("string", "v: 1.10", True),
        ("string", "v: 1e3", True),
        ("string", "v: ~", False),
        ("string", "v: [a]", False),
        ("integer", "v: 1234", True),
        ("integer", "v: '1234'", False),
        ("boolean", "v: no", True),
        ("number", "v: 1.10", True),
    ],
)
async def test_a_scalar_in_yaml_is_read_by_the_type_of_the_schema(
    kind: str, text: str, is_right: bool
) -> None:
    value = {"type": kind}
    schema = {"type": "object", "properties": {"v": value}, "required": ["v"]}
    assert await is_valid(YamlValid(schema=schema), text) == is_right
    listed = {"type": "object", "properties": {"v": {"type": "array", "items": value}}}
    inner = text.removeprefix("v: ")
    if "[" not in inner:
        assert await is_valid(YamlValid(schema=listed), f"v: [{inner}]") == is_right


async def test_a_key_in_yaml_is_the_text_that_the_schema_names() -> None:
    schema = {"type": "object", "properties": {"on": {"type": "string"}}, "required": ["on"]}
    assert await is_valid(YamlValid(schema=schema), "on: push")


@pytest.mark.parametrize("rule", [JsonValid, YamlValid])
async def test_a_schema_is_text_a_mapping_or_a_class(
    rule: type[JsonValid] | type[YamlValid],
) -> None:
    class Point(BaseModel):
        x: int

    mapping = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    for schema in (Point, mapping, json.dumps(mapping)):
        built = rule(schema=schema)
        assert isinstance(built.schema, str)
        assert await is_valid(built, '{"x": 1}')
        assert not await is_valid(built, '{"x": "one"}')
    with pytest.raises(InputError, match="schema must be JSON text, a mapping or a Pydantic class"):
        rule(schema=7)


async def test_dates_in_yaml_are_texts() -> None:
    schema = '{"properties": {"when": {"type": "string"}}, "required": ["when"]}'
    assert await is_valid(YamlValid(schema=schema), "when: 2024-05-01")


async def test_a_yaml_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert not await is_valid(YamlValid(), "\n".join(lines))


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
@pytest.mark.parametrize(
    ("sql", "parses", "plans", "runs"),
    [
        ("SELECT name FROM t WHERE id = 1", True, True, True),
        ("WITH x AS (SELECT 1 AS a) SELECT * FROM x", True, True, True),
        ("SELECT id FROM t UNION SELECT 3;", True, True, True),
        ("SELECT nothing_like_it FROM t", True, False, False),
        ("SELECT * FROM missing", True, False, False),
        ("SELEC name FROM t", False, False, False),
        ("SELECT name FROM", False, False, False),
        ("DROP TABLE t", False, False, False),
        ("INSERT INTO t VALUES (3, 'c')", False, False, False),
        ("SELECT 1; DROP TABLE t", False, False, False),
        ("SELECT 1; SELECT 2", False, False, False),
        ("PRAGMA table_info(t)", False, False, False),
        ("ATTACH 'x.db' AS x", False, False, False),
        ("-- nothing", False, False, False),
    ],
)
async def test_sql(dialect: str, sql: str, parses: bool, plans: bool, runs: bool) -> None:
    for check, expected in (("parse", parses), ("explain", plans), ("execute", runs)):
        rule = SqlValid(schema=TABLES, dialect=dialect, check=check)  # type: ignore[arg-type]
        assert await is_valid(rule, sql) == expected, check


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_database_list",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n",
        "SELECT zeroblob(100000000)",
        "SELECT * FROM t, t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k, t l, t m, t n,"
        " t o, t p, t q, t r, t s, t u, t v, t w, t x, t y, t z ORDER BY random()",
    ],
)
async def test_sqlite_reaches_nothing_and_works_on_for_a_bounded_time(sql: str) -> None:
    assert not await is_valid(SqlValid(schema=TABLES, check="execute"), sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('https://127.0.0.1/x.csv')",
        "SELECT count(*) FROM range(100000000) a, range(100000000) b",
    ],
)
async def test_duckdb_reaches_nothing_and_works_on_for_a_bounded_time(sql: str) -> None:
    rule = SqlValid(schema=TABLES, check="execute", dialect="duckdb")
    assert not await is_valid(rule, sql)


async def test_one_query_leaves_the_next_ones_database_as_it_was() -> None:
    rule = SqlValid(schema=TABLES, check="execute")
    flags = await rule(QUERY, pool("DELETE FROM t", "SELECT 1 / count(*) FROM t", "SELECT 1"))
    assert flags.tolist() == [False, True, True]


# Together


async def test_a_rule_is_asked_only_about_what_kept_the_ones_before() -> None:
    checked: list[str] = []
    second = Satisfies(lambda text: not checked.append(text))
    flags = await AllOf(rules=(Matches(pattern=r"\d+"), second))(QUERY, pool("7", "x", "8", None))
    assert flags.tolist() == [True, False, True, False]
    assert sorted(checked) == ["7", "8"]


async def test_only_the_valid_vote() -> None:
    candidates = pool('{"x": 1}', "nonsense", "nonsense", '{"x": 1}', '{"x": 2}')
    assert (await select(QUERY, candidates, MajorityVote())).answer == '{"x": 1}'
    candidates = pool("nonsense", '{"x": 2}', "nonsense", "nonsense")
    chosen = await select(QUERY, candidates, AmongValid(rule=JsonValid(), by=MajorityVote()))
    assert (chosen.index, chosen.answer) == (1, '{"x": 2}')


async def test_the_shortest_of_the_valid() -> None:
    candidates = pool("{", '{"x": 10}', '{"x": 1}')
    rule = AmongValid(rule=JsonValid(), by=Shortest())
    sized = (replace(s, generated_tokens=len(s.text)) for s in candidates.samples)
    candidates = replace(candidates, samples=tuple(sized))
    assert (await select(QUERY, candidates, rule)).index == 2


async def test_where_nothing_is_valid_there_is_no_answer() -> None:
    rule = AmongValid(rule=JsonValid(), by=MajorityVote())
    assert (await select(QUERY, pool("{", "x"), rule)).answer is None


async def test_the_first_that_keeps_any_rule() -> None:
    chosen = await select(QUERY, pool("SELEC", "SELECT 1", "SELECT 2"), FirstValid(rule=SqlValid()))
    assert chosen.index == 1


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: SqlValid(schema="CREATE TABLE"), "schema must be statements that can be executed"),
        (lambda: SqlValid(dialect="mysql"), "dialect must be sqlite or duckdb, got 'mysql'"),
        (
            lambda: SqlValid(check="hope"),
            "check must be one of parse, explain, execute",
        ),
        (lambda: JsonValid(schema="{"), "json_schema must be JSON text"),
        (lambda: YamlValid(schema="[]"), "json_schema must be a JSON object"),
        (lambda: Matches(pattern="("), "pattern must be a regex"),
        (lambda: AllOf(rules=()), "rules must name at least one validator"),
    ],
)
def test_wrong_settings_are_refused(make: object, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        make()  # type: ignore[operator]


# The code in a text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\n```\nx = 1\n```\nb", "x = 1"),
        ("```python\nx\n```\n```sql\nSELECT 1\n```", "SELECT 1"),
        ("~~~~\nx\n~~~\ny\n~~~~", "x\n~~~\ny"),
        ("```sql\nSELECT 1", "SELECT 1"),  # never closed
        ("```\n```", None),
        ("SELECT 1", "SELECT 1"),
        ("  ", None),
    ],
)
def test_the_last_block(text: str, code: str | None) -> None:
    assert CodeBlock()(text) == code


def test_a_block_of_a_language() -> None:
    text = "```SQL\nSELECT 1\n```\n```python\nprint(1)\n```"
    assert CodeBlock(language="sql")(text) == "SELECT 1"
    assert CodeBlock(language="yaml")(text) is None
    assert CodeBlock(language="sql")("```\nSELECT 2\n```") == "SELECT 2"


def test_a_text_without_a_fence_has_no_code_where_one_is_needed() -> None:
    assert CodeBlock(needs_fence=True)("SELECT 1") is None
    assert CodeBlock(needs_fence=True)("```\nSELECT 1\n```") == "SELECT 1"
