"""Thought and answer are told apart, so that no draft is read as an answer."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import (
    AfterMarker,
    Boxed,
    ChoiceLetter,
    CodeBlock,
    FakeBackend,
    FinalAnswer,
    LastNumber,
    MajorityVote,
    Reply,
    SamplingParams,
)
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.query.selection import WholeText, read_answers
from nbest.orchestrator.reasoning import (
    Tags,
    parted,
    tags_of,
    with_thought_apart,
    without_reasoning,
)
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query, Request, Sample, Status

# What stands around a thought in five families of models, and where the prompt has opened it.
FORMATS = {
    "qwen": "<think>\n{thought}\n</think>\n\n{said}",
    "deepseek": "{thought}\n</think>\n\n{said}",  # its template ends with the opening tag
    "mistral": "[THINK]{thought}[/THINK]{said}",
    "gpt-oss": (
        "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant"
        "<|channel|>final<|message|>{said}<|return|>"
    ),
    "cohere": "<|START_THINKING|>{thought}<|END_THINKING|>{said}",
}
DRAFTS = [
    r"so \boxed{41}",
    "The answer is 41.",
    "Final answer: 41",
    '{"answer": 41}',
    "```python\nx = 41\n```",
    "41",
    "The answer is (D).",
    "#### 41",
]
# What is said, the extractor that reads it, and the answer.
SAID = [
    (r"It is \boxed{42}.", Boxed(), "42"),
    ("The answer is 42.", FinalAnswer(), "42"),
    ("We get 42", LastNumber(), "42"),
    ("42", WholeText(), "42"),
    ("```python\nx = 42\n```", CodeBlock(language="python"), "x = 42"),
    ("The answer is (B).", ChoiceLetter(), "B"),
    ("#### 42", AfterMarker(marker="####"), "42"),
]
TEXTS = list(product(FORMATS, DRAFTS, SAID))


def sample_of(text: str, **fields: object) -> Sample:
    return Sample(id="r/q/s0", text=text, generated_tokens=100, **fields)  # type: ignore[arg-type]


def test_there_are_many_of_them() -> None:
    assert len(TEXTS) >= 200


@pytest.mark.parametrize("family", FORMATS)
def test_no_draft_is_read_as_an_answer(family: str) -> None:
    for draft, (said, extract, answer) in product(DRAFTS, SAID):
        text = FORMATS[family].format(thought=f"Let me see. {draft}", said=said)
        sample = with_thought_apart(sample_of(text))
        assert sample.status is Status.OK
        assert sample.text.strip() == said
        assert draft in sample.reasoning
        assert 0 < sample.reasoning_tokens < 100
        assert read_answers([sample], extract).answers == (answer,), (draft, said)
        assert extract(text) == answer  # of a text that nobody has parted


@pytest.mark.parametrize("family", FORMATS)
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_thought_that_was_not_ended_leaves_no_answer(family: str, draft: str) -> None:
    begun = FORMATS[family].partition("{thought}")[0] + draft
    if family == "deepseek":  # nothing says that it is one
        return
    sample = with_thought_apart(sample_of(begun))
    assert (sample.text, sample.status) == ("", Status.TRUNCATED)
    assert draft in sample.reasoning
    assert read_answers([sample], WholeText()).answers == (None,)


def test_what_has_no_thought_stays_as_it_is() -> None:
    for text in ("42", "a < b > c", "x[0] [THIN", "", "<b>42</b>", "◁42"):
        sample = sample_of(text)
        assert with_thought_apart(sample) is sample


def test_a_thought_that_the_engine_has_told_apart_stays_as_it_is() -> None:
    sample = sample_of("<think>said</think>", reasoning="thought", reasoning_tokens=7)
    assert with_thought_apart(sample) is sample


def test_several_thoughts_are_one_and_an_opened_tag_may_be_opened_again() -> None:
    assert parted("<think>a</think>b<think>c</think>d") == ("a\n\nc", "bd", True)
    assert parted("<think>a<think>b</think>c").said == "c"


@given(st.text(alphabet="<>/thinkT[]|7 \n◁▷", max_size=60), st.text(max_size=20))
def test_nothing_is_lost_and_nothing_raises(text: str, more: str) -> None:
    parts = parted(text + more)
    assert without_reasoning(text + more) == parts.said
    kept = "".join((parts.reasoning + parts.said).split())
    assert len(kept) <= len("".join((text + more).split()))


def test_an_extractor_that_asks_for_it_reads_the_thought() -> None:
    sample = with_thought_apart(sample_of("<think>41</think>said"))
    assert read_answers([sample], LastNumber()).answers == (None,)
    assert read_answers([sample], LastNumber(reads_reasoning=True)).answers == ("41",)


def thinks(request: Request) -> Reply:
    return Reply(tokens=("<think>", "is it ", "41?", "</think>", "\n\n", "42"))


async def test_a_run_keeps_the_thought_beside_what_is_said(tmp_path: Path) -> None:
    strategy = BestOfN(n=3, select=MajorityVote(), params=SamplingParams(max_tokens=8))
    work = Work(run="r", seed=1, strategy=strategy, directory=None)
    async with open_loop(work, FakeBackend(script=thinks)) as here:
        outcome = await here.loop.answer(Query(id="q", prompt="?"))
    assert outcome.selection is not None
    assert outcome.selection.answer == "42"
    for sample in outcome.selection.samples:
        assert (sample.text, sample.reasoning) == ("42", "is it 41?")
        assert 0 < sample.reasoning_tokens < sample.generated_tokens == 6


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_a_pool_brings_its_thoughts_and_takes_them_along(tmp_path: Path, key: str) -> None:
    samples = [{"text": "42", key: "41?", "tokens": 9}, {"text": "<think>40?</think>42"}]
    line = {"id": "q", "gold": "42", "samples": samples}
    (tmp_path / "pool.jsonl").write_text(json.dumps(line))
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run", extract="last_number")
    export_run(tmp_path / "run", "jsonl", tmp_path / "again.jsonl")
    import_pool([tmp_path / "again.jsonl"], tmp_path / "again", extract="last_number")
    for run in ("run", "again"):
        ((_, stored),) = RunReader(tmp_path / run).samples()
        assert [(s.text, s.reasoning) for s in stored] == [("42", "41?"), ("42", "40?")]


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ("<plan> </plan>", "<plan>so 41?</plan>42"),
        ("{{ }}", "{{so 41?}}42"),
        ("## #answer#", "## so 41? #answer#42"),
        ("(* *)", "so 41? *)42"),  # the prompt has opened it
        ("## ###", "## so 41? ###42"),  # one begins with the other
        ("### ##", "### so 41? ##42"),
        ("*** ***end***", "*** so 41? ***end***42"),
        ("<plan> </plan>", "<think>so 41?</think>42"),  # the known ones are read as before
    ],
)
def test_tags_of_the_models_own_hold_a_thought(tags: str, text: str) -> None:
    parts = parted(text, tags_of(tags))
    assert (parts.reasoning, parts.said, parts.is_ended) == ("so 41?", "42", True)


def test_an_own_tag_that_is_not_closed_leaves_no_answer() -> None:
    cut = Sample(id="r/q/s0", text="<plan>so 41?", status=Status.OK)
    sample = with_thought_apart(cut, Tags("<plan>", "</plan>"))
    assert (sample.text, sample.reasoning, sample.status) == ("", "so 41?", Status.TRUNCATED)
    assert with_thought_apart(cut) == cut


@pytest.mark.parametrize(
    "setting", ["tags", "none", "<plan>", "** **", "a b c", "", "deepseek r1", "<a> b"]
)
def test_what_are_no_two_tags(setting: str) -> None:
    assert tags_of(setting) is None
