"""Small files of other programs, made after their documentation; and our log of Inspect."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.foreign.detect import FORMATS, OURS, format_of
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.runs.gold_file import read_gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query, Sample, Status
from tests.experiments.isolated import isolated
from tests.experiments.report.test_report import pool


def lines(file: Path, *rows: object) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def imported(folder: Path, *files: Path, **reading: str) -> tuple[dict[str, Any], str]:
    """Import the files; returns the samples by query id, and what they were taken for."""
    done = import_pool(files, folder / "run", **reading)
    return dict(RunReader(folder / "run").samples()), done.format


def queries(folder: Path) -> dict[str, Query]:
    return {query.id: query for query in RunReader(folder / "run").queries}


def test_lm_eval(tmp_path: Path) -> None:
    row = {
        "doc_id": 0,
        "doc": {"question": "3 + 4?"},
        "target": "3 + 4 = 7\n#### 7",
        "arguments": {"gen_args_0": {"arg_0": "Q: 3 + 4?\nA:", "arg_1": {"until": ["\n"]}}},
        "resps": [["so 7", "8"]],
        "filtered_resps": ["7"],
        "filter": "strict-match",
        "exact_match": 1.0,
    }
    other = row | {"doc_id": 1, "target": "9", "arguments": [["Q: 9?", {}]], "resps": [["9", "9"]]}
    file = lines(
        tmp_path / "samples_gsm8k_2026-01-02T03-04-05.678901.jsonl",
        row,
        other,
        row | {"filter": "flexible-extract"},
    )
    samples, name = imported(tmp_path, file, extract="last_number", grade="number")
    assert name == "samples of lm-eval"
    assert [s.text for s in samples["gsm8k/0"]] == ["so 7", "8"]
    assert [query.prompt for query in queries(tmp_path).values()] == ["Q: 3 + 4?\nA:", "Q: 9?"]
    assert [case.worths for case in load_cases(tmp_path / "run")] == [[1.0, 0.0], [1.0, 1.0]]
    choices = lines(
        tmp_path / "samples_arc.jsonl", row | {"resps": [[[-1.2, False]], [[-0.3, True]]]}
    )
    with pytest.raises(InputError, match="a task that compares likelihoods has none"):
        import_pool([choices], tmp_path / "other")


def test_run_batch(tmp_path: Path) -> None:
    def choice(text: str, reason: str, **more: object) -> dict[str, object]:
        message = {"role": "assistant", "content": text, "reasoning_content": "Hm."}
        return {"index": 0, "message": message, "finish_reason": reason, **more}

    def result(key: str, *choices: object, **more: object) -> dict[str, object]:
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        body = {"object": "chat.completion", "choices": list(choices), "usage": usage}
        response = {"status_code": 200, "request_id": "r", "body": body}
        return {"id": "vllm-1", "custom_id": key, "response": response, "error": None, **more}

    top = [{"token": "8", "logprob": -3.0}, {"token": "7", "logprob": -0.1}]
    tokens = [{"token": "7", "logprob": -0.1, "top_logprobs": top}]
    requests = lines(
        tmp_path / "requests.jsonl",
        *(
            {"custom_id": key, "method": "POST", "url": "/v1/chat/completions"}
            | {"body": {"model": "m", "messages": [{"role": "user", "content": f"{key}?"}]}}
            for key in ("a", "b")
        ),
    )
    results = lines(
        tmp_path / "results.jsonl",
        result("a", choice("7", "stop", logprobs={"content": tokens}), choice("8", "length")),
        result("b", choice("9", "stop")),
        {"id": "vllm-2", "custom_id": "b", "response": {"status_code": 400}, "error": "too long"},
    )
    samples, name = imported(tmp_path, requests, results)
    assert name == "results of a batch"
    assert [s.status for s in samples["a"]] == [Status.OK, Status.TRUNCATED]
    assert samples["a"][0].reasoning == "Hm."
    assert samples["a"][0].logprobs == (-0.1,)
    assert samples["a"][0].top_logprobs.texts == ("7", "8")
    assert [s.generated_tokens for s in samples["b"]] == [2, 0]
    assert [s.status for s in samples["b"]] == [Status.OK, Status.ERROR]
    (message,) = queries(tmp_path)["a"].prompt
    assert message.content == "a?"
    with pytest.raises(InputError, match="holds requests and no results"):
        import_pool([requests], tmp_path / "other")


def test_nemo_skills(tmp_path: Path) -> None:
    row = {"problem": "3 + 4?", "expected_answer": "7", "num_generated_tokens": 9}
    right = {"generation": "It is \\boxed{7}.", "predicted_answer": "7", "symbolic_correct": True}
    wrong = {"generation": "Who knows?", "predicted_answer": None, "symbolic_correct": False}
    files = [
        lines(tmp_path / f"output-rs{seed}.jsonl", row | said, row | {"problem": "4?"} | right)
        for seed, said in enumerate([right, wrong])
    ]
    samples, name = imported(tmp_path, *files)
    assert name == "generations of NeMo-Skills"
    assert [s.text for s in samples["0"]] == ["It is \\boxed{7}.", "Who knows?"]
    assert [s.status for s in samples["0"]] == [Status.OK, Status.UNPARSEABLE]
    assert [s.generated_tokens for s in samples["1"]] == [9, 9]
    first, second = load_cases(tmp_path / "run")
    assert (first.worths, second.worths) == ([1.0, 0.0], [1.0, 1.0])
    assert first.candidates.scores["symbolic_correct"].tolist() == [1.0, 0.0]
    other = lines(tmp_path / "output-rs2.jsonl", row | {"problem": "5?"} | right)
    rule = r"must be the same question, with the gold, of .*rs0.jsonl:1"
    with pytest.raises(InputError, match=rule):
        import_pool([*files, other], tmp_path / "other")


def test_large_language_monkeys(tmp_path: Path) -> None:
    row = {
        "question": "3 + 4?",
        "gt_answer": "7",
        "samples": ["7", "8"],
        "is_corrects": [True, False],
    }
    file = lines(tmp_path / "gsm8k.jsonl", row | {"orig_dset_idx": 5})
    samples, name = imported(tmp_path, file)
    assert name == "samples of large_language_monkeys"
    assert [s.text for s in samples["5"]] == ["7", "8"]
    (case,) = load_cases(tmp_path / "run")
    assert case.worths == [1.0, 0.0] == case.candidates.scores["is_correct"].tolist()
    (tmp_path / "12.yaml").write_text(yaml.safe_dump(row))
    samples, _ = imported(tmp_path / "yaml", tmp_path / "12.yaml")
    assert samples.keys() == {"12"}
    (tmp_path / "bomb.yaml").write_text("a: &a [x]\nsamples: [*a, *a]\n")
    with pytest.raises(InputError, match="must hold no aliases"):
        import_pool([tmp_path / "bomb.yaml"], tmp_path / "bomb")


def test_search_and_learn(tmp_path: Path) -> None:
    row = {
        "problem": "3 + 4?",
        "answer": "7",
        "unique_id": "test/1.json",
        "completions": ["7", "8"],
        "scores": [[0.5, 0.8], [[0.5, 0.2]]],
        "completion_tokens": [4, 5],
        "pred_naive@2": "\\boxed{7}",
    }
    samples, name = imported(tmp_path, lines(tmp_path / "completions.jsonl", row))
    assert name == "completions of search-and-learn"
    assert [s.generated_tokens for s in samples["test/1.json"]] == [4, 5]
    (case,) = load_cases(tmp_path / "run")
    assert case.candidates.scores["prm"].tolist() == [0.8, 0.2]
    assert case.candidates.scores["prm_min"].tolist() == [0.5, 0.2]
    assert case.candidates.scores["prm_prod"].tolist() == pytest.approx([0.4, 0.1])
    assert case.worths == [1.0, 0.0]
    short = lines(tmp_path / "short.jsonl", row | {"scores": [[0.5]]})
    with pytest.raises(InputError, match="scores must be one for each of 2 samples"):
        import_pool([short], tmp_path / "short")


def test_human_eval_samples(tmp_path: Path) -> None:
    rows = [
        {"task_id": "HumanEval/0", "completion": "    return 1", "passed": True},
        {"task_id": "HumanEval/1", "solution": "def f(): return 2"},
        {"task_id": "HumanEval/0", "completion": "    return 0", "passed": False},
    ]
    samples, name = imported(tmp_path, lines(tmp_path / "samples.jsonl", *rows))
    assert name == "samples in HumanEval's format"
    assert [s.text for s in samples["HumanEval/0"]] == ["    return 1", "    return 0"]
    assert len(samples["HumanEval/1"]) == 1


def inspect_sample(key: object, epoch: int, content: object, **more: object) -> dict[str, object]:
    message = {"role": "assistant", "content": content, "source": "generate"}
    return {
        "id": key,
        "epoch": epoch,
        "input": [{"role": "user", "content": "attachment://abc"}],
        "target": "7",
        "messages": [],
        "output": {
            "model": "m",
            "choices": [{"message": message, "stop_reason": "stop"}],
            "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8},
            "time": 1.5,
        },
        "scores": {"match": {"value": "C", "answer": "7"}, "both": {"value": {"a": 1, "b": "I"}}},
        "attachments": {"abc": "A long question?"},
        "events": [{"event": "state"}],
        **more,
    }


def inspect_samples() -> list[dict[str, object]]:
    thought = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "It is 7."}]
    cut = {"choices": [{"message": {"content": "It is"}, "stop_reason": "max_tokens"}]}
    return [
        inspect_sample("a", 2, thought),
        inspect_sample("a", 1, "7"),
        inspect_sample("b", 1, "", output=cut, target=["7", "seven"], scores={}),
        inspect_sample("c", 1, "", output={"choices": []}, error={"message": "no"}, scores={}),
    ]


def archive(file: Path, samples: list[dict[str, object]]) -> Path:
    """A log as Inspect wrote it for years."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr("header.json", json.dumps({"version": 2}))
        for sample in samples:
            log.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
    return file


def zstandard_archive(file: Path, samples: list[dict[str, object]]) -> Path:
    """A log as Inspect writes it today, its files packed by Zstandard."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as log:
        sizes = []
        for sample in samples:
            data = json.dumps(sample).encode()
            sizes.append(len(data))
            packed = pa.compress(data, codec="zstd", asbytes=True)
            log.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", packed)
    content = bytearray(file.read_bytes())
    # The method and the size unpacked, in the local headers and in the directory.
    for mark, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        place = -1
        for unpacked in sizes:
            place = content.index(mark, place + 1)
            struct.pack_into("<H", content, place + method, 93)
            struct.pack_into("<I", content, place + size, unpacked)
    file.write_bytes(content)
    return file


def document(file: Path, samples: list[dict[str, object]]) -> Path:
    """A log as one JSON document."""
    head = {"version": 2, "status": "success", "eval": {"task": "t"}}
    file.write_text(json.dumps(head | {"samples": samples}, indent=2))
    return file


@pytest.mark.parametrize("write", [archive, zstandard_archive, document])
def test_inspect(tmp_path: Path, write: Callable[[Path, list[dict[str, object]]], Path]) -> None:
    suffix = "json" if write is document else "eval"
    samples, name = imported(tmp_path, write(tmp_path / f"log.{suffix}", inspect_samples()))
    assert name == "logs of Inspect"
    assert [(s.text, s.reasoning) for s in samples["a"]] == [("7", ""), ("It is 7.", "Hm.")]
    assert [s.status for s in samples["b"]] == [Status.TRUNCATED]
    assert [s.status for s in samples["c"]] == [Status.ERROR]
    assert (samples["a"][0].generated_tokens, samples["a"][0].total_s) == (3, 1.5)
    found = queries(tmp_path)
    assert found["a"].prompt[0].content == "A long question?"  # type: ignore[union-attr]
    assert found["b"].meta["targets"] == ["7", "seven"]
    cases = {case.query.id: case for case in load_cases(tmp_path / "run")}
    assert cases["a"].worths == [1.0, 1.0]
    assert cases["a"].candidates.scores["match"].tolist() == [1.0, 1.0]
    assert cases["a"].candidates.scores["both.b"].tolist() == [0.0, 0.0]
    assert not cases["b"].is_graded  # of two right answers none is the gold answer


def plain(sample: Sample) -> tuple[str, str, Status, int]:
    return sample.text, sample.reasoning, sample.status, sample.generated_tokens


def test_our_log_of_inspect_is_the_same_run(tmp_path: Path) -> None:
    run = pool(tmp_path, 6, 4)
    assert export_run(run, "inspect", tmp_path / "run.eval") == "24 samples"
    import_pool([tmp_path / "run.eval"], tmp_path / "again", grade="number")
    ours, again = (dict(RunReader(folder).samples()) for folder in (run, tmp_path / "again"))
    assert {k: [*map(plain, v)] for k, v in ours.items()} == {
        k: [*map(plain, v)] for k, v in again.items()
    }
    graded = [[case.worths for case in load_cases(folder)] for folder in (run, tmp_path / "again")]
    assert graded[0] == graded[1]
    data = (tmp_path / "run.eval").read_bytes()
    with pytest.raises(InputError, match="out must be given for the format inspect"):
        export_run(run, "inspect", None)
    assert (tmp_path / "run.eval").read_bytes() == data


READS = """
import sys
from inspect_ai.log import read_eval_log, read_eval_log_sample

log = read_eval_log(sys.argv[1])
sample = read_eval_log_sample(sys.argv[1], "q3", 2)
accuracy = log.results.scores[0].metrics["accuracy"].value
print(log.status, len(log.samples), sample.target, sample.scores["nbest"].answer, accuracy)
"""


def test_inspect_reads_our_log(tmp_path: Path) -> None:
    """In an environment of its own, from the package index."""
    run = pool(tmp_path, 6, 4)
    export_run(run, "inspect", tmp_path / "run.eval")
    (tmp_path / "reads.py").write_text(READS)
    read = isolated(tmp_path, ["inspect-ai==0.3.285"], "reads.py", "run.eval")
    cases = {case.query.id: case for case in load_cases(run)}
    worths = [worth for case in cases.values() for worth in case.worths]
    answer = cases["q3"].candidates.answers[1]
    assert read.split() == ["success", "24", "7", answer, str(sum(worths) / len(worths))]


def test_files_of_two_programs_are_not_one_run(tmp_path: Path) -> None:
    one = lines(tmp_path / "a.jsonl", {"task_id": "a", "completion": "x"})
    other = lines(tmp_path / "b.jsonl", {"doc_id": 0, "resps": [["x"]]})
    rule = "files must be of one format, got samples in HumanEval's format and samples of lm-eval"
    with pytest.raises(InputError, match=rule):
        import_pool([one, other], tmp_path / "run")


def test_what_nobody_knows_is_left_to_our_own_reader(tmp_path: Path) -> None:
    assert format_of([lines(tmp_path / "a.jsonl", {"id": "q", "samples": []})]) == OURS
    assert format_of([lines(tmp_path / "b.jsonl", {"something": 1})]) == OURS
    (tmp_path / "c.jsonl").write_text("")
    assert format_of([tmp_path / "c.jsonl"]) == OURS
    assert len({known.name for known in FORMATS}) == len(FORMATS)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "log.eval", [inspect_sample("a", 1, "7")])
    with zipfile.ZipFile(file, "a") as log:
        log.writestr("samples/b_epoch_1.json", "{")
    with pytest.raises(InputError, match=r"samples/b_epoch_1.json: is no JSON"):
        import_pool([file], tmp_path / "run")


def test_the_same_row_with_another_gold_answer_is_another_question(tmp_path: Path) -> None:
    row = {"problem": "?", "generation": "7", "predicted_answer": "7"}
    files = [
        lines(tmp_path / f"output-rs{seed}.jsonl", row | {"expected_answer": gold})
        for seed, gold in enumerate("34")
    ]
    with pytest.raises(InputError, match="must be the same question"):
        import_pool(files, tmp_path / "run")
    rows = [{"doc_id": 0, "target": gold, "resps": [["7"]], "filter": "none"} for gold in "34"]
    files = [lines(tmp_path / f"samples_t_{i}.jsonl", row) for i, row in enumerate(rows)]
    import_pool(files, tmp_path / "tasks")  # they are two tasks
    again = [tmp_path / f"samples_t_2026-01-0{i}T00-00-00.jsonl" for i in (1, 2)]
    for file, row in zip(again, rows, strict=True):
        lines(file, row)
    with pytest.raises(InputError, match="must have the target of"):
        import_pool(again, tmp_path / "other")


def test_lm_evals_files_of_one_task_are_samples_of_the_same_questions(tmp_path: Path) -> None:
    row = {"doc_id": 0, "target": "7", "resps": [["7"]], "filter": "none"}
    files = [tmp_path / f"samples_t_2026-01-0{i}T00-00-00.jsonl" for i in (1, 2)]
    lines(files[0], row, row | {"filter": "other"})
    lines(files[1], row | {"resps": [["8"]]})
    samples, _ = imported(tmp_path, *files)
    assert [s.text for s in samples["t/0"]] == ["7", "8"]


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({"target": "['a', 'b']"}, None),
        ({"target": "None"}, None),
        ({"target": "so\n#### 1,000"}, "1,000"),
        ({"target": "#### A heading\nand a text"}, "#### A heading\nand a text"),
    ],
)
def test_lm_evals_gold_answers(tmp_path: Path, row: dict[str, object], gold: str | None) -> None:
    file = lines(tmp_path / "samples_t.jsonl", {"doc_id": 0, "resps": [["x"]]} | row)
    import_pool([file], tmp_path / "run")
    found = read_gold(tmp_path / "run").get("t/0")
    assert (found and found.answer) == gold


@pytest.mark.parametrize(
    "row",
    [
        {"resps": [[["-1.2", "False"]], [["-3.4", "True"]]]},
        {"resps": [[[-1.2, False]]]},
        {"resps": [["a"]], "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": " A"}}},
        {"resps": []},
    ],
)
def test_likelihoods_are_no_answers(tmp_path: Path, row: dict[str, object]) -> None:
    file = lines(tmp_path / "samples_t.jsonl", {"doc_id": 0, "target": "0"} | row)
    with pytest.raises(InputError, match="resps must hold texts"):
        import_pool([file], tmp_path / "run")


def log_of(file: Path, task: str, *samples: dict[str, object]) -> Path:
    head = {"version": 2, "status": "success", "eval": {"task": task}}
    file.write_text(json.dumps(head | {"samples": list(samples)}))
    return file


def test_inspects_tasks_do_not_mix_and_retries_count_once(tmp_path: Path) -> None:
    one = log_of(tmp_path / "a.json", "sums", inspect_sample(1, 1, "7", uuid="u1"))
    other = log_of(tmp_path / "b.json", "cities", inspect_sample(1, 1, "Paris", target="Paris"))
    samples, _ = imported(tmp_path, one, other)
    assert {key: [s.text for s in found] for key, found in samples.items()} == {
        "sums/1": ["7"],
        "cities/1": ["Paris"],
    }
    failed = inspect_sample(2, 1, "", output={"choices": []}, error={"message": "x"}, uuid="u2")
    first = log_of(tmp_path / "c.json", "t", inspect_sample(1, 1, "7", uuid="u1"), failed)
    mended = inspect_sample(2, 1, "8", uuid="u3")
    second = log_of(tmp_path / "d.json", "t", inspect_sample(1, 1, "7", uuid="u1"), mended)
    import_pool([first, second], tmp_path / "retried")
    found = dict(RunReader(tmp_path / "retried").samples())
    assert {key: [s.text for s in found[key]] for key in found} == {"1": ["7"], "2": ["8"]}
    changed = log_of(tmp_path / "e.json", "t", inspect_sample(1, 1, "7", target="9"))
    with pytest.raises(InputError, match="must have the input and target of"):
        import_pool([first, changed], tmp_path / "changed")


def test_what_a_limit_ended_does_not_vote(tmp_path: Path) -> None:
    limited = inspect_sample(1, 1, "18 mayb", limit={"type": "time", "limit": 10})
    samples, _ = imported(tmp_path, log_of(tmp_path / "a.json", "t", limited))
    assert [s.status for s in samples["1"]] == [Status.TRUNCATED]


def test_the_responses_api_is_read(tmp_path: Path) -> None:
    part = {"type": "output_text", "text": "7"}
    body = {"object": "response", "status": "completed", "usage": {"output_tokens": 3}}
    body |= {"output": [{"type": "reasoning"}, {"type": "message", "content": [part]}]}
    row = {"custom_id": "a", "response": {"status_code": 200, "body": body}}
    cut = {**row, "response": {"status_code": 200, "body": body | {"status": "incomplete"}}}
    samples, _ = imported(tmp_path, lines(tmp_path / "r.jsonl", row, cut))
    assert [(s.text, s.status) for s in samples["a"]] == [("7", Status.OK), ("7", Status.TRUNCATED)]
    assert samples["a"][0].generated_tokens == 3


BATCH = {"custom_id": "a", "response": {"status_code": 200, "body": {"choices": [{}]}}}
ODD: dict[str, list[object]] = {
    "lm": [{"doc_id": 0, "resps": [["x"]]}, {"foo": 1}],
    "human eval": [{"task_id": "a", "completion": "x"}, {"foo": 1}],
    "monkeys": [{"samples": ["x"]}, {"foo": 1}],
    "search": [{"completions": ["x"]}, {"foo": 1}],
    "nemo": [{"generation": "x", "predicted_answer": "x"}, {"foo": 1}],
    "no custom id": [{"custom_id": None, "response": {}}],
    "status null": [{"custom_id": "a", "response": {"status_code": None, "body": None}}],
    "status text": [{"custom_id": "a", "response": {"status_code": "500", "body": "bad"}}],
    "response a list": [{"custom_id": "a", "response": []}],
    "choices of texts": [{"custom_id": "a", "response": {"body": {"choices": ["a"]}}}],
    "usage a list": [{"custom_id": "a", "response": {"body": {"choices": [{}], "usage": []}}}],
    "body a list": [{"custom_id": "a", "body": []}, BATCH],
    "logprob null": [
        {
            "custom_id": "a",
            "response": {
                "body": {
                    "choices": [
                        {
                            "message": {"content": "x"},
                            "logprobs": {"content": [{"token": "x", "logprob": None}]},
                        }
                    ]
                }
            },
        }
    ],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_rows_are_refused_or_read_but_never_a_traceback(name: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "odd.jsonl", *ODD[name])
    with contextlib.suppress(InputError):
        import_pool([file], tmp_path / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": None},
        {"output": "text"},
        {"output": {"choices": [None]}},
        {"output": {"choices": [{"message": "text"}]}},
        {"scores": []},
        {"id": None},
    ],
)
def test_odd_samples_of_inspect_are_no_traceback(
    changes: dict[str, object], tmp_path: Path
) -> None:
    sample = inspect_sample("a", 1, "7") | changes
    files = archive(tmp_path / "a.eval", [sample]), log_of(tmp_path / "b.json", "t", sample)
    for place, file in enumerate(files):
        with contextlib.suppress(InputError):
            import_pool([file], tmp_path / f"run{place}")


def test_damaged_archives_say_so(tmp_path: Path) -> None:
    whole = archive(tmp_path / "log.eval", [inspect_sample("a", 1, "7" * 5000)]).read_bytes()
    cut, spoilt = tmp_path / "cut.eval", tmp_path / "spoilt.eval"
    cut.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="must be a whole archive"):
        import_pool([cut], tmp_path / "cut")
    place = whole.index(b"samples/") + 60
    spoilt.write_bytes(whole[:place] + bytes(40) + whole[place + 40 :])
    with pytest.raises(InputError, match="cannot be unpacked"):
        import_pool([spoilt], tmp_path / "spoilt")
