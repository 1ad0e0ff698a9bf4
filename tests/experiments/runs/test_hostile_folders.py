"""Run folders that somebody else has made: whatever stands in them, it is data.

Every command opens them: nothing is run, nothing is written outside, nothing hangs or fills the
memory of this process. What the folder asks for and cannot have is refused in one line, or leaves
an answer unread.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.runs.gold_file import write_gold
from nbest.orchestrator.errors import NbestError
from nbest.scorers.sandboxes.sql import check_schema

MOST_BYTES = 50 << 20  # that this process may grow by

# %s is a place outside of the run folder.
SQLITE = {
    "attach": "ATTACH '%s' AS a; CREATE TABLE a.t (x); INSERT INTO a.t VALUES (1)",
    "attach in small letters": "CREATE TABLE t (x); attach database '%s' as a",
    "attach after a comment": "/* a */ ATTACH -- b\n '%s' AS a",
    "attach by uri": "ATTACH 'file:%s?mode=rwc' AS a",
    "vacuum into": "CREATE TABLE t (x); VACUUM INTO '%s'",
    "vacuum": "CREATE TABLE t (x); VACUUM",
    "pragma": "PRAGMA journal_mode = WAL",
    "pragma that writes": "PRAGMA temp_store_directory = '%s'",
    "pragma as a function": "CREATE TABLE t AS SELECT * FROM pragma_database_list",
    "more memory": "PRAGMA max_page_count = 4294967294",
    "load an extension": "SELECT load_extension('%s')",
    "write a file": "SELECT writefile('%s', 'x')",
    "read a file": "CREATE TABLE t AS SELECT readfile('/etc/passwd') AS x",
    "edit": "SELECT edit('x', 'touch %s')",
    "a table of a file": "CREATE VIRTUAL TABLE t USING csv(filename='%s')",
    "a tokenizer at an address": "SELECT fts3_tokenizer('x', x'4141414141414141')",
    "detach": "DETACH main",
    "an endless table": "CREATE TABLE t AS WITH RECURSIVE r(x) AS "
    "(SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r",
    "a huge value": "CREATE TABLE t AS SELECT zeroblob(2000000000) AS x",
    "many huge values": "CREATE TABLE t AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
    "FROM r LIMIT 100000) SELECT randomblob(1000000) FROM r",
    "a trigger that attaches": "CREATE TABLE t (x); CREATE TRIGGER g AFTER INSERT ON t BEGIN "
    "SELECT load_extension('%s'); END; INSERT INTO t VALUES (1)",
    "a view that loads": "CREATE VIEW v AS SELECT load_extension('%s'); "
    "CREATE TABLE t AS SELECT * FROM v",
    "no statement": "SELEC",
    "half a text": "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('",
}
DUCKDB = {
    "copy to a file": "CREATE TABLE t (x INT); COPY t TO '%s'",
    "copy a query": "COPY (SELECT 1) TO '%s' (FORMAT csv)",
    "copy from a file": "CREATE TABLE t (x TEXT); COPY t FROM '/etc/passwd'",
    "export": "CREATE TABLE t (x INT); EXPORT DATABASE '%s'",
    "attach": "ATTACH '%s' AS a; CREATE TABLE a.t (x INT)",
    "read text": "CREATE TABLE t AS SELECT * FROM read_text('/etc/passwd')",
    "read csv": "CREATE TABLE t AS SELECT * FROM '/etc/passwd'",
    "list files": "CREATE TABLE t AS SELECT * FROM glob('/*')",
    "install": "INSTALL httpfs",
    "load": "LOAD '%s'",
    "open again": "SET enable_external_access = true",
    "log to a file": "SET log_query_path = '%s'",
    "profile into a file": "PRAGMA enable_profiling = 'json'; SET profiling_output = '%s'",
    "spill to a folder": "SET temp_directory = '%s'",
    "more memory": "SET memory_limit = '1TB'",
    "an environment": "CREATE TABLE t AS SELECT getenv('HOME') AS x",
    "a secret": "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "an endless table": "CREATE TABLE t AS SELECT * FROM range(1000000000000)",
    "a huge value": "CREATE TABLE t AS SELECT repeat('x', 4000000000) AS x",
}
BACKTRACKS = r"(a+)+$"
DEEP = "[" * 100_000
SETTINGS = {
    "extract that backtracks": ("extract", f"regex(pattern={BACKTRACKS!r})"),
    "extract that looks ahead for ever": ("extract", r"regex(pattern='(?=(a|aa)+$)(a|aa)+b')"),
    "extract of a huge repeat": ("extract", "regex(pattern='((a{1000}){1000}){1000}')"),
    "extract of nothing known": ("extract", "__import__('os').system('touch %s')"),
    "extract by attribute": ("extract", "regex.__class__(pattern='x')"),
    "extract of a deep text": ("extract", "(" * 5000),
    "equivalence that attaches": ("equivalence", f"sql_result(schema={SQLITE['attach']!r})"),
    "equivalence that copies": (
        "equivalence",
        f"sql_result(dialect='duckdb', schema={DUCKDB['copy to a file']!r})",
    ),
    "equivalence without end": (
        "equivalence",
        f"sql_result(schema={SQLITE['an endless table']!r})",
    ),
    "equivalence with a huge time": ("equivalence", "math(timeout_s=1e308)"),
    "equivalence of nothing known": ("equivalence", "eval('1')"),
    "grader that runs code": ("grade", "reasoning_gym"),
    "grader with a huge tolerance": ("grade", "number(tolerance=1e400)"),
    "grader that is no text": ("grade", {"name": "exact"}),
    "name that climbs": ("name", "../../../%s"),
    "name that is a page": ("name", "<script>fetch('http://127.0.0.1')</script>"),
    "name of a terminal": ("name", "\x1b]0;owned\x07\x1b[2J"),
    "strategy of nothing known": ("strategy", {"n": 1, "rule": "eval('1')"}),
    "strategy that is a list": ("strategy", [1, 2, 3]),
    "select that backtracks": ("select", [f"first_valid(regex={BACKTRACKS!r})"]),
    "select of nothing known": ("select", ["__import__('os').system('touch %s')"]),
    "dataset at a path": ("dataset", {"kind": "jsonl", "path": "%s"}),
}
MANIFESTS = {
    "no JSON": "{",
    "a deep list": DEEP,
    "a list": "[]",
    "a number": "1e999",
    "nothing": "",
    "bytes": "\udcff",
    "no config": '{"version": 1}',
    "of the future": '{"version": 999, "config": {}, "fingerprint": {}}',
}
ATTACK = "__import__('os').open({path!r}, 64) or 1"
GOLDS = {
    "bitwise_arithmetic": {"metadata": {"problem": ATTACK}},
    "number_sorting": {"metadata": {"sorted_numbers": ATTACK}, "answer": ATTACK},
    "simple_integration": {"metadata": {"variable": "x", "integrand": ATTACK}},
    "composite": {"metadata": {"source_dataset": "countdown", "target": 1, "numbers": [1]}},
    "no such task": {"metadata": ATTACK},
}
COMMANDS = (
    ("curve", "run", "--select", "vote"),
    ("replay", "run", "--strategy", "adaptive", "--max-n", "4"),
    ("report", "run", "--out", "page.html"),
    ("export", "run", "--format", "jsonl"),
    ("pick", "run"),
)
TEXTS = ("a" * 5000 + "!", "9^{9^{9^{9}}}", "SELECT 1", DEEP, "\x1b[2J", "</script>", "0x1")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A place that no command may write to."""
    return tmp_path / "outside"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    samples = [{"text": text, "answer": text} for text in TEXTS]
    pool = tmp_path / "pool.jsonl"
    lines = [{"id": f"q{i}", "gold": "7", "samples": samples} for i in range(2)]
    pool.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([pool], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what commands import, before memory is looked at."""
    folder = tmp_path_factory.mktemp("warm")
    pool = folder / "pool.jsonl"
    samples = [{"answer": str(7 + i % 2)} for i in range(len(TEXTS))]
    pool.write_text(json.dumps({"id": "q", "gold": "7", "samples": samples}) + "\n")
    import_pool([pool], folder / "run")
    for command in COMMANDS:
        words = [str(folder / word) if word in ("run", "page.html") else word for word in command]
        assert CliRunner().invoke(app, words).exit_code == 0 or command[0] == "pick"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Where commands are run: afterwards nothing is there, nor anything new in the run folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = {path.name for path in run.iterdir()}
    yield
    assert [path.name for path in folder.iterdir() if path.suffix != ".html"] == []
    assert {path.name for path in run.iterdir()} <= before | {"gold.parquet"}
    assert not (tmp_path / "outside").exists()


def opened(*command: str) -> str:
    """Run a command in this process: it ends as a command should, and returns what it said."""
    before = memory()
    result = CliRunner().invoke(app, [*command])
    is_expected = isinstance(result.exception, NbestError | SystemExit | type(None))
    assert is_expected, (command, result.exception)
    assert memory() - before < MOST_BYTES
    assert not any(c in result.output for c in "\x1b\x07")
    return result.output + str(result.exception or "")


def memory() -> int:
    """The bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def filled(value: object, outside: Path) -> object:
    if isinstance(value, str):
        return value.replace("%s", str(outside))
    if isinstance(value, dict):
        return {key: filled(inner, outside) for key, inner in value.items()}
    return [filled(inner, outside) for inner in value] if isinstance(value, list) else value


def change(run: Path, key: str, value: object) -> None:
    manifest = json.loads((run / "run.json").read_text())
    manifest["config"][key] = value
    (run / "run.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("schema", SQLITE.values(), ids=SQLITE)
def test_a_schema_of_sqlite_writes_nothing_and_ends(schema: str, outside: Path) -> None:
    refused(lambda: check_schema("sqlite", schema.replace("%s", str(outside))))


@pytest.mark.parametrize("schema", DUCKDB.values(), ids=DUCKDB)
def test_a_schema_of_duckdb_writes_nothing_and_ends(schema: str, outside: Path) -> None:
    refused(lambda: check_schema("duckdb", schema.replace("%s", str(outside))))


def refused(check: object) -> None:
    before = memory()
    with pytest.raises(NbestError, match="schema must be statements that can be executed"):
        check()  # type: ignore[operator] # it is a function
    assert memory() - before < MOST_BYTES


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_runs_nothing(run: Path, outside: Path, setting: tuple[str, object]) -> None:
    key, value = setting
    change(run, key, filled(value, outside))
    opened("select", str(run), "--select", "vote")


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_none_is_one_line(run: Path, text: str) -> None:
    (run / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "run.json" in opened("select", str(run), "--select", "vote")


@pytest.mark.parametrize("task", GOLDS)
def test_a_gold_answer_runs_nothing(run: Path, outside: Path, task: str) -> None:
    (run / "gold.parquet").unlink()
    entry = json.loads(json.dumps(GOLDS[task]).replace("{path!r}", repr(str(outside))))
    write_gold(run, {f"q{i}": Gold(answer="0x1", task=task, entry=entry) for i in range(2)})
    change(run, "grade", "reasoning_gym")
    opened("select", str(run), "--select", "vote")


@pytest.mark.parametrize(
    "key", ["extract that backtracks", "equivalence that attaches", "name that is a page"]
)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_opens_it(
    run: Path, outside: Path, key: str, command: tuple[str, ...]
) -> None:
    setting, value = SETTINGS[key]
    change(run, setting, filled(value, outside))
    opened(*(str(run) if word == "run" else word for word in command))
    page = Path("page.html")
    if page.exists():
        assert "<script>fetch" not in page.read_text()


@pytest.mark.parametrize("name", ["samples", "queries", "records", "scores", "gold.parquet"])
def test_garbage_in_the_place_of_a_file_is_told_of(run: Path, name: str) -> None:
    for file in run.rglob("*.parquet"):
        if name in file.relative_to(run).parts:
            file.write_bytes(b"PAR1" + b"\0" * 100 + b"PAR1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged files, which are told of
        opened("select", str(run), "--select", "vote")


@pytest.mark.parametrize(
    ("name", "select"), [("gold.parquet", "vote"), ("run.json", "vote"), ("choices/x.json", "user")]
)
def test_a_pipe_in_the_place_of_a_file_hangs_nobody(tmp_path: Path, name: str, select: str) -> None:
    """Whoever opens a pipe to read waits for a writer, here without end."""
    line = {"id": "q", "gold": "1", "samples": [{"answer": "1"}]}
    (tmp_path / "p.jsonl").write_text(json.dumps(line) + "\n")
    import_pool([tmp_path / "p.jsonl"], tmp_path / "piped")
    path = tmp_path / "piped" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    ended = CliRunner().invoke(app, ["select", str(tmp_path / "piped"), "--select", select])
    assert isinstance(ended.exception, NbestError)
    assert f"{name} is no regular file" in str(ended.exception)
