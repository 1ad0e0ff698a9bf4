"""Pointwise judging: each different text once, failures are nan, and nothing depends on order."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Message, Query, Sample, Status
from nbest.scorers.judges.judge import Judge

QUERY = Query(id="q", prompt="Q: 3 + 4 =\nA:")
BODY = re.compile(r"Response:\n<<<[0-9a-f]{16}\n(.*)\n[0-9a-f]{16}>>>", re.DOTALL)
WARM = SamplingParams(temperature=1.0, max_tokens=8)


@dataclass
class Script:
    """A judge whose reply is a function of the name of the call and of the text."""

    say: Callable[[str, str], str]
    status: Status = Status.OK
    calls: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(
        self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
    ) -> Sample:
        text = prompt if isinstance(prompt, str) else prompt[0].content
        match = BODY.search(text)
        assert match is not None
        self.calls.append((name, match[1]))
        return Sample(id=f"{len(self.calls)}", text=self.say(name, match[1]), status=self.status)


def pool(ask: Script | None, *texts: str) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=text) for i, text in enumerate(texts))
    answers = tuple(text.split()[-1] if text else None for text in texts)
    return Candidates(samples=samples, answers=answers, ask=ask)


async def test_each_different_text_is_judged_once() -> None:
    script = Script(lambda _, text: str(len(text)))
    scores = await Judge()(QUERY, pool(script, "7", "so 7", "7", "", "7"))
    np.testing.assert_array_equal(scores, [1, 4, 1, np.nan, 1])
    assert sorted(text for _, text in script.calls) == ["7", "so 7"]
    assert Judge().num_calls(2) == len(script.calls)


async def test_by_answer_one_text_stands_for_all_that_give_it() -> None:
    texts = ("a 7", "b 7", "c 7", "8")
    heard = []
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        script = Script(lambda _, text: "5" if text.endswith("7") else "2")
        scores = await Judge(by="answer")(QUERY, pool(script, *(texts[i] for i in order)))
        np.testing.assert_array_equal(scores, [2.0 if texts[i] == "8" else 5.0 for i in order])
        heard.append(script.calls)
    assert len(heard[0]) == 2
    assert heard[0] == heard[1] == heard[2]


@pytest.mark.parametrize("reply", ["good", "", "6", "NaN", "I found 3 errors"])
async def test_what_cannot_be_read_is_nan_and_never_a_default(reply: str) -> None:
    script = Script(lambda _, text: reply if text == "7" else "2")
    scores = await Judge()(QUERY, pool(script, "7", "8"))
    np.testing.assert_array_equal(scores, [np.nan, 2])


async def test_failed_calls_are_no_scores() -> None:
    scores = await Judge()(QUERY, pool(Script(lambda *_: "5", Status.ERROR), "7", "8"))
    assert np.isnan(scores).all()


async def test_repeats_are_other_calls_and_their_mean_counts_what_could_be_read() -> None:
    replies = {"judge": "1", "judge2": "4", "judge3": "?"}
    script = Script(lambda name, _: replies[name])
    judge = Judge(repeats=3, params=WARM)
    scores = await judge(QUERY, pool(script, "7", "8"))
    np.testing.assert_array_equal(scores, [2.5, 2.5])
    assert len(script.calls) == judge.num_calls(2) == 6


async def test_criterion_and_scale_stand_in_the_prompt() -> None:
    judge = Judge(criterion="Is it polite?", scale=7)
    prompt = judge.prompt_about(QUERY, "7").prompt
    assert "Is it polite?" in prompt
    assert "to 7 (best)" in prompt
    assert judge.prompt_about(QUERY, "7") != replace(judge, scale=8).prompt_about(QUERY, "7")


async def test_without_a_model_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"^judge needs a model to ask: "):
        await Judge()(QUERY, pool(None, "7"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Judge(scale=1), "scale must lie in 2..100, got 1"),
        (lambda: Judge(criterion=" "), "criterion must hold a text, got ' '"),
        (lambda: Judge(repeats=0), "repeats must be at least 1, got 0"),
        (
            lambda: Judge(repeats=2),
            "repeats must be 1 at params.temperature 0, where all calls say the same, got 2",
        ),
    ],
)
def test_wrong_settings(make: Callable[[], Judge], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


async def test_nobody_to_judge() -> None:
    script = Script(lambda *_: "5")
    scores = await Judge()(QUERY, pool(script, "", ""))
    assert all(map(math.isnan, scores))
    assert script.calls == []


async def test_a_judge_sees_the_answer_alone_unless_it_reads_thoughts() -> None:
    samples = (
        Sample(id="s0", text="so 7", reasoning="is it 6?"),
        Sample(id="s1", text="so 7", reasoning="or 8?"),
    )
    for judge, shown in (
        (Judge(), ["so 7"]),
        (Judge(reads_reasoning=True), ["is it 6?\n\nso 7", "or 8?\n\nso 7"]),
    ):
        script = Script(lambda _, text: "3")
        candidates = Candidates(samples=samples, answers=("7", "7"), ask=script)
        np.testing.assert_array_equal(await judge(QUERY, candidates), [3, 3])
        assert sorted(text for _, text in script.calls) == shown
