"""What is shown of a run: rows, questions, tokens, the tree of a search, and two runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.view.documents import overview, question_document, whole_document
from nbest.experiments.view.health import health
from nbest.experiments.view.question import tokens_shown
from nbest.experiments.view.token_texts import TokenTexts
from nbest.experiments.view.viewed_run import ViewedRun
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.choices import Sitting
from nbest.orchestrator.types import Sample, TopLogprobs

ANSWERS = ["It is 4", "Perhaps it is 5", "I cannot say"]


def drawn(folder: Path, name: str, **changes: object) -> Path:
    """A run of four questions on the fake model, whose right answer is 4 but for the last."""
    rows = [{"question": f"What is {i}?", "answer": "4" if i < 3 else "9"} for i in range(4)]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw: dict[str, Any] = {
        "name": name,
        "dataset": {"kind": "jsonl", "path": str(folder / "q.jsonl")},
        "model": {"backend": "fake", "answers": ANSWERS, "weights": [3, 2, 1]},
        "strategy": {"n": 6},
        "select": ["vote", "first"],
        "extract": "last_number",
        "grade": "number",
        "cluster": {"local": True},
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(raw))
    carry_out(make_plan(load_config(path)), folder / name, lambda progress: None)
    return folder / name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("view"), "plain")


def test_rows_account_for_every_sample(run: Path) -> None:
    rows = ViewedRun(run).rows()
    assert [row.question for row in rows] == [f"What is {i}?" for i in range(4)]
    for row in rows:
        voted = [place for vote in row.votes for place in vote.samples]
        silent = [place for one in row.silent for place in one.samples]
        assert sorted(voted + silent) == list(range(6))
        assert [vote.is_right for vote in row.votes] == [v.answer == row.gold for v in row.votes]
        assert [choice.select for choice in row.choices] == ["vote", "first"]
        assert ("right" in row.kinds()) != ("wrong" in row.kinds())
        assert ("selectors differ" in row.kinds()) == (
            len({choice.answer for choice in row.choices}) > 1
        )
    assert rows[3].is_right is False


def test_a_question_is_shown_whole(run: Path) -> None:
    viewed = ViewedRun(run)
    shown = viewed.question(viewed.query_ids[0])
    assert [sample.index for sample in shown.samples] == list(range(6))
    (chosen,) = (sample for sample in shown.samples if "first" in sample.chosen_by)
    assert chosen.index == 0
    for sample in shown.samples:
        assert sample.text.strip() in ANSWERS
        assert sample.is_right == (None if sample.answer is None else sample.answer == "4")
    assert shown.parts is not None
    assert not shown.parts_are_tokens
    assert len(shown.parts.samples) == 6
    with pytest.raises(InputError, match="question must be one of the run's, got 'nothing'"):
        viewed.question("nothing")


def test_texts_of_samples_are_found(run: Path) -> None:
    viewed = ViewedRun(run)
    rows = viewed.rows()
    with_silent = [row.id for row in rows if row.silent]
    assert viewed.holding("CANNOT") == with_silent
    assert viewed.holding("no model says this") == []


def test_documents_are_json_and_two_runs_stand_side_by_side(run: Path) -> None:
    other = drawn(run.parent, "other", seed=7)
    document = overview([ViewedRun(run), ViewedRun(other)])
    json.dumps(document, allow_nan=False)
    assert [facts["name"] for facts in document["runs"]] == ["plain", "other"]
    for row in document["rows"]:
        said = [(cell["right"], cell["answer"]) for cell in row["cells"]]
        assert ("runs differ" in row["kinds"]) == (said[0] != said[1])
    whole = whole_document([ViewedRun(run)], most=2)
    json.dumps(whole, allow_nan=False)
    assert len(whole["questions"]) == 2
    assert len(whole["rows"]) == 4


def test_a_selector_that_is_not_here_is_left_out_with_a_note(run: Path) -> None:
    viewed = ViewedRun(run, ["vote", "of_a_plugin_of_somebody"])
    assert viewed.facts.selectors == ("vote",)
    (note,) = viewed.facts.notes
    assert note.startswith("of_a_plugin_of_somebody is left out: ")


def test_what_people_chose_is_told(run: Path) -> None:
    first, second, third, fourth = ViewedRun(run).query_ids
    sitting = Sitting(run, by="ann")
    sitting.add(first, 2, (0, 1, 2), comment="units!")
    sitting.add(second, 2, (0, 1, 2), tied=(0,))
    sitting.add(third, None, (0, 1), none_right=True)
    Sitting(run).add(fourth, None, (0, 1))
    viewed = ViewedRun(run)
    assert [viewed.question(key).person for key in viewed.query_ids] == [
        "ann chose sample 2: units!",
        "ann found 0, 2 the best",
        "ann found none right",
        "a person skipped it",
    ]
    assert question_document(viewed.question(first))["person"] == "ann chose sample 2: units!"


def test_the_tree_of_a_search_says_what_was_pruned(tmp_path: Path) -> None:
    searched = drawn(
        tmp_path,
        "searched",
        model={"backend": "chains_fake", "depth": 3, "p": 0.6},
        strategy={
            "search": "beam",
            "n": 4,
            "width": 2,
            "step": {"stop": "\n", "max_tokens": 8},
            "score": "mean_logprob",
        },
        grade="none",
    )
    viewed = ViewedRun(searched)
    shown = viewed.question(viewed.query_ids[0])
    ends = {len(node.path) for node in shown.search if node.has_ended}
    assert ends
    assert any(node.chains == 0 for node in shown.search)
    roots = [node for node in shown.search if len(node.path) == 1]
    assert sum(node.chains for node in roots) == len(shown.samples)
    for node in shown.search:
        children = [n for n in shown.search if n.path[:-1] == node.path]
        assert node.has_ended or node.chains == sum(child.chains for child in children)
    json.dumps(question_document(shown), allow_nan=False)


def test_health_is_that_of_the_probabilities() -> None:
    top = np.log(np.array([[0.95, 0.03], [0.5, 0.3]], np.float32))
    sample = Sample(
        id="r/q/s0",
        text="ab",
        token_ids=(1, 2),
        logprobs=(math.log(0.95), math.log(0.3)),
        top_logprobs=TopLogprobs(k=2, packed=top.tobytes(), texts=("a", "b", "c", "d")),
    )
    found = health([sample, Sample(id="r/q/s1", text="no probabilities")])
    assert found.tokens == 2
    assert found.mean_p == pytest.approx((0.95 + 0.3) / 2)
    assert found.sure == 0.5

    def entropy(*p: float) -> float:
        return -sum(value * math.log(value) for value in p)

    expected = (entropy(0.95, 0.03, 0.02) + entropy(0.5, 0.3, 0.2)) / 2
    assert found.entropy == pytest.approx(expected, abs=1e-6)
    assert health([]).sentence() == ""
    tokens = tokens_shown(sample, TokenTexts(None))
    assert [token.text for token in tokens] == ["a", "d"]
    assert tokens[1].p == pytest.approx(0.3)
    assert tokens[1].rest == pytest.approx(0.2, abs=1e-6)
    uniform = Sample(id="r/q/s2", text="x", token_ids=(1,), logprobs=(math.log(1 / 50),))
    assert health([uniform]).mean_p == pytest.approx(1 / 50)


def test_the_terminal_shows_the_same(run: Path) -> None:
    viewed = ViewedRun(run)
    question = viewed.query_ids[0]
    listed = CliRunner().invoke(app, ["show", str(run), "--limit", "2"])
    assert listed.exit_code == 0
    assert "2 more: --limit 4" in listed.stdout
    whole = CliRunner().invoke(app, ["show", str(run), question])
    assert "right answer: 4" in whole.stdout
    assert "where the samples part, by words" in whole.stdout
    one = CliRunner().invoke(app, ["show", str(run), question, "--sample", "0"])
    assert any(text in one.stdout for text in ANSWERS)
    for arguments, message in (
        ([question, "--sample", "99"], "has no sample 99"),
        (["--only", "odd"], "only must be one of"),
        (["--sample", "1"], "question must be given"),
    ):
        wrong = CliRunner().invoke(app, ["show", str(run), *arguments])
        assert isinstance(wrong.exception, InputError)
        assert message in str(wrong.exception)
