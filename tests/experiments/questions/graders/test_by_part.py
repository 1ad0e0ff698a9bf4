"""Every equivalence and every validator is a grader."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.app import app
from nbest.experiments.config.plugins import build_grader
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.by_part import QueryGrader
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Query

HUMANEVAL = Path(__file__).parents[4].parent / "shared/data/humaneval/HumanEval.jsonl"


async def verdicts(
    name: str, answers: list[str], gold: str | None = None, **meta: object
) -> list[float]:
    grader = build_grader(name)
    assert isinstance(grader, QueryGrader)
    query = Query(id="q", prompt="?", meta=meta)
    return await grader.grade_each(query, answers, None if gold is None else Gold(answer=gold))


async def test_equal_json_is_right_however_it_is_written() -> None:
    answers = ['{"b":2,"a":1.0}', '{"a": 1}', "no JSON"]
    assert await verdicts("json", answers, '{"a": 1, "b": 2}') == [1.0, 0.0, 0.0]


async def test_a_query_with_the_same_result_is_right() -> None:
    pytest.importorskip("sqlglot")
    name = 'sql_result(schema="CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2)")'
    answers = ["SELECT max(x) FROM t", "SELECT 1", "SELECT nothing"]
    assert await verdicts(name, answers, "SELECT 2") == [1.0, 0.0, 0.0]


async def test_a_choice_is_right_however_it_is_put() -> None:
    assert await verdicts("choice", ["(b)", "The answer is B", "C"], "B") == [1.0, 1.0, 0.0]


async def test_a_gold_answer_that_cannot_be_read_grades_only_itself() -> None:
    one, other = await verdicts("json", ["no JSON", "[1]"], "no JSON")
    assert one == 1.0
    assert math.isnan(other)
    assert all(map(math.isnan, await verdicts("json", ["1", "2"])))


async def test_rules_grade_without_a_gold_answer() -> None:
    schema = '{"type": "object"}'
    assert await verdicts(f"json(schema='{schema}')", ["{}", "[]", "{"]) == [1.0, 0.0, 0.0]
    assert await verdicts('regex(pattern="[0-9]+")', ["12", "x"]) == [1.0, 0.0]


async def test_a_question_without_tests_is_not_graded() -> None:
    (verdict,) = await verdicts("python_tests", ["x = 1"])
    assert math.isnan(verdict)
    assert await verdicts("python_tests", ["x = 1", "x = 2"], tests="assert x == 1") == [1.0, 0.0]
    assert await verdicts("python_tests", ["x = 1"], tests=["assert x", "assert x < 2"]) == [1.0]


@pytest.mark.parametrize("answer", ["def double(x):\n    return 2 * x", "return 2 * x"])
async def test_tests_are_put_together_from_columns(answer: str) -> None:
    name = r'python_tests(before="{prompt}", template="{test}\ncheck({entry_point})")'
    meta = {
        "prompt": 'def double(x):\n    """Twice x."""\n',
        "test": "def check(f):\n    assert f(2) == 4",
        "entry_point": "double",
    }
    assert await verdicts(name, [answer, "return x", "x ="], **meta) == [1.0, 0.0, 0.0]


def test_an_unknown_grader_is_refused_with_the_nearest_of_all() -> None:
    with pytest.raises(InputError, match="no grader named 'jsn'; did you mean 'json'"):
        build_grader("jsn")
    with pytest.raises(InputError, match="have plain names in braces"):
        build_grader('python_tests(template="{a.b}")')
    with pytest.raises(InputError, match="template must be left out where tests are given"):
        build_grader('python_tests(tests="assert 1", template="{a}")')


@pytest.mark.skipif(not HUMANEVAL.exists(), reason="needs ../shared/data/humaneval")
def test_humaneval_from_a_config_is_graded_and_chosen_by_its_own_tests(tmp_path: Path) -> None:
    """The fake model answers each task by the right program, or by one that fails."""
    tasks = [json.loads(line) for line in HUMANEVAL.read_text().splitlines()[:6]]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    rule = r'python_tests(before="{prompt}", template="{test}\ncheck({entry_point})")'
    right = [task["prompt"] + task["canonical_solution"] for task in tasks]
    answers = [f"```python\n{code}\n```" for code in [*right, "x = 1"]]
    config = {
        "name": "humaneval",
        "dataset": {
            "kind": "jsonl",
            "path": str(tmp_path / "tasks.jsonl"),
            "id": "task_id",
            "question": "prompt",
            "meta": ["prompt", "test", "entry_point"],
        },
        "model": {"backend": "fake", "answers": answers, "weights": [1] * len(answers)},
        "sampling": {"max_tokens": 4096},
        "strategy": {"n": 24},
        "extract": 'code_block(language="python")',
        "select": [f"first_valid(rule={rule})", "first"],
        "grade": rule,
        "cluster": {"local": True},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    command = ["run", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run"), "-q"]
    app(args=command, standalone_mode=False)
    chosen, first = compare(tmp_path / "run", f"first_valid(rule={rule}),first").rows
    assert chosen.n_graded == first.n_graded == 6
    assert chosen.accuracy >= 0.7 > first.accuracy
