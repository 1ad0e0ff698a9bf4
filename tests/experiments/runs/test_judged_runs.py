"""Runs whose selector asks the model: asked once, kept, applied again without an engine."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nbest import FakeBackend, Reply, ask, run
from nbest.experiments.analysis.select import compare
from nbest.experiments.config.config import Config
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.gold_file import write_gold
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.runs.stored_calls import asks_model
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.compaction import compact
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Outcome, Query, Record, Request
from nbest.scorers.judges.gen_select import GenSelect
from nbest.scorers.judges.judge import Judge
from nbest.scorers.judges.tournament import Tournament
from nbest.scorers.judges.universal_vote import UniversalVote

QUERIES = tuple(Query(id=f"q{i}", prompt=f"question {i}") for i in range(4))
CONFIG = {"extract": "whole_text", "grade": "exact", "select": ["judge"]}
N = 6
BODY = re.compile(r"Response ?(\w*)[^:\n]*:\n<<<\w+\n(.*?)\n\w+>>>", re.DOTALL)


@dataclass(frozen=True)
class Judging:
    """A model that says 40, 41 or 42, mostly wrong, and as a judge likes the largest number."""

    refuses: str = "nothing"

    def __call__(self, request: Request) -> Reply:
        prompt = request.prompt if isinstance(request.prompt, str) else request.prompt[0].content
        if self.refuses in prompt:
            return Reply(tokens=(), error=RequestRejected("too long"))
        numbers = {title: int(text) for title, text in BODY.findall(prompt)}
        if not numbers:
            index = int(request.id.rpartition("/s")[2])
            text = "42" if index == 4 else str(40 + index % 2)
            return Reply(tokens=(text,))
        best = max(numbers, key=numbers.__getitem__)
        return Reply(tokens=(best or str(numbers[""] - 38), "\n"))


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What one command did."""

    records: list[Record]
    drawn: int  # samples that an engine made for it


def answer(folder: Path, select: Scorer, script: Judging, n: int = N) -> Answered:
    """Answer the questions without an answer in the run of a folder, as one command does."""
    strategy = BestOfN(n=n, select=select)
    work = Work(run="t", seed=3, strategy=strategy, directory=str(folder))
    reports: list[Progress] = []
    with open_run(folder, fingerprint={}, config=CONFIG, queries=QUERIES) as opened:
        write_gold(folder, {query.id: Gold(answer="42") for query in QUERIES})
        done = opened.done(repr(strategy))
        queries = [query for query in QUERIES if query.id not in done]
        job = Job(work=work, backend=FakeBackend(script=script), queries=queries)
        records = wait_for(run_here(job, reports.append))
        opened.compact()
    return Answered(records=records, drawn=reports[-1].samples_drawn)


SELECTORS = (
    Judge(),
    Tournament(),
    Tournament(kind="league"),
    Tournament(kind="bradley_terry", by="answer"),
    Tournament(kind="pivots"),
    UniversalVote(),
    GenSelect(),
    GenSelect(window=2, rotations=2),
)


@pytest.mark.parametrize("scorer", SELECTORS, ids=repr)
def test_the_model_is_asked_and_its_choice_is_taken(scorer: Scorer) -> None:
    selection = ask("which?", BestOfN(n=N, select=scorer), FakeBackend(script=Judging()))
    assert selection.answer == "42"
    assert len(selection.samples) == N
    assert selection.confidence == pytest.approx(1 / N)
    (record,) = run(QUERIES[:1], BestOfN(n=N, select=scorer), FakeBackend(script=Judging()))
    assert record.usage.samples == N + scorer.num_calls(3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["judge", "gen_select", 'tournament(kind="league")', "universal_vote"]
)
def test_what_was_asked_is_kept_and_chosen_from_again(name: str, tmp_path: Path) -> None:
    scorer = build_scorer(name)
    records = answer(tmp_path / "run", scorer, Judging()).records
    assert [r.outcome for r in records] == [Outcome.ANSWERED] * 4
    vote, row, first = compare(tmp_path / "run", f"vote,{name},first").rows
    assert (row.accuracy, row.failed, row.n_queries, row.n_samples) == (1.0, 0, 4, 4 * N)
    assert vote.n_samples == first.n_samples == 4 * N
    assert vote.tokens == first.tokens == 4 * N
    stored = [s for _, samples in RunReader(tmp_path / "run").samples() for s in samples]
    generated = sum(s.generated_tokens for s in stored)
    assert row.tokens == generated == sum(r.usage.generated_tokens for r in records)
    cases = load_cases(tmp_path / "run")
    assert [case.query.id for case in cases] == [query.id for query in QUERIES]


def test_a_second_command_asks_nothing_again_and_a_larger_one_only_what_is_new(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    assert answer(folder, Judge(), Judging(), n=4).drawn == 4 * (4 + 2)  # 40 and 41
    assert answer(folder, Judge(), Judging(), n=4).drawn == 0
    larger = answer(folder, Judge(), Judging(), n=N)  # two more samples, of which one is 42
    assert larger.drawn == 4 * (2 + 1)
    compact(RunFolder(folder))
    again = answer(folder, Judge(), Judging(), n=5)  # another strategy over the same samples
    assert again.drawn == 0
    assert {r.answer for r in RunReader(folder).records() if "n=4" in r.strategy} == {"41"}
    assert compare(folder, "judge").rows[0].accuracy == 1.0


def test_what_was_not_asked_is_told_with_what_to_do(tmp_path: Path) -> None:
    answer(tmp_path / "run", build_scorer("vote"), Judging())
    with pytest.raises(InputError) as caught:
        compare(tmp_path / "run", "vote,judge")
    assert str(caught.value) == (
        "judge needs a model to ask, and this run has not asked it about 'q0': `nbest run` with "
        "this selector first in `select` does"
    )


def test_a_question_that_was_not_asked_about_is_the_selectors_failure(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    answer(folder, build_scorer("vote"), Judging())
    strategy = BestOfN(n=N, select=Judge())
    work = Work(run="t", seed=3, strategy=strategy, directory=str(folder))
    job = Job(work=work, backend=FakeBackend(script=Judging()), queries=QUERIES[:3])
    with open_run(folder, fingerprint={}, config=CONFIG, queries=QUERIES):
        wait_for(run_here(job, lambda progress: None))
    (row,) = compare(folder, "judge").rows
    assert (row.n_queries, row.failed) == (3, 1)
    assert "has not asked it about 'q3'" in row.failure


def test_a_call_that_failed_in_the_run_has_failed_in_what_is_stored(tmp_path: Path) -> None:
    """The table of a run shows what the run has done."""
    folder = tmp_path / "run"
    records = answer(folder, Judge(), Judging(refuses="\n42\n")).records
    assert {r.answer for r in records} == {"41"}
    (row,) = compare(folder, "judge").rows
    assert (row.accuracy, row.failed, row.abstained) == (0.0, 0, 0)


def config(*select: str, dataset: Path) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "dataset": {"kind": "jsonl", "path": str(dataset)},
            "model": {"backend": "fake"},
            "select": list(select),
            "extract": "whole_text",
            "cluster": {"local": True},
        }
    )


def test_only_the_first_selector_of_a_run_can_ask(tmp_path: Path) -> None:
    dataset = tmp_path / "d.jsonl"
    dataset.write_text('{"id": "q0", "question": "?", "answer": "42"}\n')
    make_plan(config("judge", "vote", dataset=dataset))
    for last in ("judge", "weighted_vote(by=judge)"):
        with pytest.raises(InputError) as caught:
            make_plan(config("vote", last, dataset=dataset))
        rule = "select must name a selector that asks a model first, for only the first can ask"
        assert str(caught.value) == f"{rule}, got {last!r} after 'vote'"


def test_who_asks() -> None:
    assert asks_model(build_scorer("tournament"))
    assert asks_model(build_scorer("weighted_vote(by=judge)"))
    assert not asks_model(build_scorer("weighted_vote(by=mean_logprob, transform=rank)"))


def test_a_complete_run_gets_its_judge_by_the_same_command(tmp_path: Path) -> None:
    """All samples are there, and still an engine is needed; after that, none is."""
    dataset = tmp_path / "d.jsonl"
    rows = (f'{{"id": "q{i}", "question": "question {i}", "answer": "42"}}\n' for i in range(4))
    dataset.write_text("".join(rows))
    reports: list[Progress] = []

    def carried_out(*select: str) -> list[Record]:
        plan = make_plan(config(*select, dataset=dataset))
        strategy = replace(plan.strategy, n=N)
        backend = FakeBackend(script=Judging())
        reports.clear()
        ready = replace(plan, strategy=strategy, backend=backend)
        return carry_out(ready, tmp_path / "run", reports.append)

    assert {r.answer for r in carried_out("vote", "first")} == {"41"}
    assert {r.answer for r in carried_out("judge", "vote")} == {"42"}
    assert (reports[-1].samples_reused, reports[-1].samples_drawn) == (4 * N, 4 * 3)
    assert reports[-1].answers_drawn == 0  # they were calls of the judge
    assert {r.answer for r in carried_out("judge", "vote")} == {"42"}
    assert reports == []  # no engine


def test_the_parameters_of_a_judge_are_settings() -> None:
    text = 'judge(repeats=3, params={"temperature": 1.0, "max_tokens": 4})'
    judge = build_scorer(text)
    assert judge == Judge(repeats=3, params=SamplingParams(temperature=1.0, max_tokens=4))
