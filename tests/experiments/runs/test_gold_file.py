"""Gold answers in a run directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.questions.datasets.tasks import TaskData
from nbest.experiments.questions.gold import Gold, packed, unpacked
from nbest.experiments.questions.graders.tasks import ReasoningGym
from nbest.experiments.runs.gold_file import GOLD_FILE, read_gold, write_gold
from nbest.orchestrator.errors import RunChanged, StoreError

ENTRIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.text(max_size=9), st.text(max_size=9), st.dictionaries(st.text(max_size=3), ENTRIES))
def test_a_row_keeps_everything_tuples_included(
    answer: str, full: str, entry: dict[str, object]
) -> None:
    gold = Gold(answer=answer, full=full, task="t", options={"k": 1}, entry=entry)
    assert unpacked(packed(gold)) == gold


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_gold(tmp_path) == {}
    gold = {f"q{i}": Gold(answer=str(i), full="\u00e9\n") for i in range(5)}
    write_gold(tmp_path, gold)
    assert read_gold(tmp_path) == gold
    assert [path.name for path in tmp_path.iterdir()] == [GOLD_FILE]


def test_a_run_may_grow_and_shrink_but_its_answers_stay(tmp_path: Path) -> None:
    gold = {f"q{i}": Gold(answer=str(i)) for i in range(5)}
    write_gold(tmp_path, {"q1": gold["q1"]})
    write_gold(tmp_path, gold)
    before = (tmp_path / GOLD_FILE).stat().st_mtime_ns
    write_gold(tmp_path, {"q2": gold["q2"]})
    assert read_gold(tmp_path) == gold
    assert (tmp_path / GOLD_FILE).stat().st_mtime_ns == before
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "any.parquet").touch()
    with pytest.raises(RunChanged) as caught:
        write_gold(tmp_path, {"q2": Gold(answer="7")})
    message = str(caught.value)
    assert message.startswith("the answer of 'q2' must be that of the run, '2', got '7'; to grade")
    (tmp_path / GOLD_FILE).unlink()  # the way that it tells
    write_gold(tmp_path, {"q2": Gold(answer="7")})
    assert read_gold(tmp_path)["q2"].answer == "7"


def test_an_answer_may_be_mended_while_the_run_has_no_results(tmp_path: Path) -> None:
    write_gold(tmp_path, {"q1": Gold(answer="1"), "q2": Gold(answer="2")})
    write_gold(tmp_path, {"q2": Gold(answer="7")})
    assert read_gold(tmp_path) == {"q1": Gold(answer="1"), "q2": Gold(answer="7")}


@pytest.mark.parametrize("task", ["chain_sum", "arc_agi", "spell_backward"])
def test_a_task_is_graded_the_same_from_the_file(tmp_path: Path, task: str) -> None:
    questions = TaskData(task=task, size=2).load()
    write_gold(tmp_path, questions.gold())
    for query_id, gold in read_gold(tmp_path).items():
        assert gold == questions.gold()[query_id]
        assert ReasoningGym()(gold.answer, gold) == 1.0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / GOLD_FILE).write_bytes(b"PAR1 but no more")
    with pytest.raises(StoreError, match=r"gold.parquet in '.*' is damaged \(.*\); delete it and "):
        read_gold(tmp_path)
