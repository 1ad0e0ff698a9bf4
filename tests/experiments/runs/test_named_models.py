"""Selectors that ask another model than the one that samples: `judge(model=large)`."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nbest import (
    VLLM,
    BestOfN,
    Endpoint,
    FakeBackend,
    GenSelect,
    Judge,
    Likelihood,
    NamedModel,
    Reply,
    RewardModel,
    TorchReward,
    Tournament,
    UniversalVote,
    VLLMReward,
    WeightedVote,
    ask,
    open_model,
)
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.runs.selectors import named_scorer
from nbest.experiments.runs.stored_calls import NotAsked
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Outcome, Record, Request, Sample

SMALL = {"backend": "faulty_fake", "answers": ["1", "2", "3"], "weights": [1, 1, 1]}
LARGE = {"backend": "faulty_fake", "answers": ["large"], "weights": [1]}
CONFIG: dict[str, Any] = {
    "name": "t",
    "dataset": {"kind": "jsonl", "path": "questions.jsonl"},
    "prompt": {"template": "Q: {question}"},
    "model": SMALL,
    "models": {"large": LARGE},
    "strategy": {"n": 4},
    "select": ["judge(model=large)", "vote"],
    "extract": "last_number",
    "grade": "number",
    "cluster": {"local": True},
}
ON_RAY = {"engines": 2, "reward_engines": 2, "workers": 2, "cpus_per_engine": 0.1}
BOOM = "q6"
QUESTIONS = [f"q{i}" for i in range(7)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [
        {"id": name, "question": f"What is {name}?" + " boom" * (name == BOOM), "answer": "1"}
        for name in QUESTIONS
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **changes: object) -> Path:
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    return path


def carried_out(folder: Path, **changes: object) -> list[Record]:
    plan = make_plan(load_config(write(folder, **changes)))
    return carry_out(plan, folder / "run", lambda progress: None)


def calls_and_samples(folder: Path) -> tuple[dict[str, Sample], dict[str, tuple[Sample, ...]]]:
    """What scorers have asked, by key, and what was sampled, by question."""
    stored = {query: tuple(samples) for query, samples in RunReader(folder / "run").samples()}
    calls = {key: samples[0] for key, samples in stored.items() if "/" in key}
    return calls, {key: samples for key, samples in stored.items() if "/" not in key}


def require_all_asked(folder: Path, but: tuple[str, ...] = ()) -> None:
    """Every question has its samples, by the run's own model, and a reply to each different one."""
    calls, samples = calls_and_samples(folder)
    for name in QUESTIONS:
        if name in but:
            continue
        assert len(samples[name]) == 4
        assert all(sample.engine.startswith("engine") for sample in samples[name])
        about = {key: call for key, call in calls.items() if key.startswith(f"{name}/")}
        assert len(about) == len({sample.text for sample in samples[name]})
        assert all(call.engine.startswith("large-") for call in about.values())


@pytest.mark.parametrize("select", ["judge(model=large)", "likelihood(model=large, of=least)"])
def test_the_other_model_is_asked_and_kept_for_later(folder: Path, select: str) -> None:
    records = carried_out(folder, select=[select])
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    require_all_asked(folder)
    (row,) = compare(folder / "run", select).rows  # from what is stored, without an engine
    assert (row.failed, row.n_queries) == (0, len(QUESTIONS))


def test_a_part_of_a_selector_may_name_it_too(folder: Path) -> None:
    carried_out(folder, select=["weighted_vote(by=judge(model=large), transform=rank)"])
    require_all_asked(folder)


def test_the_judge_is_asked_where_all_samples_are_there(folder: Path) -> None:
    """Only the judge is started then, and only once."""
    journal = folder / "journal"
    noted = {"model": SMALL | {"journal": str(journal)}}
    carried_out(folder, **noted, models={}, select=["vote"])
    drawn = journal.read_text()
    carried_out(folder, **noted)
    assert journal.read_text() == drawn
    require_all_asked(folder)
    (row,) = compare(folder / "run", "judge(model=large)").rows
    assert row.failed == 0


def test_another_judge_under_the_name_is_asked_anew(folder: Path) -> None:
    """The samples stay: what judges them is no part of what they are."""
    carried_out(folder)
    first, samples = calls_and_samples(folder)
    carried_out(folder, models={"large": LARGE | {"answers": ["another"]}})
    both, same = calls_and_samples(folder)
    assert same == samples
    assert len(both) == 2 * len(first)
    with pytest.raises(NotAsked, match="has not asked it"):
        ask_stored(folder, "judge")


def ask_stored(folder: Path, select: str) -> None:
    """Apply a selector to the samples of a question that are stored, without an engine."""
    case = load_cases(folder / "run")[0]
    wait_for(named_scorer(select, RunReader(folder / "run"))(case.query, case.candidates))


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("killed", ["model", "large"])
def test_a_killed_engine_of_either_loses_and_mixes_up_nothing(folder: Path, killed: str) -> None:
    """The question that kills it is quarantined; all others are sampled, judged and answered."""
    harm = {"harm_on": "boom", "harm": "sigkill"}
    harmed = {"model": SMALL | harm} if killed == "model" else {"models": {"large": LARGE | harm}}
    records = carried_out(folder, **harmed, cluster=ON_RAY)
    outcomes = {record.query_id: record.outcome for record in records}
    assert outcomes.pop(BOOM) is Outcome.QUARANTINED
    assert set(outcomes.values()) == {Outcome.ANSWERED}
    require_all_asked(folder, but=(BOOM,))
    calls, samples = calls_and_samples(folder)
    ids = Counter(sample.id for drawn in (*samples.values(), calls.values()) for sample in drawn)
    assert set(ids.values()) == {1}


def test_the_bill_adds_up_by_model(folder: Path) -> None:
    write(folder)
    shown = CliRunner().invoke(app, ["run", "c.yaml", "--out", "run", "--quiet"])
    assert shown.exit_code == 0, shown.output
    line = r"^(model|large): (\d+) samples, (\d+) prompt .* (\d+) generated"
    lines = re.findall(line, shown.output, re.MULTILINE)
    calls, samples = calls_and_samples(folder)
    counts = {"model": sum(map(len, samples.values())), "large": len(calls)}
    assert {name: int(count) for name, count, *_ in lines} == counts
    usage = [record.usage for record in RunReader(folder / "run").records()]
    assert sum(int(tokens) for *_, tokens in lines) == sum(u.generated_tokens for u in usage)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"models": {}}, "no model named 'large'; there are no models"),
        ({"models": {"larg": LARGE}}, "no model named 'large'; did you mean 'larg'"),
        ({"select": ["judge(model=fake(answers=[1]))"]}, "name an entry of `models`"),
        ({"select": ["likelihood"], "models": {}}, "likelihood: model must be given"),
        ({"select": ["likelihood(model=large, of=most)"]}, "of must be 'mean', 'sum' or 'least'"),
    ],
)
def test_a_wrong_name_is_one_line(folder: Path, changes: dict[str, object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        load_config(write(folder, **changes))


def test_an_error_says_which_selector(folder: Path) -> None:
    what = r"select\[1\]: no model named 'lagre'; did you mean 'large'"
    with pytest.raises(InputError, match=what):
        load_config(write(folder, select=["vote", "judge(model=lagre)"]))


def test_a_model_may_wait_for_a_later_command(folder: Path) -> None:
    """Samples first, and the judge later, where both do not fit at once."""
    plan = make_plan(load_config(write(folder, select=["vote"])))
    assert plan.notes[-1] == "models.large is used by no arm and no selector: it is not started"
    assert not plan.named_models()


@pytest.mark.parametrize(
    "other", ["tournament(model=large)", "judge(model=large, scale=7)", "likelihood(model=large)"]
)
def test_a_later_selector_must_not_ask_what_the_first_does_not(folder: Path, other: str) -> None:
    config = load_config(write(folder, select=["judge(model=large)", other]))
    with pytest.raises(InputError, match="name a selector that asks a model first"):
        make_plan(config)


def test_a_later_selector_may_use_the_replies_to_the_first(folder: Path) -> None:
    later = "weighted_vote(by=judge(model=large), transform=rank)"
    carried_out(folder, select=["judge(model=large)", later])
    assert [row.failed for row in compare(folder / "run", f"judge(model=large),{later}").rows] == [
        0,
        0,
    ]


def test_a_run_whose_model_cannot_be_used_here_says_so_in_a_line(folder: Path) -> None:
    carried_out(folder)
    manifest = folder / "run" / "run.json"
    fields = json.loads(manifest.read_text())
    fields["config"]["models"]["large"] = {"backend": "vllm", "model": "x", "chat_template": "gone"}
    manifest.write_text(json.dumps(fields))
    what = r"^models\.large of the run cannot be used here: "
    with pytest.raises(InputError, match=what) as caught:
        compare(folder / "run", "judge(model=large)")
    assert "\n" not in str(caught.value)
    assert compare(folder / "run", "vote").rows  # needs no model


def test_a_replay_finds_what_the_model_has_said(folder: Path) -> None:
    carried_out(folder)
    rule = "adaptive(rule=reservation(cost=0.1), select=judge(model=large))"
    assert replay(folder / "run", rule, max_n=4, shuffles=5).accuracy >= 0
    with pytest.raises(InputError, match="no model named 'lagre'; did you mean 'large'"):
        replay(folder / "run", rule.replace("large", "lagre"), max_n=4, shuffles=5)


def test_only_the_first_selector_asks(folder: Path) -> None:
    with pytest.raises(InputError, match="name a selector that asks a model first"):
        make_plan(load_config(write(folder, select=["vote", "judge(model=large)"])))


def test_ask_knows_no_names() -> None:
    shown = CliRunner().invoke(app, ["ask", "What?", "--select", "judge(model=large)"])
    assert str(shown.exception) == "no model named 'large'; there are no models"


# -- from Python ----------------------------------------------------------------------------------


def drafts(request: Request) -> Reply:
    """A model that says 1, 2, 3 and so on, and refuses whatever a judge would ask."""
    index = request.id.rpartition("/s")[2]
    if len(request.id.split("/")) > 3:
        return Reply(tokens=(), error=RequestRejected("this model judges nothing"))
    return Reply(tokens=(f"{int(index) + 1}",))


def likes_three(request: Request) -> Reply:
    """A judge that finds the response 3 the best, and most likely."""
    if request.response is not None:
        return Reply(tokens=(json.dumps([-0.1 if request.response == "3" else -2.0]),))
    text = request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content
    responses = re.findall(r"Response ?(\w*)[^:\n]*:\n<<<\w+\n(.*?)\n\w+>>>", text, re.DOTALL)
    titles = [title for title, body in responses if body == "3"]
    if len(responses) == 1:
        return Reply(tokens=("5" if titles else "1",))
    return Reply(tokens=((titles or [responses[0][0]])[0], "\n"))


OTHER = NamedModel(name="large", settings=FakeBackend(script=likes_three))


@pytest.mark.parametrize("make", [Judge, Tournament, GenSelect, UniversalVote, Likelihood])
def test_a_model_without_a_name_is_refused_at_once(make: Any) -> None:
    with pytest.raises(InputError, match="model must be a NamedModel"):
        make(model=FakeBackend(script=drafts))


def test_a_model_that_rates_with_other_numbers_is_refused_at_once() -> None:
    served = Endpoint("m", base_url="http://localhost:1/v1")
    for settings in (served, VLLMReward("m"), TorchReward("m")):
        with pytest.raises(InputError, match="model must rate with log-probabilities, got "):
            Likelihood(NamedModel(name="large", settings=settings))
    for model in (VLLM("m"), served):
        with pytest.raises(InputError, match="model must rate with rewards, got "):
            RewardModel(model)
    with pytest.raises(InputError, match="transform must be rank or softmax"):
        WeightedVote(by=Likelihood(OTHER))


@pytest.mark.parametrize(
    "scorer",
    [
        Judge(model=OTHER),
        Tournament(model=OTHER),
        GenSelect(model=OTHER),
        UniversalVote(model=OTHER),
        Likelihood(OTHER),
    ],
    ids=lambda scorer: type(scorer).__name__,
)
def test_the_choice_is_the_other_models(scorer: Scorer) -> None:
    strategy = BestOfN(n=4, select=scorer)
    backend = FakeBackend(script=drafts)
    assert ask("which?", strategy, backend).answer == "3"
    with open_model(backend) as model:
        assert model.ask("which?", strategy).answer == "3"
