"""Questions from files: what is a row, what is a bad row, what is a bad file."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from nbest.experiments.questions.datasets.files import JsonlFile, TableFile
from nbest.experiments.questions.datasets.kinds import Dataset
from nbest.experiments.questions.items import Questions
from nbest.orchestrator.errors import InputError

ROWS = [
    {
        "id": f"q{i}",
        "question": f"What is {i} + {i}?",
        "answer": f"think #### {2 * i}",
        "topic": "+",
    }
    for i in range(6)
]
SHARED = Path(__file__).parents[5] / "shared" / "data" / "gsm8k"


def written(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """The rows in the format that the suffix names."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def dataset(path: Path, **settings: object) -> TableFile:
    raw = {"kind": path.suffix[1:], "path": str(path), **settings}
    built = TypeAdapter(Dataset).validate_python(raw)
    assert isinstance(built, TableFile)
    return built


def jsonl(path: Path, text: str | bytes, **settings: object) -> TableFile:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return dataset(path, **settings)


def refusal(data: TableFile, shots: int = 0, limit: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        data.load(shots, limit)
    assert str(caught.value).isprintable()
    return str(caught.value)


def ids(questions: Questions) -> list[str]:
    return [item.id for item in questions.items]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sums.jsonl"


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_every_format_yields_the_same_questions(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"sums.{suffix}", ROWS)
    questions = dataset(path, answer_after="####").load()
    assert questions == dataset(written(tmp_path / "x.jsonl", ROWS), answer_after="####").load()
    assert ids(questions) == [row["id"] for row in ROWS]
    first = questions.items[1]
    assert first.fields == {"id": "q1", "question": "What is 1 + 1?", "topic": "+"}
    assert first.gold is not None
    assert (first.gold.answer, first.gold.full) == ("2", "think #### 2")


def test_no_gold_answer_is_among_what_a_prompt_may_name(file: Path) -> None:
    rows = [{"problem": "1+1?", "solution": "it is two", "answer": "two", "full_answer": "two!"}]
    for gold_column in ("solution", "answer", "full_answer"):
        data = dataset(written(file, rows), question="problem", answer=gold_column)
        fields = data.load().items[0].fields
        assert not {"answer", "full_answer", gold_column} & set(fields)
        assert fields["question"] == fields["problem"] == "1+1?"


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_limit_changes_neither_the_first_questions_nor_the_shots(
    tmp_path: Path, suffix: str
) -> None:
    data = dataset(written(tmp_path / f"sums.{suffix}", ROWS))
    whole, part = data.load(2), data.load(2, limit=3)
    assert part.items == whole.items[:3]
    assert part.shots == whole.shots
    assert ids(whole) == ["q2", "q3", "q4", "q5"]
    assert [shot.id for shot in whole.shots] == ["q0", "q1"]


def test_shots_come_from_another_file_but_never_a_question_that_is_asked(tmp_path: Path) -> None:
    others = [ROWS[3], {"question": "What is 9 + 9?", "answer": "18"}, ROWS[0], {"question": "x"}]
    shots_path = str(written(tmp_path / "train.jsonl", others))
    data = dataset(written(tmp_path / "sums.jsonl", ROWS), shots_path=shots_path)
    questions = data.load(1)
    assert len(questions.items) == 6
    assert [shot.question for shot in questions.shots] == ["What is 9 + 9?"]
    assert refusal(data, 2) == (
        "prompt.shots must be at most 1, as many as there are to show, got 2"
    )


def test_a_question_that_is_there_twice_is_no_shot(file: Path) -> None:
    rows = [{"question": q, "answer": "1"} for q in ("same", "same", "other", "last")]
    questions = dataset(written(file, rows)).load(1)
    assert [shot.question for shot in questions.shots] == ["other"]
    assert [item.question for item in questions.items] == ["same", "same", "last"]


def test_rows_without_an_id_are_called_by_their_line(file: Path) -> None:
    data = jsonl(file, '{"question": "a"}\n\n{"question": "b", "id": 7}\n{"question": "c"}\n')
    assert ids(data.load()) == ["sums/1", "7", "sums/4"]
    assert ids(jsonl(file, '{"question": "a"}', name="gsm8k").load()) == ["gsm8k/1"]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"question": ""}, "row 2: question must hold a question, got blank text"),
        ({"question": " \n"}, "row 2: question must hold a question, got blank text"),
        ({"question": None}, "row 2: question must hold a question, got nothing"),
        ({"answer": "3"}, "row 2: question must hold a question, got nothing"),
        ({"question": ["a"]}, "row 2: question must be text, got ['a']"),
        ({"question": True}, "row 2: question must be text, got True"),
    ],
)
def test_a_row_without_a_question_is_a_bad_row_only(
    file: Path, row: Mapping[str, object], error: str
) -> None:
    data = dataset(written(file, [{"question": "good"}, row, {"question": "also good"}]))
    assert [item.error for item in data.load().items] == ["", error, ""]
    assert data.load(0).items[1].id == "sums/2"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("7", "7"), (7, "7"), (1.5, "1.5"), (True, "true"), (" 7\n", "7"), ("", None), (None, None)],
)
def test_gold_answers_are_text(file: Path, answer: object, gold: str | None) -> None:
    (item,) = dataset(written(file, [{"question": "q", "answer": answer}])).load().items
    assert (item.gold.answer if item.gold else None) == gold


def test_csv_cells_are_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('\ufeffid,question,answer\n007,"a ""b"", c",1.10\n', encoding="utf-8")
    (item,) = dataset(path).load().items
    assert (item.id, item.question) == ("007", 'a "b", c')
    assert item.gold is not None
    assert item.gold.answer == "1.10"


def test_an_answer_without_the_marker_is_no_gold_answer(file: Path) -> None:
    rows = [{"question": "a", "answer": "#### 1 #### 2"}, {"question": "b", "answer": "3"}]
    items = dataset(written(file, rows), answer_after="####").load().items
    assert items[0].gold is not None
    assert items[0].gold.answer == "2"
    assert items[1].gold is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "a"}\n{"question": "b', ":2: is no JSON: Unterminated string starting at"),
        ('{"question": "a"}\n[1]\n', ":2: must be a JSON object, got [1]"),
        ('{"question": "a"}\nnull\n', ":2: must be a JSON object, got None"),
        (b'{"question": "\xff"}\n', ":1: is no JSON: 'utf-8' codec can't decode byte 0xff"),
        ("[" * 100_000, ": is no file of JSON lines: it is one JSON list"),
        ('{"a": ' + "[" * 100_000, ":1: is no JSON: maximum recursion depth exceeded"),
        ("", ": must hold at least one question, got none"),
        ("\n \n", ": must hold at least one question, got none"),
        (
            '{"question": "a", "id": 1}\n' * 2 + '{"question": "a", "id": "x y"}\n' * 2,
            ": every id must be there once, got '1', 'x y' twice",
        ),
    ],
)
def test_a_bad_file_is_refused_by_line(file: Path, text: str | bytes, message: str) -> None:
    assert refusal(jsonl(file, text)).startswith(f"{file}{message}")


def test_an_id_that_could_act_on_a_terminal_is_refused(file: Path) -> None:
    message = refusal(jsonl(file, '{"question": "a", "id": "\\u001b[2J"}'))
    assert message == r"row 1: an id must be printable text, got '\x1b[2J'"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"question": "qestion"}, "has no column 'qestion'; did you mean 'question'?"),
        ({"id": "uid"}, "has no column 'uid'; did you mean 'id'?"),
        ({"answer": "gold"}, "has no column 'gold'; it is one of: answer, id, question, topic"),
        ({"answer_after": "=>"}, "dataset.answer_after must be in the answers of"),
        ({"shots_path": "nowhere.jsonl"}, "dataset.shots_path must be a file, got 'nowhere.jsonl'"),
    ],
)
def test_a_setting_that_does_not_fit_the_file_is_refused(
    file: Path, settings: Mapping[str, object], message: str
) -> None:
    assert message in refusal(dataset(written(file, ROWS), **settings))


def test_a_limit_and_a_number_of_shots_have_bounds(file: Path) -> None:
    data = dataset(written(file, ROWS))
    assert refusal(data, limit=0) == "limit must be at least 1, got 0"
    assert refusal(data, 6) == f"{file}: must hold at least one question, got none"
    assert refusal(data, 7).startswith("prompt.shots must be at most 6, ")


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    missing = refusal(JsonlFile(path="nowhere/x.jsonl"))
    assert missing == "dataset.path must be a file, got 'nowhere/x.jsonl' (no such file)"
    assert refusal(JsonlFile(path=str(tmp_path))).endswith("(a folder)")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_junk_is_no_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b'question,answer\n"a\xff\x00')
    assert refusal(dataset(path)).startswith(str(path))
    path.write_bytes(b"")
    assert refusal(dataset(path)).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question,answer\na,1\nb,2,3\n", "row 2 must have 2 cells, as the header has, got 3"),
        ("question,answer\na,1\nb\n", "row 2 must have 2 cells, as the header has, got 1"),
        ("question,answer,answer\na,1,2\n", "every column must be there once, got 'answer' twice"),
        ("question, question\na,1\n", "every column must be there once, got 'question' twice"),
    ],
)
def test_a_damaged_csv_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert refusal(dataset(path)) == f"{path}: {message}"


def test_spaces_in_a_header_and_blank_lines_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("question , answer\na,1\n\nb,2\n")
    assert {key: gold.answer for key, gold in dataset(path).load().gold().items()} == {
        "x/1": "1",
        "x/2": "2",
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b'{"question": "a"}', mtime=0), "compressed by gzip"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        ('{"question": "a"}'.encode("utf-16"), "UTF-16 text"),
        (b'[{"question": "a"}]', "one JSON list"),
        (b'\xef\xbb\xbf[{"question": "a"}]', "one JSON list"),
        (b'{\n  "question": "a"\n}', "JSON over several lines"),
        (b"PAR1....", "dataset.kind is parquet"),
    ],
)
def test_another_kind_of_file_is_named(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    assert what in refusal(JsonlFile(path=str(path)))


@pytest.mark.parametrize(
    "line",
    [
        '{"question": "a", "question": "b"}',
        '{"question": "a", "answer": ["1", "one"]}',
        '{"question": "a", "answer": {"value": 1}}',
        '{"question": "a", "extra": {"x": 1, "x": 2}}',
    ],
)
def test_what_could_mean_two_things_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(line)
    assert "1" in refusal(JsonlFile(path=str(path)))


def test_meta_keeps_columns_as_they_are_and_never_the_gold_answer(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"question": "a", "answer": "1", "tests": ["t", "u"], "note": null}')
    (item,) = JsonlFile(path=str(path), meta=["tests", "note"]).load().items
    assert item.meta == {"tests": ["t", "u"]}
    message = refusal(JsonlFile(path=str(path), meta=["answer"]))
    assert message == (
        "dataset.meta must never name the gold answers: a selector could read them, got 'answer'"
    )
    assert "no column 'test'" in refusal(JsonlFile(path=str(path), meta=["test"]))
    told = refusal(JsonlFile(path=str(path), cluster="templat"))
    assert told.startswith("dataset.cluster: ")
    assert "no column 'templat'" in told


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the GSM8K files beside the repository")
def test_gsm8k_is_read_whole() -> None:
    train = str(SHARED / "train.jsonl")
    data = JsonlFile(path=str(SHARED / "test.jsonl"), answer_after="####", shots_path=train)
    questions = data.load(4)
    assert (len(questions.items), len(questions.gold()), len(questions.shots)) == (1319, 1319, 4)
    assert not any(item.error for item in questions.items)
