"""Graders: tables of what is right, wrong and no verdict."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest.experiments.questions.datasets.tasks import TaskData
from nbest.experiments.questions.gold import Gold, packed
from nbest.experiments.questions.graders.evaluating import evaluates
from nbest.experiments.questions.graders.plain import Exact, Fields, Grader, Number, Ungraded
from nbest.experiments.questions.graders.tasks import ReasoningGym, runs_text, task_score
from nbest.orchestrator.errors import InputError

NO_VERDICT = math.nan
_PAIRS = '{"i": [{"n": "A", "v": 1}, {"n": "B", "v": 2}]}'


@pytest.mark.parametrize(
    ("grader", "answer", "gold", "verdict"),
    [
        (Exact(), "Paris", "Paris", 1.0),
        (Exact(), " Paris\n", "Paris", 1.0),
        (Exact(), "paris", "Paris", 0.0),
        (Exact(casefold=True), "PARIS", "paris", 1.0),
        (Exact(casefold=True), "STRASSE", "stra\u00dfe", 1.0),
        (Exact(), "", "Paris", 0.0),
        (Exact(), "1.0", "1", 0.0),
        (Exact(), None, "Paris", NO_VERDICT),
        (Fields(), '{"b": [2, 1], "a": 1}', '{"a": 1, "b": [1, 2]}', 1.0),
        (Fields(), '{"a": 1}', '{"a": 1, "b": 2}', 0.0),
        (Fields(recall=0.5), '{"a": 1}', '{"a": 1, "b": 2}', 1.0),
        (Fields(recall=0.5), '{"a": 1, "c": 3}', '{"a": 1, "b": 2}', 0.0),
        (Fields(recall=0.5, precision=0.5), '{"a": 1, "c": 3}', '{"a": 1, "b": 2}', 1.0),
        (Fields(precision=0.0, recall=0.0), "no JSON", '{"a": 1}', 0.0),
        (Fields(), '{"a": 1}', "no JSON", NO_VERDICT),
        (Fields(), None, '{"a": 1}', NO_VERDICT),
        (Fields(), '{"a": 1.0}', '{"a": 1}', 1.0),
        (Fields(), '{"i": [{"n": "A", "v": 2}, {"n": "B", "v": 1}]}', _PAIRS, 0.0),
        (Fields(), '{"i": [{"n": "B", "v": 2}, {"v": 1, "n": "A"}]}', _PAIRS, 1.0),
        (Fields(), '{"a.b": 1}', '{"a": {"b": 1}}', 0.0),
        (Fields(), '{"a": [[1], [2]]}', '{"a": [[1, 2]]}', 0.0),
        (Fields(), '{"a": 1, "t": []}', '{"a": 1}', 0.0),
        (Number(), "18", "18", 1.0),
        (Number(), "1,000", "1000.0", 1.0),
        (Number(), "1e3", "1000", 1.0),
        (Number(), "$18.00", "18", 1.0),
        (Number(), "-18", "18", 0.0),
        (Number(), "18.0000000000000000001", "18", 0.0),
        (Number(), "1/2", "0.5", 1.0),
        (Number(), "2/6", "1/3", 1.0),
        (Number(), "nan", "18", 0.0),
        (Number(), "eighteen", "18", 0.0),
        (Number(), "", "18", 0.0),
        (Number(), "9" * 400, "18", 0.0),
        (Number(), "18", "eighteen", NO_VERDICT),
        (Number(), None, "18", NO_VERDICT),
        (Number(tolerance=0.01), "3.14", "3.1415", 1.0),
        (Number(tolerance=0.01), "3.13", "3.1415", 0.0),
        (Number(tolerance=0.5), "1", "1.5", 1.0),
        (Number(tolerance=1), "1e300", "1", 0.0),
        (Ungraded(), "18", "18", NO_VERDICT),
    ],
)
def test_verdicts(grader: Grader, answer: str | None, gold: str, verdict: float) -> None:
    result = grader(answer, Gold(answer=gold))
    assert result == verdict or (math.isnan(result) and math.isnan(verdict))


@given(st.one_of(st.none(), st.text(max_size=40)), st.text(max_size=40))
def test_no_text_makes_a_grader_raise(answer: str | None, gold: str) -> None:
    for grader in (Exact(), Number(), Number(tolerance=0.1), ReasoningGym()):
        verdict = grader(answer, Gold(answer=gold))
        assert verdict in (0.0, 1.0) or math.isnan(verdict)


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=3))
def test_a_number_equals_itself_however_it_is_written(value: object) -> None:
    spellings = [f"{value}", f"{value:,}", f"{value}0", f" {value} "]
    for answer in spellings:
        for gold in spellings:
            assert Number()(answer, Gold(answer=gold)) == 1.0


@pytest.mark.parametrize("tolerance", [-1.0, math.inf, math.nan])
def test_a_tolerance_has_bounds(tolerance: float) -> None:
    with pytest.raises(InputError, match=r"^tolerance must be at least 0 and finite, got "):
        Number(tolerance=tolerance)


@settings(max_examples=30)
@given(st.integers(-30, 30))
def test_the_number_grader_agrees_with_the_sums_own(value: int) -> None:
    task = TaskData(task="chain_sum", size=1).load().items[0].gold
    assert task is not None
    for answer in (f"{value}", f"+{value}.0", f"{value} apples"):
        if answer == f"+{value}.0" and value < 0:
            continue
        assert Number()(answer, task) == ReasoningGym()(answer, task)


@pytest.mark.parametrize("task", ["chain_sum", "decimal_arithmetic", "gcd", "letter_counting"])
def test_a_task_grades_its_own_answer_as_right(task: str) -> None:
    for item in TaskData(task=task, size=3).load().items:
        assert item.gold is not None
        assert ReasoningGym()(item.gold.answer, item.gold) == 1.0
        assert ReasoningGym()(f"not {item.gold.answer}, or is it", item.gold) == 0.0
        assert ReasoningGym()("", item.gold) == 0.0
        assert math.isnan(ReasoningGym()(None, item.gold))


def test_the_options_of_a_task_reach_its_grader() -> None:
    # Its grader allows for an error in the last decimal place, and the options say which that is.
    options = {"min_num_decimal_places": 1, "max_num_decimal_places": 1}
    data = TaskData.model_validate({"task": "decimal_arithmetic", "size": 1, "options": options})
    coarse = data.load().items[0].gold
    assert coarse is not None
    fine = Gold(answer=coarse.answer, task=coarse.task, entry=coarse.entry)
    near = str(float(coarse.answer) + 0.01)
    assert (ReasoningGym()(near, coarse), ReasoningGym()(near, fine)) == (1.0, 0.0)


def test_a_grader_that_fails_has_no_verdict() -> None:
    gold = TaskData(task="prime_factorization", size=1).load().items[0].gold
    assert gold is not None
    assert ReasoningGym()(gold.answer, gold) == 1.0
    assert math.isnan(ReasoningGym()("seven times two", gold))
    assert math.isnan(ReasoningGym()("7", Gold(answer="7", task="no such task")))
    assert math.isnan(ReasoningGym()("7", Gold(answer="7")))


# A text that makes a file where it is run, by `eval` or by sympy.
ATTACK = "__import__('os').open({path!r}, 64) or 1"


def attacked(value: object, attack: str) -> object:
    """The same value with the attack in the place of every text, however deep."""
    if isinstance(value, Mapping):
        return {key: attacked(inner, attack) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(attacked(inner, attack) for inner in value)
    return attack if isinstance(value, str) else value


def tasks() -> list[str]:
    import reasoning_gym

    return sorted(set(reasoning_gym.factory.DATASETS) - {"composite"})


@pytest.mark.parametrize("task", tasks())
def test_no_text_is_ever_run(tmp_path: Path, task: str) -> None:
    """Neither the answer of a model nor a gold file that somebody sent, whatever the task."""
    path = tmp_path / "owned"
    attack = ATTACK.format(path=str(path))
    gold = TaskData(task=task, size=1).load().items[0].gold
    assert gold is not None
    entry = attacked(gold.entry, attack)
    assert isinstance(entry, Mapping)
    # Called here, and not in a child process that can write nothing.
    for answer, one in ((attack, gold), (gold.answer, replace(gold, entry=entry))):
        with suppress(Exception):  # what a grader fails at is no verdict
            task_score(answer, packed(one))
    assert not path.exists()


def test_the_tasks_that_run_text_are_found() -> None:
    """Read from the installed sources in another way, which looks into all that a file defines."""
    running = re.compile(r"\b(?:eval|exec|sympify)\(|(?:sp|sympy)\.parse_expr\(|\(parse_expr\(")
    import reasoning_gym

    for task in tasks():
        dataset = reasoning_gym.factory.DATASETS[task][0]
        if running.search(inspect.getsource(dataset.score_answer)):
            assert runs_text(task), task
    assert {"bitwise_arithmetic", "number_sorting", "puzzle24"} < {
        t for t in tasks() if runs_text(t)
    }
    assert len([task for task in tasks() if runs_text(task)]) < 20  # the others can be graded
    assert runs_text("composite")


class Harmless:
    def score_answer(self, answer: str) -> float:
        return float(self.read(answer))

    def read(self, answer: str) -> str:
        return read(answer)


class Inherits(Harmless):
    def score_answer(self, answer: str) -> float:
        return super().score_answer(answer)


class Overrides(Inherits):
    def read(self, answer: str) -> str:
        return str(deep(answer))


class PassesOn:
    def score_answer(self, answer: str) -> float:
        return Harmless().score_answer(answer)


def read(answer: str) -> str:
    return json.loads(answer)  # type: ignore[no-any-return]


def deep(answer: str) -> object:
    return Deeper(answer)


class Deeper:
    def __init__(self, answer: str) -> None:
        self.value = eval(answer) if answer == "1" else None


@pytest.mark.parametrize(
    ("owner", "may_run"),
    [(Harmless, False), (Inherits, False), (Overrides, True), (PassesOn, True)],
)
def test_an_evaluator_is_found_however_deep(owner: type, may_run: bool) -> None:
    assert evaluates(owner.score_answer, owner) is may_run  # type: ignore[attr-defined]


def test_a_grader_without_source_may_run_text() -> None:
    space: dict[str, type] = {"__name__": __name__}
    exec("class Grader:\n    def score_answer(self, answer): return 1.0", space)
    assert evaluates(space["Grader"].score_answer, space["Grader"])  # type: ignore[attr-defined]
