"""Each named task on rows in its own format: it grades right texts right, and wrong ones wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.tasks.named import TASKS, config_file, load_task_or_file
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.reader import RunReader

CHOICES = {"Question": "Which?", "Correct Answer": "the sun", "Record ID": "rec1"}
CHOICES |= {f"Incorrect Answer {i}": f"moon {i}" for i in (1, 2, 3)}
FUNCTION = {
    "task_id": "HumanEval/7",
    "prompt": 'def add_seven(x):\n    """ Add seven. """\n',
    "entry_point": "add_seven",
    "canonical_solution": "    return x + 7\n",
    "test": "def check(candidate):\n    assert candidate(1) == 8\n",
}
TABLES = "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2)"

ROWS: dict[str, tuple[dict[str, object], str, str]] = {  # a row, a right text, a wrong one
    "gsm8k": ({"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"}, "so\n#### 2", "so\n#### 3"),
    "math500": (
        {
            "problem": "Half?",
            "answer": "\\frac{1}{2}",
            "unique_id": "t/1",
            "subject": "a",
            "level": 1,
        },
        "It is \\boxed{0.5}",
        "It is \\boxed{2}",
    ),
    "aime": ({"id": 60, "problem": "?", "answer": "025"}, "\\boxed{25}", "\\boxed{250}"),
    "gpqa": (dict(CHOICES), "Answer: RIGHT", "Answer: WRONG"),
    "mmlu_pro": (
        {"question_id": 1, "question": "?", "options": ["a", "b", "c"], "answer": "B"}
        | {"category": "law"},
        "Answer: B",
        "Answer: C",
    ),
    "humaneval": (
        dict(FUNCTION),
        "```python\ndef add_seven(x):\n    return 7 + x\n```",
        "```python\ndef add_seven(x):\n    return 7 - x\n```",
    ),
    "mbpp": (
        {"task_id": 11, "prompt": "Double x.", "code": "def f(x): return 2 * x"}
        | {"test_list": ["assert f(2) == 4", "assert f(0) == 0"], "test_imports": ["import math"]},
        "```python\ndef f(x):\n    return x + x\n```",
        "```python\ndef f(x):\n    return x + 2\n```",
    ),
    "ifeval": (
        {"key": 1, "prompt": "No commas and a title."}
        | {"instruction_id_list": ["punctuation:no_comma", "detectable_format:title"]}
        | {"kwargs": [{}, {"num_words": None}]},
        "<<A title>>\nWithout them.",
        "<<A title>>\nWith, one.",
    ),
    "bird": (
        {"question_id": 0, "question": "How many?", "evidence": "", "SQL": "SELECT count(*) FROM t"}
        | {"schema": TABLES},
        "```sql\nSELECT count(x) FROM t\n```",
        "```sql\nSELECT x FROM t\n```",
    ),
}


def run(task: str, rows: list[dict[str, object]], answers: list[str], *settings: str) -> Path:
    """Run a task on rows of one's own, with a fake model that gives these answers."""
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    weights = [1] * len(answers)
    model = json.dumps({"backend": "fake", "answers": answers, "weights": weights})
    changes = ["dataset.path=rows.jsonl", f"model={model}", "cluster.local=true", *settings]
    given = [word for change in changes for word in ("--set", change)]
    result = CliRunner().invoke(app, ["run", task, *given, "--quiet", "--json"])
    assert result.exit_code == 0, f"{result.output} {result.exception}"
    named = [s.removeprefix("name=") for s in settings if s.startswith("name=")]
    return Path("runs") / (named[0] if named else task)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_grades_rightly(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row, right, wrong = ROWS[task]
    if task == "gpqa":  # the order of its options is decided by the id
        Path("rows.jsonl").write_text(json.dumps(row) + "\n")
        config = load_task_or_file(task, ["dataset.path=rows.jsonl"])
        (item,) = config.dataset.load().items
        assert item.gold is not None
        letter = item.gold.answer
        assert f"{letter}. the sun" in item.fields["options"]
        assert "the sun" not in item.fields.values()
        right, wrong = f"Answer: {letter}", f"Answer: {'A' if letter != 'A' else 'B'}"
    folder = run(task, [row], [right, wrong], "strategy.n=12")
    (case,) = load_cases(folder)
    worths = {
        sample.text: w for sample, w in zip(case.candidates.samples, case.worths, strict=True)
    }
    assert worths == {right: 1.0, wrong: 0.0}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_a_sound_config_that_names_where_its_data_come_from(task: str) -> None:
    config = load_config(config_file(task))
    assert config.name == task
    text = config_file(task).read_text()
    assert "arXiv" in text or task == "aime"
    assert "# Rows: " in text
    for key in config.dataset.meta if hasattr(config.dataset, "meta") else ():
        assert key in ROWS[task][0]


def test_the_prompt_of_choices_has_them_with_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = run("mmlu_pro", [ROWS["mmlu_pro"][0]], ["Answer: B"])
    prompt = RunReader(folder).queries[0].prompt
    assert not isinstance(prompt, str)
    assert "?\n\nA. a\nB. b\nC. c\n" in prompt[0].content


def humaneval_rows(count: int) -> list[dict[str, object]]:
    return [
        FUNCTION
        | {"task_id": f"HumanEval/{i}", "prompt": f'def add_{i}(x):\n    """ Add {i}. """\n'}
        | {"entry_point": f"add_{i}", "canonical_solution": f"    return x + {i}\n"}
        | {"test": f"def check(candidate):\n    assert candidate(1) == {i + 1}\n"}
        for i in range(1, count + 1)
    ]


PROGRAMS = '''
"""A fake model that writes right and wrong programs."""

import re

from nbest import FakeBackend
from nbest.model_backend.fake.script import SeededAnswers


def answers_for(request):
    text = request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content
    name, number = re.search(r"def (add_(\\d+))", text).groups()
    code = "```python\\ndef {}(x):\\n    return x {} {}\\n```"
    answers = code.format(name, "+", number), code.format(name, "-", number), "I cannot."
    return SeededAnswers(answers=answers, weights=(1, 3, 1))(request)


def programs(*, max_concurrency: int = 64):
    return FakeBackend(script=answers_for, max_concurrency=max_concurrency)
'''


def test_humaneval_is_run_graded_and_chosen_by_tests_from_a_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("programs.py").write_text(PROGRAMS)
    model = 'model={"backend": "programs.py:programs"}'
    folder = run("humaneval", humaneval_rows(10), ["x"], model, "strategy.n=8")
    cases = load_cases(folder)
    assert len(cases) == 10
    for case in cases:
        for sample, worth in zip(case.candidates.samples, case.worths, strict=True):
            assert worth == float(" + " in sample.text)
    result = CliRunner().invoke(app, ["select", str(folder), "--select", "by_tests", "--json"])
    (row,) = json.loads(result.stdout)["rows"]
    assert row["accuracy"] == sum(any(w == 1.0 for w in case.worths) for case in cases) / 10
    assert row["accuracy"] > 0.5


HUMANEVAL = Path(__file__).parents[4] / "shared" / "data" / "humaneval" / "HumanEval.jsonl"


@pytest.mark.skipif(not HUMANEVAL.exists(), reason="the HumanEval data are not here")
def test_canonical_solutions_of_humaneval_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [json.loads(line) for line in HUMANEVAL.read_text().splitlines()[:10]]
    for row in rows[:3]:
        right = f"```python\n{row['prompt']}{row['canonical_solution']}\n```"
        wrong = f"```python\n{row['prompt']}    return None\n```"
        name = row["task_id"].replace("/", "")
        folder = run("humaneval", [row], [right, wrong], "strategy.n=12", f"name={name}")
        (case,) = load_cases(folder)
        texts = [sample.text for sample in case.candidates.samples]
        assert dict(zip(texts, case.worths, strict=True)) == {right: 1.0, wrong: 0.0}


def test_an_instruction_that_nobody_here_can_check_is_not_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    row = ROWS["ifeval"][0] | {"instruction_id_list": ["language:response_language"] * 2}
    folder = run("ifeval", [row], ["Ein Text."], "select=first")
    (case,) = load_cases(folder)
    assert not case.is_graded
    assert all(math.isnan(worth) for worth in case.worths)


def test_a_task_that_is_not_there_says_what_is() -> None:
    with pytest.raises(InputError, match=r"no file 'gsm9k', and no task of that name; did you"):
        config_file("gsm9k")


@pytest.mark.parametrize(
    ("settings", "row", "why"),
    [
        ({}, {"answer": "Z"}, r"row 1: the answer must be the letter of one of its 3 options"),
        ({"answer_is": "index"}, {"answer": 3}, r"must be the index of one of its 3 options"),
        ({"answer_is": "text"}, {"answer": "d"}, r"must be the text of one of its 3 options"),
        ({}, {"options": "a, b"}, r"row 1: options must hold 1 to 26 options"),
        ({"options": "choices"}, {}, r"dataset.options: .* has no column 'choices'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    settings: dict[str, str], row: dict[str, object], why: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROWS["mmlu_pro"][0] | row) + "\n")
    changes = [f"dataset.path={file}", *(f"dataset.{k}={v}" for k, v in settings.items())]
    with pytest.raises(InputError, match=why):
        load_task_or_file("mmlu_pro", changes).dataset.load()


def test_an_index_and_a_text_become_letters(tmp_path: Path) -> None:
    for answer, answer_is in ((2, "index"), ("c", "text"), ("c", "letter")):
        file = tmp_path / f"{answer_is}.jsonl"
        file.write_text(json.dumps(ROWS["mmlu_pro"][0] | {"answer": answer}) + "\n")
        changes = [f"dataset.path={file}", f"dataset.answer_is={answer_is}"]
        (item,) = load_task_or_file("mmlu_pro", changes).dataset.load().items
        assert item.gold is not None
        assert item.gold.answer == "C"
