"""Pools made elsewhere: imported whole, chosen from, drawn as exact curves."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest import WeightedVote
from nbest.experiments.analysis.case_notes import curve_notes
from nbest.experiments.analysis.curves.exact import (
    Curve,
    curve_of,
    graded_cases,
    values_of,
    vote_curves,
)
from nbest.experiments.analysis.curves.of_run import (
    Curves,
    curves_of,
    json_rows,
    powers_of_two,
    sampling_notes,
)
from nbest.experiments.analysis.curves.of_selectors import scored_pools, selector_curves
from nbest.experiments.analysis.curves.sampled import chosen_one_by_one, sampled_curves
from nbest.experiments.analysis.curves.view import curve_table, plot_curves
from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.pools import numbers
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.errors import InputError, NbestError, RunChanged
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Candidates, Query, Scores, Status
from nbest.scorers.estimators.weighted_at_k import weighted_choices
from nbest.scorers.votes.majority import vote_shares

SHARED = Path(__file__).parents[4] / "shared" / "data" / "pools"

POOL = [
    {
        "id": "a/1",
        "gold": "7",
        "prompt": "3 + 4 =",
        "samples": [
            {"answer": "7", "tokens": 5, "scores": {"rm": 0.9}},
            {"answer": "8", "tokens": 6, "scores": {"rm": 0.1}},
            {"answer": None, "tokens": 99},
            {"text": "7", "logprobs": [-0.5, -1.5], "finish_reason": "stop"},
        ],
    },
    {
        "id": "a/2",
        "gold": "9",
        "samples": [
            {"answer": "1", "tokens": 1, "scores": {"rm": None}},
            {"answer": "9", "tokens": 2, "scores": {"rm": 0.7}},
            {"answer": "1", "tokens": 3, "scores": {"rm": 0.2}},
            {"answer": "1", "tokens": 4, "finish_reason": "length"},
        ],
    },
]


def write(file: Path, lines: list[object]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    import_pool([write(tmp_path / "pool.jsonl", POOL)], tmp_path / "run", grade="number")
    return tmp_path / "run"


def test_every_sample_is_kept_as_it_was(run: Path) -> None:
    stored = dict(RunReader(run).samples())
    one, two = stored["a/1"], stored["a/2"]
    assert [sample.text for sample in one] == ["7", "8", "", "7"]
    assert [sample.status for sample in one] == [
        Status.OK,
        Status.OK,
        Status.UNPARSEABLE,
        Status.OK,
    ]
    assert [sample.generated_tokens for sample in one] == [5, 6, 99, 2]
    assert one[3].logprobs == (-0.5, -1.5)
    assert two[3].status is Status.TRUNCATED
    scores = RunReader(run).scores("rm")
    assert scores["a/1"] == {0: 0.9, 1: 0.1}
    assert math.isnan(scores["a/2"][0])


def test_any_selector_chooses_from_it_and_stored_scores_are_one(run: Path) -> None:
    vote, score, weighted = compare(
        run, 'vote,score(name="rm"),weighted_vote(by=score(name="rm"))'
    ).rows
    assert (vote.accuracy, score.accuracy, weighted.accuracy) == (0.5, 1.0, 1.0)
    assert vote.tokens == 5 + 6 + 99 + 2 + 1 + 2 + 3 + 4
    (row,) = compare(run, 'score(name="other")').rows
    assert "which the run holds (rm), got 'other'" in row.failure


def test_the_same_again_changes_nothing_and_another_pool_is_refused(
    run: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.parquet")}
    import_pool([tmp_path / "pool.jsonl"], run, grade="number")
    assert {path: path.read_bytes() for path in run.rglob("*.parquet")} == before
    other = write(tmp_path / "other.jsonl", POOL[:1])
    with pytest.raises(RunChanged, match="holds another pool; take another --out"):
        import_pool([other], run)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "q"', r"pool.jsonl:1: is no JSON: "),
        ('{"samples": [{"answer": "1"}]}', r"pool.jsonl:1: id must be given, got nothing"),
        ('{"id": "q"}', r"pool.jsonl:1: samples must be given, got nothing"),
        (
            '{"id": "q", "samples": [{"anwser": "1"}]}',
            r"samples.0.anwser: no such key \(docs",
        ),
        (
            '{"id": "q", "samples": [{"answer": [7]}]}',
            r"samples\[0\].answer must be text",
        ),
        ('{"id": "q", "samples": [{"tokens": -1}]}', r"tokens must be at least 0, got -1"),
        ('{"id": "", "samples": [{"answer": "1"}]}', r"id must not be empty"),
        ('{"id": "\\ud800", "samples": []}', r"id must be valid Unicode"),
        ("[]", r"pool.jsonl:1: must be a JSON object, got \[\]"),
        (
            '{"id": "q", "samples": [{"finish_reason": "vanished"}]}',
            "one of .*got 'vanished'",
        ),
        ('{"id": "q", "samples": [{"logprobs": [0.5]}]}', "logprobs must be finite and at most 0"),
        ('{"id": "q", "samples": [{"logprobs": [NaN]}]}', "logprobs must be finite and at most 0"),
        ('{"id": "q", "samples": [{"tokens": 1, "logprobs": [-1, -2]}]}', "one a token, 1, got 2"),
        ('{"id": "q", "samples": [{"scores": {"rm": Infinity}}]}', "scores must be finite"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    line: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "pool.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        import_pool([file], tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (None, Status.OK),
        ("STOP", Status.OK),
        ("tool_calls", Status.OK),
        ("MAX_TOKENS", Status.TRUNCATED),
        ("model_length", Status.TRUNCATED),
        ("SAFETY", Status.ERROR),
        ("content_filter", Status.ERROR),
        ("abort", Status.CANCELLED),
    ],
)
def test_only_what_ended_well_votes(word: str | None, status: Status, tmp_path: Path) -> None:
    line = {"id": 0, "gold": 42, "samples": [{"answer": 42, "finish_reason": word}]}
    import_pool([write(tmp_path / "pool.jsonl", [line])], tmp_path / "run")
    ((query_id, (sample,)),) = RunReader(tmp_path / "run").samples()
    assert (query_id, sample.text, sample.status) == ("0", "42", status)


def test_what_python_writes_of_a_broken_text_is_read(tmp_path: Path) -> None:
    line = {"id": "q", "samples": [{"text": "half \ud800", "answer": "7"}, {"text": "8"}]}
    import_pool(
        [write(tmp_path / "pool.jsonl", [line, {"id": "r", "samples": []}])], tmp_path / "r"
    )
    ((_, samples),) = RunReader(tmp_path / "r").samples()
    assert [sample.text for sample in samples] == ["half \ufffd", "8"]


def test_other_mistakes_are_one_line(tmp_path: Path) -> None:
    twice = write(tmp_path / "twice.jsonl", [POOL[0], POOL[0]])
    with pytest.raises(InputError, match=r"twice.jsonl:2: id must be new, got 'a/1' of .*:1"):
        import_pool([twice], tmp_path / "run")
    with pytest.raises(InputError, match="pool must be a file of JSON lines"):
        import_pool([tmp_path / "nowhere"], tmp_path / "run")
    with pytest.raises(InputError, match="must hold a line a question, got none"):
        import_pool([write(tmp_path / "empty.jsonl", [])], tmp_path / "run")
    with pytest.raises(InputError, match="no grader named 'nope'"):
        import_pool([twice], tmp_path / "run", grade="nope")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(InputError, match="must be UTF-8, got byte 255"):
        import_pool([tmp_path / "bytes"], tmp_path / "run")


def by_hand(answers: list[str | None], scores: list[float], k: int) -> tuple[float, float]:
    """Accuracy of a vote and of the best scored among k, every subset one by one; right is "r"."""
    votes, best = [], []
    for subset in combinations(range(len(answers)), k):
        counts = Counter(answers[i] for i in subset if answers[i] is not None)
        most = [a for a, count in counts.items() if count == max(counts.values())]
        votes.append(most.count("r") / len(most) if most else 0.0)
        answered = [i for i in subset if answers[i] is not None]
        top = [i for i in answered if scores[i] == max(scores[j] for j in answered)]
        best.append(np.mean([answers[i] == "r" for i in top]) if top else 0.0)
    return float(np.mean(votes)), float(np.mean(best))


answer = st.sampled_from(["r", "r", "x", "y", None])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(answer, st.sampled_from([0.0, 1.0, 2.0])), min_size=5, max_size=7))
def test_curves_are_means_over_all_subsets(
    tmp_path_factory: pytest.TempPathFactory, pool: list[tuple[str | None, float]]
) -> None:
    folder = tmp_path_factory.mktemp("curves")
    samples = [{"answer": a, "scores": {"s": score}} for a, score in pool]
    lines: list[object] = [
        {"id": "q0", "gold": "r", "samples": samples},
        {"id": "q1", "gold": "r", "samples": samples[::-1]},
    ]
    import_pool([write(folder / "pool.jsonl", lines)], folder / "run")
    curves = curves_of(folder / "run", 'vote,score(name="s"),first')
    answers, scores = [a for a, _ in pool], [score for _, score in pool]
    for k in range(1, len(pool) + 1):
        vote, best = by_hand(answers, scores, k)
        assert curves.curves[0].mean[k - 1] == pytest.approx(vote, abs=1e-9)
        assert curves.curves[1].mean[k - 1] == pytest.approx(best, abs=1e-9)
        # The first one that holds an answer, whichever of those it is.
        silent = math.comb(answers.count(None), k) / math.comb(len(answers), k)
        answered = len(answers) - answers.count(None)
        share = (1 - silent) * answers.count("r") / answered if answered else 0.0
        assert curves.curves[2].mean[k - 1] == pytest.approx(share)
        anyone = 1 - math.comb(len(answers) - answers.count("r"), k) / math.comb(len(answers), k)
        assert curves.baselines[1].mean[k - 1] == pytest.approx(anyone, abs=1e-9)


def test_what_has_no_closed_form_is_a_mean_over_random_subsets(run: Path, tmp_path: Path) -> None:
    name = 'weighted_vote(by=shortest, transform="rank")'
    curves = curves_of(run, name, [1, 2, 4])
    again = curves_of(run, name, [1, 2, 4])
    assert json_rows(curves) == json_rows(again)  # to the digit
    one = (curves.curves[0].mean[0], curves_of(run, "vote").curves[0].mean[0])
    assert one[0] == pytest.approx(one[1])  # so few that all of them are looked at
    whole = compare(run, name).rows[0].accuracy
    assert curves.curves[0].mean[3] == pytest.approx(whole)
    assert math.isnan(curves.curves[0].mean[2])  # nobody asked for it


def many(folder: Path, questions: int, samples: int) -> Path:
    """A pool in which one answer in two is right, with some that hold none."""
    rng = np.random.default_rng(4)
    lines: list[object] = [
        {
            "id": f"q{q}",
            "gold": "r",
            "samples": [
                {"answer": rng.choice(["r", "r", "x", "y", None], p=[0.2, 0.2, 0.3, 0.2, 0.1])}
                for _ in range(samples)
            ],
        }
        for q in range(questions)
    ]
    import_pool([write(folder / "many.jsonl", lines)], folder / "many")
    return folder / "many"


class Agreement:
    """A vote that does not say that it is one, so that no closed form is known for it."""

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return vote_shares(candidates.answers)


def test_drawn_subsets_agree_with_the_closed_form_within_their_error(tmp_path: Path) -> None:
    cases = graded_cases(load_cases(many(tmp_path, 5, 12)))
    exact = vote_curves(cases, 12)
    drawn = asyncio.run(sampled_curves(Agreement(), cases, [1, 2, 6, 11, 12], 12))
    for k in (1, 11, 12):  # no more than 4,000 subsets: all were looked at
        assert drawn.means[:, k - 1] == pytest.approx(exact[:, k - 1])
        assert not drawn.variances[:, k - 1].any()
    assert drawn.means[:, 5] == pytest.approx(exact[:, 5])
    assert np.isnan(drawn.means[:, 2]).all()


def test_the_error_of_drawing_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    cases = graded_cases(load_cases(many(tmp_path, 60, 40)))
    exact = vote_curves(cases, 40)
    drawn = asyncio.run(sampled_curves(Agreement(), cases, [8], 40))
    off = (drawn.means[:, 7] - exact[:, 7]) / np.sqrt(np.maximum(drawn.variances[:, 7], 1e-12))
    assert 0.7 < float(np.std(off)) < 1.3
    curve = curve_of("agreement", drawn.means, drawn.variances, drawn.subsets)
    assert curve.drawing_error == pytest.approx(math.sqrt(drawn.variances[:, 7].sum()) / 60)
    (note,) = sampling_notes([curve])
    assert "estimated from 334 subsets of each question" in note


WEIGHTED = (
    "weighted_vote(by=score(name=rm))",
    'weighted_vote(by=score(name=rm), transform="softmax", temperature=0.1)',
    'weighted_vote(by=score(name=rm), transform="log_odds")',
)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted_votes_in_one_go_are_those_of_the_scorer(name: str, tmp_path: Path) -> None:
    cases = graded_cases(load_cases(many(tmp_path, questions=6, samples=30)))
    rng = np.random.default_rng(0)
    rated_cases = [
        replace(
            case, candidates=replace(case.candidates, scores={"rm": rng.uniform(0.05, 0.95, 30)})
        )
        for case in cases
    ]
    scorer = build_scorer(name)
    assert isinstance(scorer, WeightedVote)
    for case in rated_cases:
        subsets = np.array([rng.permutation(30)[:7] for _ in range(40)])
        weights = asyncio.run(scorer.lasting_weights(case.query, case.candidates))
        assert weights is not None
        fast = weighted_choices(case.candidates.answers, weights, values_of(case), subsets)
        slow = asyncio.run(chosen_one_by_one(scorer, case, subsets))
        assert fast.tolist() == pytest.approx(slow.tolist(), abs=1e-12)


@pytest.mark.parametrize("by", ["vote", "score(name=rm)"])
def test_weights_that_depend_on_the_others_are_asked_for_anew(by: str, run: Path) -> None:
    transform = "raw" if by == "vote" else "rank"  # a vote's shares change with the subset
    scorer = build_scorer(f'weighted_vote(by={by}, transform="{transform}")')
    assert isinstance(scorer, WeightedVote)
    case = load_cases(run)[0]
    assert asyncio.run(scorer.lasting_weights(case.query, case.candidates)) is None


def test_subsets_do_not_depend_on_the_other_questions(tmp_path: Path) -> None:
    cases = graded_cases(load_cases(many(tmp_path, 4, 20)))
    all_of_them = asyncio.run(sampled_curves(Agreement(), cases, [5], 20))
    reversed_ = asyncio.run(sampled_curves(Agreement(), cases[::-1], [5], 20))
    assert all_of_them.means[::-1, 4].tolist() == reversed_.means[:, 4].tolist()


def test_what_failed_or_was_aborted_is_none_of_the_pool(tmp_path: Path) -> None:
    samples = [
        {"answer": "r"},
        {"answer": "r", "finish_reason": "abort"},
        {"answer": "r", "finish_reason": "error"},
        {"answer": "x", "finish_reason": "length"},
    ]
    lines: list[object] = [{"id": "q", "gold": "r", "samples": samples}]
    import_pool([write(tmp_path / "pool.jsonl", lines)], tmp_path / "run")
    curves = curves_of(tmp_path / "run", "vote")
    assert curves.ks == (1, 2)
    assert curves.curves[0].mean == pytest.approx((0.5, 1.0))


def test_an_answer_that_came_with_its_text_is_kept(tmp_path: Path) -> None:
    samples = [
        {"answer": "12", "text": "so it is 12, not 7"},
        {"answer": "7", "text": "7"},
        {"answer": "12", "text": "12 it is", "finish_reason": "length"},
        {"text": "or 9"},
    ]
    lines: list[object] = [{"id": "q", "gold": "12", "samples": samples}]
    run, file = tmp_path / "run", write(tmp_path / "pool.jsonl", lines)
    import_pool([file], run, extract="last_number")
    (case,) = load_cases(run)
    assert case.candidates.answers == ("12", "7", None, "9")
    before = sorted(path.name for path in (run / "answers").iterdir())
    import_pool([file], run, extract="last_number")
    assert sorted(path.name for path in (run / "answers").iterdir()) == before
    (case,) = load_cases(run, extract="last_number")  # asked for: then it reads the texts
    assert case.candidates.answers == ("7", "7", None, "9")


def test_a_bare_word_names_stored_scores(run: Path) -> None:
    assert compare(run, "score(name=rm)").rows[0].accuracy == 1.0


def test_rows_are_what_json_prints(run: Path) -> None:
    one = json_rows(curves_of(run, "vote", [1, 4]))
    keys = ["select", "k", "accuracy", "low", "high", "n_queries"]
    assert [list(row) for row in one] == [keys] * 6
    baselines = ["one sample", "any right"]
    assert [(row["select"], row["k"]) for row in one] == [
        (name, k) for name in ("vote", *baselines) for k in (1, 4)
    ]
    several = json_rows(curves_of(run, "vote,first", [1]))
    assert [row["select"] for row in several] == ["vote", "first", *baselines]


def test_numbers_of_samples_are_checked(run: Path) -> None:
    assert powers_of_two(12) == (1, 2, 4, 8, 12)
    assert powers_of_two(8) == (1, 2, 4, 8)
    assert numbers(" 1,4, 2,4") == (1, 4, 2)
    assert numbers("") is None
    with pytest.raises(InputError, match="k must be whole numbers with commas between, got '1;2'"):
        numbers("1;2")
    with pytest.raises(InputError, match=r"k must lie in 1..4, .* got 5"):
        curves_of(run, "vote", [5])


def test_a_selector_that_lacks_what_it_reads_is_refused_and_not_wrong(run: Path) -> None:
    with pytest.raises(InputError, match=r"self_certainty\(k=5\) needs those of the 5 likeliest"):
        curves_of(run, "self_certainty(k=5)")
    with pytest.raises(InputError, match=r"be that of scores which the run holds \(rm\)"):
        curves_of(run, 'score(name="none")')


def test_a_run_without_gold_has_no_curve(tmp_path: Path) -> None:
    lines: list[object] = [{"id": "q", "samples": [{"answer": "1"}]}]
    import_pool([write(tmp_path / "pool.jsonl", lines)], tmp_path / "run")
    with pytest.raises(InputError, match="run must hold graded questions"):
        curves_of(tmp_path / "run", "vote")


def test_curves_are_shown_as_a_table_and_as_a_picture(run: Path, tmp_path: Path) -> None:
    curves = curves_of(run, 'vote,score(name="rm")')
    table = curve_table(curves)
    titles = [str(column.header) for column in table.columns]
    assert titles == ["k", "one sample", "any right", "vote", 'score(name="rm")']
    assert table.row_count == 3
    many = curve_table(curves_of(run, 'vote,first,random,score(name="rm")'))
    assert [str(column.header) for column in many.columns] == ["k", "1", "2", "4", "95% at 4"]
    assert many.row_count == 6
    plot_curves(curves, tmp_path / "curves.svg")
    picture = (tmp_path / "curves.svg").read_text()
    assert "<svg" in picture
    assert "<script" not in picture


def test_a_scorer_that_is_fooled_is_warned_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines: list[object] = []
    for q in range(40):
        samples = []
        for _ in range(32):
            coin = rng.random()
            answer, score = ("1", 0.5) if coin < 0.3 else ("0", 0.4)
            if coin > 0.9:
                answer, score = "fooled", 1.0
            samples.append({"answer": answer, "scores": {"rm": score + 0.01 * rng.random()}})
        lines.append({"id": f"q{q}", "gold": "1", "samples": samples})
    import_pool([write(tmp_path / "pool.jsonl", lines)], tmp_path / "run")
    curves = curves_of(tmp_path / "run", 'vote,score(name="rm")')
    (warning,) = (note for note in curves.notes if "equal votes" not in note)
    assert warning.startswith('score(name="rm"): OVER-OPTIMISED')


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded pools are not here")
@pytest.mark.parametrize(
    ("model", "vote_of_64"),
    [
        ("EXAONE-Deep-32B", 0.873),
        ("Phi-4-reasoning", 0.850),
        ("Qwen3-14B", 0.867),
        ("gpt-oss-20b", 0.902),
    ],
)
def test_the_recorded_pools_repeat_to_the_digit(
    model: str, vote_of_64: float, tmp_path: Path
) -> None:
    file = SHARED / f"aime2024__{model}.jsonl"
    import_pool([file], tmp_path / "run", grade="number")
    curves: Curves = curves_of(tmp_path / "run", "vote", [64])
    assert curves.curves[0].mean[63] == pytest.approx(vote_of_64, abs=0.0005)
    assert json_rows(curves) == json_rows(curves_of(tmp_path / "run", "vote", [64]))
    (case, *_) = load_cases(tmp_path / "run")
    assert case.candidates.answers.count(None) < len(case.candidates)


def test_what_is_exported_is_what_is_imported(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export_run(run, "jsonl", out) == "2 lines"
    import_pool([out], tmp_path / "again", grade="number")
    one, two = load_cases(run), load_cases(tmp_path / "again")
    for before, after in zip(one, two, strict=True):
        assert before.query == after.query
        assert before.candidates.answers == after.candidates.answers
        assert before.verdicts == after.verdicts
        for name in ("text", "status", "logprobs", "generated_tokens"):
            pairs = zip(before.candidates.samples, after.candidates.samples, strict=True)
            assert all(getattr(a, name) == getattr(b, name) for a, b in pairs), name
        np.testing.assert_array_equal(before.candidates.scores["rm"], after.candidates.scores["rm"])


def test_the_table_has_a_row_a_sample(run: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / "out.parquet"
    assert export_run(run, "parquet", out) == f"{out.stat().st_size:,} bytes"
    rows = pq.read_table(out).to_pylist()
    assert len(rows) == 8
    assert rows[0]["query_id"] == "a/1"
    assert [row["is_right"] for row in rows[:4]] == [True, False, None, True]
    assert rows[3]["mean_logprob"] == -1.0
    assert rows[0]["score_rm"] == 0.9
    assert [row["status"] for row in rows[4:]] == ["ok", "ok", "ok", "truncated"]


def test_exports_are_refused_where_they_would_harm(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    with pytest.raises(InputError, match="out must be a new file"):
        export_run(run, "jsonl", out)
    assert out.read_text() == "mine"
    assert export_run(run, "jsonl", out, force=True) == "2 lines"
    with pytest.raises(InputError, match="format must be one of answers, preferences"):
        export_run(run, "csv", None)
    with pytest.raises(InputError, match="out must be given for the format parquet"):
        export_run(run, "parquet", None)


def test_coverage_of_more_samples_than_were_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lines: list[object] = []
    for q, p in enumerate(rng.beta(0.4, 8.0, 40)):
        samples = [{"answer": "7" if right else "8"} for right in rng.random(24) < p]
        lines.append({"id": f"q{q}", "gold": "7", "samples": samples})
    run = tmp_path / "run"
    import_pool([write(tmp_path / "hard.jsonl", lines)], run)
    curves = curves_of(run, "vote", [1, 24], beyond=[100, 1000])
    any_right = curves.baselines[1].mean[-1]
    assert any_right < curves.beyond[100].coverage < curves.beyond[1000].coverage <= 1.0
    for estimate in curves.beyond.values():
        assert estimate.low <= estimate.coverage <= estimate.high
    assert [(row["k"], row["select"]) for row in json_rows(curves)] == [
        *((k, name) for name in ("vote", "one sample", "any right") for k in (1, 24)),
        (100, "any right"),
        (1000, "any right"),
    ]
    plot_curves(curves, tmp_path / "curves.svg")
    assert "extrapolated" in (tmp_path / "curves.svg").read_text()
    with pytest.raises(InputError, match="beyond must be more than the 24 samples drawn, got 24"):
        curves_of(run, "vote", beyond=[24])


def test_curves_of_a_run_that_stopped_by_what_it_saw_say_so(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text())
    assert curves_of(run, "vote").notes == ()
    manifest["config"]["strategy"] = {"n": 4, "rule": "vote_stands", "race": None}
    (run / "run.json").write_text(json.dumps(manifest))
    [note] = curves_of(run, "vote").notes
    assert "strategy.rule" in note
    assert "biased" in note


def test_an_alarm_is_for_scorers_and_no_baseline(tmp_path: Path) -> None:
    """The longest of many is wrong here, and so is what the reward model likes best."""
    rng = np.random.default_rng(3)
    lines = []
    for q in range(40):
        samples = []
        for _ in range(32):
            fools = rng.random() < 0.06
            right = not fools and rng.random() < 0.7
            score = 9.0 if fools else float(right) + rng.random()
            tokens = 900 if fools else int(rng.integers(10, 90))
            answer = "7" if right else str(rng.integers(10**6))
            samples.append({"text": answer, "tokens": tokens, "scores": {"rm": score}})
        lines.append({"id": f"q{q}", "gold": "7", "samples": samples})
    file = tmp_path / "pool.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([file], tmp_path / "run")
    notes = curves_of(tmp_path / "run", 'longest,shortest,first,score(name="rm"),vote').notes
    (alarm,) = (note for note in notes if "OVER-OPTIMISED" in note)
    assert alarm.startswith('score(name="rm"): OVER-OPTIMISED')


@pytest.mark.parametrize("name", ["vote", "first", "longest", "mbr", "weighted_vote(by=longest)"])
def test_where_a_grader_fails_a_curve_reaches_both_ways(tmp_path: Path, name: str) -> None:
    samples = [{"text": t, "tokens": n} for t, n in (("7", 1), ("8", 2), ("odd", 3), ("odd", 4))]
    lines = [{"id": f"q{q}", "gold": "7", "samples": samples} for q in range(12)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run")
    known = graded_cases(load_cases(tmp_path / "run"))
    unsure = [replace(case, verdicts={**case.verdicts, "odd": math.nan}) for case in known]
    assert graded_cases(unsure) == unsure  # no question is left out
    scorers = {name: build_scorer(name)}

    def curve(cases: list[Case]) -> Curve:
        return selector_curves(scorers, scored_pools(scorers, cases), (1, 4), 4)[name]

    plain, wide = curve(known), curve(unsure)
    assert wide.mean[::3] == plain.mean[::3]  # as if they were wrong
    assert wide.low[::3] == plain.low[::3]
    right = [replace(case, verdicts={**case.verdicts, "odd": 1.0}) for case in known]
    assert wide.high[::3] == curve(right).high[::3]
    assert wide.high[0] > plain.high[0]
    (note,) = curve_notes({}, unsure, unsure)
    assert "could not say of 24 of 48 samples" in note
    assert curve_notes({}, known, known) == ()


def test_equal_votes_are_told_of_where_they_matter(tmp_path: Path) -> None:
    pools = (("7", "8"), ("8", "7"), ("7", "7"), ("8", "9"))
    lines = [
        {"id": f"q{q}", "gold": "7", "samples": [{"text": t} for t in texts]}
        for q, texts in enumerate(pools)
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run")
    (note,) = curves_of(tmp_path / "run", "vote,first").notes
    assert note.startswith("vote: of all samples 2 of 4 questions have equal votes")


def test_pools_of_unequal_size_are_told_of(tmp_path: Path) -> None:
    lines = [
        {"id": f"q{q}", "gold": "7", "samples": [{"text": "7"}] * (2 + q % 2)} for q in range(4)
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run")
    (note,) = curves_of(tmp_path / "run", "vote").notes
    assert note.startswith("questions have from 2 to 3 samples: curves end at 2")


def test_reliability_stands_beside_coverage(tmp_path: Path) -> None:
    import_pool([write(tmp_path / "pool.jsonl", POOL)], tmp_path / "run", grade="number")
    curves = curves_of(tmp_path / "run", None, g_pass=(0.5, 1.0))
    names = [curve.name for curve in curves.baselines]
    assert names == ["one sample", "any right", "50% right (G-Pass@k)", "all right (pass^k)"]
    one, any_right, half, all_right = (curve.mean for curve in curves.baselines)
    assert one[0] == pytest.approx(any_right[0]) == pytest.approx(half[0])
    assert all(a >= h >= e for a, h, e in zip(any_right, half, all_right, strict=True))
    with pytest.raises(InputError, match=r"g_pass must lie in \(0, 1\], got 2"):
        curves_of(tmp_path / "run", "vote", g_pass=(2.0,))


class Raises:
    """A selector of somebody, with a mistake in it."""

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        raise RuntimeError("nothing works")


def test_a_selector_that_raises_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_pool([write(tmp_path / "pool.jsonl", POOL)], tmp_path / "run", grade="number")
    monkeypatch.setattr(
        "nbest.experiments.runs.selectors.named_scorer", lambda name, run, typed: Raises()
    )
    with pytest.raises(NbestError, match="select Raises: RuntimeError: nothing works"):
        curves_of(tmp_path / "run", "vote")
