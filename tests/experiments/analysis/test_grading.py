"""A model grades stored answers: what it is asked, what is kept, how far it is to be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest import FakeBackend, Reply, SeededAnswers
from nbest.experiments.analysis.curves.of_run import curves_of
from nbest.experiments.analysis.grading import Answer, Asking, Grading, grade_run
from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.app import app
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.model_verdicts import ModelVerdicts
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.runs.gold_file import write_gold
from nbest.experiments.runs.verdicts_file import read_verdicts, write_verdicts
from nbest.orchestrator.errors import InputError, RequestRejected, StoreError
from nbest.orchestrator.types import Request

OTHER = FakeBackend(script=SeededAnswers(answers=("A",), weights=(1,)))
SAYS = {"42": "A", "41": "B", "40": "A", "39": "I cannot tell", "38": "Choice: B"}


@dataclass
class Model:
    """Replies by the answer that it is asked about, and keeps what it was asked."""

    says: dict[str, str] = field(default_factory=lambda: dict(SAYS), repr=False)
    prompts: list[str] = field(default_factory=list, repr=False)

    def __call__(self, request: Request) -> Reply:
        prompt = str(request.prompt)
        self.prompts.append(prompt)
        answer = next(a for a in self.says if f"I say {a}." in prompt)
        said = self.says[answer]
        error = RequestRejected("broken") if said == "!" else None
        return Reply(tokens=(said,), prompt_tokens=7, error=error)

    @property
    def asking(self) -> Asking:
        return Asking(backend=FakeBackend(script=self))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two questions with a gold answer, and one without."""
    rows = [
        ("q0", "42", ["42", "41", "42", "39"]),
        ("q1", "41", ["40", "41"]),
        ("q2", None, ["38"]),
    ]
    lines = [
        {
            "id": i,
            "prompt": f"{i}?",
            "samples": [{"text": f"I say {a}.", "answer": a} for a in said],
        }
        | ({} if gold is None else {"gold": gold})
        for i, gold, said in rows
    ]
    pool = tmp_path / "pool.jsonl"
    pool.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([pool], tmp_path / "run", grade="number")
    return tmp_path / "run"


def test_each_different_answer_is_asked_about_once_and_kept(run: Path) -> None:
    model = Model()
    grading = grade_run(run, model.asking, "big")
    assert (grading.asked, grading.failed, len(model.prompts)) == (6, 0, 6)
    assert grading.counts == {"right": 2, "wrong": 3, "neither": 1}
    assert (grading.usage.prompt_tokens, grading.usage.generated_tokens) == (42, 6)
    again = grade_run(run, model.asking, "big")
    assert (again.asked, again.usage.samples, len(model.prompts)) == (0, 0, 6)
    assert again.answers == grading.answers or str(again.answers) == str(grading.answers)


def test_what_it_is_worth_is_seen_where_the_gold_answer_is_known(run: Path) -> None:
    """Of 42 and 41, 40 and 41: right and right, wrong and wrong; of 39 it says neither."""
    grading = grade_run(run, Model().asking, "big")
    assert grading.agreement().mean == 2 / 4
    assert grading.agreement(1.0).mean == 1 / 2  # 42 at q0, and not 41 at q1
    assert grading.agreement(0.0).mean == 1 / 2  # 41 at q0, and not 40 at q1


def test_other_commands_grade_with_the_verdicts(run: Path) -> None:
    grade_run(run, Model().asking, "big")
    cases = {c.query.id: c for c in load_cases(run, grade="model_verdicts(by=big)")}
    assert cases["q1"].verdicts == {"40": 1.0, "41": 0.0}
    assert cases["q2"].verdicts == {"38": 0.0}  # a question without a gold answer is graded
    (row,) = compare(run, "vote", grade="model_verdicts(by=big)").rows
    assert (row.accuracy, row.n_graded) == (2 / 3, 3)
    with pytest.raises(InputError, match=r"by must be a name of `nbest grade .*\(big\), got 'x'"):
        load_cases(run, grade="model_verdicts(by=x)")


def test_gold_answers_are_shown_on_request_alone(run: Path) -> None:
    blind, shown = Model(), Model()
    grade_run(run, blind.asking, "blind")
    assert not any("Reference answer" in prompt for prompt in blind.prompts)
    graded = grade_run(run, replace(shown.asking, with_gold=True), "shown")
    assert len(graded.answers) == 5  # not the question that has none
    assert all("Reference answer" in prompt for prompt in shown.prompts)
    assert "the same as the reference" in shown.prompts[0]


def test_a_model_that_fails_is_asked_again(run: Path) -> None:
    model = Model(says=SAYS | {"41": "!"})
    grading = grade_run(run, model.asking, "big")
    assert (grading.asked, grading.failed, len(grading.answers)) == (6, 2, 4)
    (why,) = grading.failures
    assert "broken" in why
    model.says["41"] = "B"
    again = grade_run(run, model.asking, "big")
    assert (again.asked, again.failed, len(again.answers)) == (2, 0, 6)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: replace(a, criterion="Is it short?"),
        lambda a: replace(a, with_gold=True),
        lambda a: replace(
            a, backend=FakeBackend(script=SeededAnswers(answers=("A",), weights=(1,)))
        ),
    ],
)
def test_verdicts_asked_for_otherwise_need_another_name(
    run: Path, change: Callable[[Asking], Asking]
) -> None:
    model = Model()
    grade_run(run, model.asking, "big")
    with pytest.raises(InputError, match=r"name must be another one: .* asked for with another"):
        grade_run(run, change(model.asking), "big")
    assert change(model.asking).settings != model.asking.settings


def test_so_many_questions_at_most(run: Path) -> None:
    model = Model()
    assert grade_run(run, model.asking, "big", limit=1).asked == 3
    assert grade_run(run, model.asking, "big").asked == 3
    with pytest.raises(InputError, match="limit must be at least 1"):
        grade_run(run, model.asking, "big", limit=0)


def test_a_text_that_asks_for_a_verdict_is_quoted_as_data(run: Path) -> None:
    model = Model()
    grade_run(run, model.asking, "big")
    for prompt in model.prompts:
        *_, before, after = prompt.split("I say ")
        assert "<<<" in before
        assert ">>>" in after


def test_nothing_is_kept_where_all_failed(run: Path) -> None:
    model = Model(says=dict.fromkeys(SAYS, "!"))
    assert grade_run(run, model.asking, "big").failed == 6
    assert not (run / "verdicts").exists()
    other = replace(model.asking, criterion="Is it short?")
    model.says.update(SAYS)
    assert grade_run(run, other, "big").failed == 0


def test_a_reply_that_was_cut_off_is_no_verdict(run: Path) -> None:
    """A model that thinks first does not come to its reply in 16 tokens."""
    words = Reply(tokens=("I", " think", " so", " A"), prompt_tokens=7)
    asking = Asking(backend=FakeBackend(script=lambda request: words), max_tokens=3)
    grading = grade_run(run, asking, "big")
    assert grading.failures == {"cut off at 3 tokens (--max-tokens)": 6}
    assert grade_run(run, replace(asking, max_tokens=9), "big").failed == 0


def test_verdicts_on_another_gold_answer_are_asked_for_again(run: Path) -> None:
    model = Model()
    asking = replace(model.asking, with_gold=True)
    assert grade_run(run, asking, "big").asked == 5
    (run / "gold.parquet").unlink()
    write_gold(run, {"q0": Gold(answer="42"), "q1": Gold(answer="40")})
    again = grade_run(run, asking, "big")
    assert (again.asked, len(again.answers)) == (2, 5)
    (run / "gold.parquet").unlink()
    write_gold(run, {"q0": Gold(answer="42"), "q1": Gold(answer="39")})
    cases = {c.query.id: c for c in load_cases(run, grade="model_verdicts(by=big)")}
    assert not cases["q1"].is_graded


def test_two_ways_to_ask_under_one_name_are_refused(run: Path) -> None:
    """Two commands may have begun at once."""
    for criterion in ("right?", "short?"):
        write_verdicts(run, "big", {"criterion": criterion}, {"q0": {"42": 1.0}})
    with pytest.raises(StoreError, match="must hold verdicts that were asked for as those"):
        load_cases(run, grade="model_verdicts(by=big)")


def test_a_question_without_a_text_is_not_asked_about(run: Path, tmp_path: Path) -> None:
    lines = [{"id": f"q{i}", "gold": "42", "samples": [{"answer": "42"}]} for i in range(2)]
    (tmp_path / "bare.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([tmp_path / "bare.jsonl"], tmp_path / "bare", grade="number")
    with pytest.raises(InputError, match="run must hold the texts of its questions"):
        grade_run(tmp_path / "bare", Model().asking, "big")


def test_verdicts_are_not_compared_with_themselves(run: Path) -> None:
    grade_run(run, Model().asking, "big")
    by = ReadingNames(grade="model_verdicts(by=big)")
    with pytest.raises(InputError, match="grade must be another one than the verdicts themselves"):
        grade_run(run, Model().asking, "big", by=by)


def test_templates_are_what_the_interval_is_over(run: Path) -> None:
    answers = [
        Answer(
            query_id=f"q{i}", cluster=f"template {i // 20}", text="7", verdict=1.0, known=i // 20
        )
        for i in range(40)
    ]
    grading = Grading(name="a", asked=0, failures={}, answers=tuple(answers))
    alone = Grading(
        name="a",
        asked=0,
        failures={},
        answers=tuple(replace(answer, cluster=answer.query_id) for answer in answers),
    )
    assert grading.agreement().mean == alone.agreement().mean == 0.5
    assert grading.agreement().high == 1.0 > alone.agreement().high


def test_tables_say_that_a_model_has_graded(run: Path) -> None:
    grade_run(run, Model().asking, "big")
    judged = "verdicts are called 'big' took for right"
    assert judged in " ".join(compare(run, "vote", grade="model_verdicts(by=big)").notes)
    assert judged in " ".join(curves_of(run, "vote", grade="model_verdicts(by=big)").notes)
    assert judged not in " ".join(compare(run, "vote").notes)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "a" * 81, "a\n"])
def test_a_name_that_is_no_file_name_is_refused(run: Path, name: str) -> None:
    with pytest.raises(InputError, match="name must be at most 80 letters"):
        read_verdicts(run, name)
    with pytest.raises(InputError, match="by must be at most 80 letters"):
        ModelVerdicts(by=name)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"asked": {}, "verdicts": {"q": {"a": 0.5}}}',
        '{"asked": {}, "verdicts": {"q": {"a": "1"}}}',
        '{"asked": {}, "verdicts": {"q": [1]}}',
        '{"asked": 3, "verdicts": {}}',
        '{"asked": {}, "verdicts": {"q": {"a": true}}}',
        '{"asked": {}, "verdicts": {}, "more": 1}',
    ],
)
def test_a_file_of_somebody_else_is_one_line(run: Path, content: str) -> None:
    write_verdicts(run, "big", {"model": "m"}, {"q0": {"42": 1.0}})
    (run / "verdicts" / "big" / "0.json").write_text(content)
    with pytest.raises(StoreError, match=r"verdicts/big/0\.json.* must hold verdicts"):
        load_cases(run, grade="model_verdicts(by=big)")


def test_a_config_cannot_grade_a_run_that_is_not_there_yet(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    (tmp_path / "q.jsonl").write_text('{"question": "?", "answer": "42"}\n')
    config.write_text(
        "name: t\ndataset: {kind: jsonl, path: q.jsonl}\nprompt: {template: '{question}'}\n"
        "model: {backend: fake}\nextract: last_number\ngrade: model_verdicts(by=big)\n"
        "cluster: {local: true}\n"
    )
    ended = CliRunner().invoke(app, ["run", str(config)])
    assert "grade must name what is known before a run" in str(ended.exception)


def test_the_command_says_what_the_verdicts_are_worth(run: Path) -> None:
    ended = CliRunner().invoke(app, ["grade", str(run), "--backend", "fake", "--name", "rehearsed"])
    assert ended.exit_code == 0, ended.output
    assert "6 asked about just now" in ended.output
    assert "answers whose worth is known: it agrees at" in ended.output
    assert "--grade \"model_verdicts(by='rehearsed')\"" in ended.output
