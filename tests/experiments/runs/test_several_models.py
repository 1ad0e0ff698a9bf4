"""Several models in one run: each draws its arms, is started and billed for itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nbest import Arm, BestOfN, First, MajorityVote, NamedModel, Panel, Query, ask, open_model, run
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.errors import InputError, RunChanged
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Candidates, Outcome, Record, Request, Scores

SMALL = {"backend": "faulty_fake", "answers": ["small 1", "small 2"], "weights": [1, 1]}
LARGE = {"backend": "faulty_fake", "answers": ["large 1", "large 3"], "weights": [1, 1]}
CONFIG: dict[str, Any] = {
    "name": "t",
    "dataset": {"kind": "jsonl", "path": "questions.jsonl"},
    "prompt": {"template": "Q: {question}"},
    "model": SMALL,
    "models": {"large": LARGE},
    "arms": [{"name": "s"}, {"name": "l", "model": "large", "weight": 2}],
    "strategy": {"n": 6},
    "extract": "last_number",
    "grade": "number",
    "cluster": {"local": True},
}
ON_RAY = {"engines": 2, "reward_engines": 2, "workers": 2, "cpus_per_engine": 0.1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = [*(f"What is {i}?" for i in range(8)), "boom?"]
    rows = [{"id": f"q{i}", "question": text, "answer": "1"} for i, text in enumerate(names)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def carried_out(folder: Path, **changes: object) -> list[Record]:
    (folder / "c.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    plan = make_plan(load_config(folder / "c.yaml"))
    return carry_out(plan, folder / "run", lambda progress: None)


def require_right_models(folder: Path, but: tuple[str, ...] = ()) -> None:
    """Every question has all samples, each drawn by the model of its arm and by an engine of it."""
    samples = dict(RunReader(folder / "run").samples())
    for i in range(9):
        if (query := f"q{i}") in but:
            continue
        drawn = samples[query]
        assert Counter(sample.arm for sample in drawn) == {"s": 2, "l": 4}
        for sample in drawn:
            assert sample.text.startswith("large" if sample.arm == "l" else "small")
            assert sample.engine.startswith("large-" if sample.arm == "l" else "engine")


def test_each_model_draws_its_arms_in_one_process(folder: Path) -> None:
    records = carried_out(folder)
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    require_right_models(folder)


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_each_model_draws_its_arms_on_ray(folder: Path) -> None:
    records = carried_out(folder, cluster=ON_RAY)
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    require_right_models(folder)


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("killed", ["model", "large"])
def test_a_killed_engine_of_either_model_loses_and_mixes_up_nothing(
    folder: Path, killed: str
) -> None:
    """The question that kills it is quarantined; all others have all of their samples."""
    harm = {"harm_on": "boom", "harm": "sigkill"}
    models = {"model": SMALL, "models": {"large": LARGE}}
    harmed = {"model": SMALL | harm} if killed == "model" else {"models": {"large": LARGE | harm}}
    records = carried_out(folder, **(models | harmed), cluster=ON_RAY)
    outcomes = {record.query_id: record.outcome for record in records}
    assert outcomes.pop("q8") is Outcome.QUARANTINED
    assert set(outcomes.values()) == {Outcome.ANSWERED}
    require_right_models(folder, but=("q8",))


def test_another_model_under_a_name_is_another_run(folder: Path) -> None:
    carried_out(folder)
    other = LARGE | {"answers": ["large 1", "large 4"]}
    with pytest.raises(RunChanged, match=r"arms\.l\.model"):
        carried_out(folder, models={"large": other})


def test_a_run_that_has_all_samples_starts_no_model(folder: Path) -> None:
    journal = folder / "journal"
    noted = {"model": SMALL, "models": {"large": LARGE | {"journal": str(journal)}}}
    carried_out(folder, **noted)
    calls = journal.read_text()
    assert calls
    carried_out(folder, **noted, select=["first"])
    assert journal.read_text() == calls


def test_the_bill_adds_up_by_model(folder: Path) -> None:
    (folder / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    shown = CliRunner().invoke(app, ["run", "c.yaml", "--out", "run", "--quiet"])
    assert shown.exit_code == 0, shown.output
    line = r"^(model|large): (\d+) samples, (\d+) prompt .* (\d+) generated"
    lines = re.findall(line, shown.output, re.MULTILINE)
    assert [(name, count) for name, count, *_ in lines] == [("model", "18"), ("large", "36")]
    records = RunReader(folder / "run").records()
    assert sum(int(tokens) for *_, tokens in lines) == sum(
        record.usage.generated_tokens for record in records
    )


STAGED: dict[str, Any] = {
    "arms": [{"name": "s"}, {"name": "l", "model": "large"}],
    "strategy": {"cascade": [{"n": 4, "min_confidence": 0.75}, {"n": 3}]},
}


def test_a_cascade_asks_the_larger_model_where_the_small_one_is_not_sure(folder: Path) -> None:
    records = carried_out(folder, **STAGED)
    drawn = dict(RunReader(folder / "run").samples())
    sizes = Counter()
    for record in records:
        samples = drawn[record.query_id]
        first = Counter(sample.text for sample in samples[:4])
        is_sure = max(first.values()) >= 3
        arms = ["s"] * 4 if is_sure else ["s"] * 4 + ["l"] * 3
        assert [sample.arm for sample in samples] == arms
        assert all(sample.text.startswith("large") for sample in samples[4:])
        sizes[len(samples)] += 1
    assert set(sizes) == {4, 7}


def test_a_cascade_that_has_ended_starts_no_model_and_another_threshold_draws_on(
    folder: Path,
) -> None:
    journal = folder / "journal"
    noted = STAGED | {"models": {"large": LARGE | {"journal": str(journal)}}}
    carried_out(folder, **noted)
    calls = journal.read_text()
    carried_out(folder, **noted, select=["vote", "first"])
    assert journal.read_text() == calls
    stricter = {"cascade": [{"n": 4, "min_confidence": 1.0}, {"n": 3}]}
    carried_out(folder, **noted | {"strategy": stricter})
    assert len(journal.read_text().splitlines()) > len(calls.splitlines())
    for query, samples in RunReader(folder / "run").samples():
        agree = len({sample.text for sample in samples[:4]}) == 1
        assert len(samples) == (4 if agree else 7), query


@dataclass(frozen=True)
class FailsAtOne(MajorityVote):
    """A user's own vote that cannot read one question."""

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if query.id == "q3":
            raise ValueError("not this one")
        return await MajorityVote.__call__(self, query, candidates)


@pytest.mark.parametrize("times", [1, 2])
def test_a_selector_that_fails_at_one_question_costs_no_other(folder: Path, times: int) -> None:
    (folder / "c.yaml").write_text(yaml.safe_dump(CONFIG | STAGED))
    plan = make_plan(load_config(folder / "c.yaml"))
    plan = replace(plan, strategy=replace(plan.strategy, select=FailsAtOne()))
    for _ in range(times):
        records = {r.query_id: r for r in carry_out(plan, folder / "run", lambda progress: None)}
    assert "not this one" in records.pop("q3").error
    assert {record.outcome for record in records.values()} == {Outcome.ANSWERED}


def test_a_panel_in_turns_is_another_run_than_a_cascade(folder: Path) -> None:
    """Two turns of one arm and one of the other are also the first turns of a cascade."""
    turns = {"arms": [{"name": "s", "weight": 2}, {"name": "l", "model": "large"}]}
    carried_out(folder, **turns)
    staged = {"strategy": {"cascade": [{"n": 2, "min_confidence": 1.0}, {"n": 4}]}}
    with pytest.raises(RunChanged, match="stages"):
        carried_out(folder, **STAGED | staged)


def test_the_last_stage_of_a_cascade_may_grow(folder: Path) -> None:
    carried_out(folder, **STAGED)
    larger = {"cascade": [{"n": 4, "min_confidence": 0.75}, {"n": 5}]}
    carried_out(folder, **STAGED | {"strategy": larger})
    sizes = {len(samples) for _, samples in RunReader(folder / "run").samples()}
    assert sizes == {4, 9}
    other = {"cascade": [{"n": 5, "min_confidence": 0.75}, {"n": 5}]}
    with pytest.raises(RunChanged, match="turns"):
        carried_out(folder, **STAGED | {"strategy": other})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (STAGED | {"arms": [{}]}, r"strategy\.cascade must have 1 stages, one an arm, got 2"),
        (
            {"select": ["ensemble(by=[vote, arm_weight(weights={s: 1})])"]},
            r"select\[0\]: arm_weight: weights must name all arms \(s, l\)",
        ),
        (STAGED | {"arms": [{}, {"weight": 2}]}, "weight must be left out where arms have stages"),
        ({"models": {}}, r"arms\[1\]\.model: no model named 'large'; there are no models"),
        ({"models": {"larg": LARGE}}, "no model named 'large'; did you mean 'larg'"),
        ({"models": {"large": {"backend": "fak"}}}, r"models\.large\.backend"),
        ({"models": {"a-b": LARGE}}, r"models"),
    ],
)
def test_wrong_models_are_one_line(folder: Path, changes: dict[str, object], what: str) -> None:
    (folder / "c.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    with pytest.raises(InputError, match=what):
        load_config(folder / "c.yaml")


def says(text: str) -> FakeBackend:
    def script(request: Request) -> Reply:
        return Reply(tokens=(text,), token_s=0.001)

    return FakeBackend(script=script)


PANEL = Panel(
    arms=(Arm(name="own"), Arm(name="other", model=NamedModel(name="big", settings=says("big"))))
)


def test_from_python_too() -> None:
    strategy = BestOfN(n=4, select=First())
    selection = ask("What?", strategy, says("small"), panel=PANEL)
    assert [sample.text for sample in selection.samples] == ["small", "big"] * 2
    (record,) = run([Query(id="q", prompt="?")], strategy, says("small"), panel=PANEL)
    assert record.selection is not None
    assert [sample.engine for sample in record.selection.samples] == ["engine0", "big-0"] * 2
    with open_model(says("small")) as model:
        for _ in range(2):
            asked = model.ask("What?", BestOfN(n=4, select=MajorityVote()), panel=PANEL)
            assert [sample.text for sample in asked.samples] == ["small", "big"] * 2
