"""`nbest select` from Python: stored samples in, rows out, and no engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from nbest import FakeBackend, LastNumber, MajorityVote, SeededAnswers
from nbest.experiments.analysis.paired import paired_sentences
from nbest.experiments.analysis.select import compare
from nbest.experiments.analysis.table.rows import GradedChoice, Row
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.gold_file import write_gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.format.manifest import Json, new_manifest
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Outcome, Query

CONFIG: Mapping[str, Json] = {"extract": "last_number", "grade": "number", "select": ["vote"]}
SCRIPT = SeededAnswers(answers=("it is 42", "41", "no idea"), weights=(2, 1, 1))
QUERIES = tuple(Query(id=f"q{i}", prompt=f"question {i}") for i in range(8))
N = 5


def silent(progress: Progress) -> None:
    """No display."""


def complete_run(
    folder: Path, config: Mapping[str, Json] = CONFIG, logprobs: int | None = 0
) -> Path:
    """A complete run: eight questions, five samples each, 42 being right."""
    run = folder / "run"
    strategy = BestOfN(
        n=N,
        select=MajorityVote(),
        extract=LastNumber(),
        params=SamplingParams(logprobs=logprobs),
    )
    work = Work(run="t", seed=3, strategy=strategy, directory=str(run))
    job = Job(work=work, backend=FakeBackend(script=SCRIPT), queries=QUERIES)
    with open_run(run, fingerprint={}, config=config, queries=QUERIES):
        write_gold(run, {query.id: Gold(answer="42") for query in QUERIES})
        wait_for(run_here(job, silent))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete_run(tmp_path_factory.mktemp("select"))


def test_rows_come_in_the_order_asked_for_under_the_names_asked_for(run: Path) -> None:
    comparison = compare(run, "first, vote,random(seed=3), mean_logprob,shortest")
    names = [row.select for row in comparison.rows]
    assert names == ["first", "vote", "random(seed=3)", "mean_logprob", "shortest"]
    assert [row.select for row in comparison.baselines] == ["one sample (mean)", "any of 5 right"]
    for row in comparison.rows:
        assert (row.n_queries, row.n_samples, row.tokens) == (8, 8 * N, 8 * N)


def test_the_vote_chooses_what_the_run_itself_chose(run: Path) -> None:
    """The same samples, the same selector, the same answers: once with an engine, once without."""
    records = RunReader(run).records()
    right = sum(record.answer == "42" for record in records)
    (row,) = compare(run, "vote").rows
    assert row.accuracy == right / 8
    assert row.abstained == sum(record.outcome is Outcome.ABSTAINED for record in records)


def test_twice_the_same_question_twice_the_same_rows(run: Path) -> None:
    assert compare(run, "vote,random,first") == compare(run, "vote,random,first")


def test_settings_of_a_selector_change_what_it_chooses(run: Path) -> None:
    rows = compare(run, ",".join(f"random(seed={seed})" for seed in range(8))).rows
    assert len({row.accuracy for row in rows}) > 1


def test_the_extractor_and_the_grader_are_the_runs_own_unless_given(run: Path) -> None:
    own = compare(run, "first").rows[0]
    named = compare(run, "first", extract="last_number", grade="number").rows[0]
    assert named == own
    whole = compare(run, "first", extract="whole_text", grade="exact").rows[0]
    assert whole.accuracy == 0.0  # "it is 42" is not "42"
    assert whole.abstained == 0  # "no idea" is a text
    ungraded = compare(run, "first", grade="none").rows[0]
    assert ungraded.as_json()["accuracy"] is None


def test_cases_hold_the_samples_of_the_run_in_order(run: Path) -> None:
    cases = load_cases(run)
    assert [case.query for case in cases] == list(QUERIES)
    for case in cases:
        ids = [sample.id for sample in case.candidates.samples]
        assert ids == [f"t/{case.query.id}/s{i}" for i in range(N)]


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ("votes", "no selector named 'votes'; did you mean 'vote'?"),
        ("vote,random(sed=1)", "random: sed: no such key; did you mean 'seed'?"),
        ("", "must look like name or name(key=value), got ''"),
    ],
)
def test_a_wrong_selector_is_told_before_samples_are_read(
    selectors: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(new_manifest({}, {}).to_json())
    with pytest.raises(InputError) as caught:
        compare(tmp_path, selectors)
    assert str(caught.value) == message


def test_a_folder_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^run directory must hold a run\.json"):
        compare(tmp_path, "vote")


@pytest.mark.parametrize("key", ["extract", "grade"])
def test_a_run_whose_config_does_not_say_needs_to_be_told(key: str, tmp_path: Path) -> None:
    run = complete_run(tmp_path, {k: v for k, v in CONFIG.items() if k != key})
    with pytest.raises(InputError) as caught:
        compare(run, "vote")
    rule = f"{key} must be given with --{key}: the run's config has none"
    assert str(caught.value) == rule
    option = {key: str(CONFIG[key])}
    assert compare(run, "vote", **option).rows[0].n_queries == 8


def test_a_run_without_samples_is_told_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with open_run(run, fingerprint={}, config=CONFIG, queries=QUERIES):
        pass
    with pytest.raises(InputError) as caught:
        compare(run, "vote")
    assert str(caught.value) == f"run must hold samples to select from, {str(run)!r} has none yet"


def test_a_run_without_log_probabilities_says_so(tmp_path: Path) -> None:
    run = complete_run(tmp_path, logprobs=None)
    with pytest.raises(InputError, match=r"^mean_logprob needs log-probabilities"):
        compare(run, "vote,mean_logprob")
    assert len(compare(run, "vote,shortest").rows) == 2


def test_a_process_that_only_reads_ends_well(run: Path) -> None:
    """Threads of Arrow's that begin as the process ends would abort it: two times of five here."""
    program = f"from nbest.experiments.runs.gold_file import read_gold; read_gold({str(run)!r})"
    for _ in range(10):
        process = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (process.returncode, process.stderr) == (0, "")


def test_no_engine_and_no_cluster_is_imported(run: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from nbest.experiments.analysis.select import compare
compare(Path({str(run)!r}), "vote,mean_logprob,random,first")
print(sorted({{"ray", "torch", "vllm", "transformers", "reasoning_gym"}} & set(sys.modules)))
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert process.stdout == "[]\n"


def row(name: str, verdicts: dict[str, float]) -> Row:
    return Row(
        select=name,
        accuracy=0.5,
        low=0.0,
        high=1.0,
        abstained=0,
        n_queries=len(verdicts),
        n_samples=4,
        tokens=0,
        seconds=0.0,
        choices=tuple(GradedChoice(q, "7", 1.0, v) for q, v in verdicts.items()),
    )


def test_selectors_are_compared_on_the_questions_that_both_have() -> None:
    first = row("vote", {f"q{q}": float(q % 2) for q in range(40)})
    better = row("reward", {f"q{q}": 1.0 for q in range(10, 50)})
    (sentence,) = paired_sentences([first, better])
    assert sentence.startswith("reward: +50.0 points over vote (+27.5 to +66.2, the same 30 ")
    assert sentence.endswith("questions; McNemar p = 3.1e-05)")
    assert paired_sentences([first, row("none", {})]) == []
    assert paired_sentences([first]) == []
