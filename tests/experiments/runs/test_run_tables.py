"""Runs as Arrow tables, and the answers at the end of `nbest run`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from nbest import MajorityVote, load
from nbest.experiments.cli.run_summary import EXAMPLES, print_answers
from nbest.experiments.runs.cases import reading_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.reader import RunReader
from tests.experiments.picked_runs import picked_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = {f"q{i}": ["right", "wrong", "right"] for i in range(5)}
    return picked_run(tmp_path_factory.mktemp("tables"), texts)


def test_tables_hold_every_question_sample_and_answer(run: Path) -> None:
    tables = load(run, ["vote", "first"])
    assert all(isinstance(t, pa.Table) for t in (tables.questions, tables.samples, tables.answers))
    (question, *_), (sample, *_) = tables.questions.to_pylist(), tables.samples.to_pylist()
    assert question == {
        "id": "q0",
        "question": "question q0",
        "prompt": "question q0",
        "gold": "right",
        "samples": 4,
        "right": 2,
        "tokens": 0,
    }
    assert (tables.samples.num_rows, tables.answers.num_rows) == (20, 10)
    assert (sample["id"], sample["index"], sample["right"]) == ("q0", 0, True)
    cut = tables.samples.to_pylist()[3]
    assert (cut["status"], cut["answer"], cut["right"]) == ("truncated", None, None)
    chosen = tables.answers.to_pylist()[0]
    assert (chosen["select"], chosen["answer"], chosen["index"]) == ("vote", "right", 0)
    frame = tables.answers.to_pandas()
    assert frame[frame["select"] == "vote"]["correct"].mean() == 1.0


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold a run\.json"):
        load(tmp_path)


def test_a_run_ends_with_a_few_answers_and_what_to_do_next(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = RunReader(run)
    print_answers(reader, {"vote": MajorityVote()}, reading_of(reader))
    *answers, last = capsys.readouterr().out.splitlines()
    assert answers == [f"  question q{i} -> right (67% agree, right)" for i in range(EXAMPLES)]
    assert last.startswith(f"kept in {run}: nbest view {run}")
