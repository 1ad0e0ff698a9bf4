r"""Reads the replies of judges: a number, or one of two letters. In doubt nan, never a guess.

A reply has to be a statement, and nothing that only looks like one: `7`, `**8/10**`, `Score: 9` and
`Score: 9, because ...` are; "I found 3 errors", "1. First ..." and "8/10" on a scale of 5 are not.
Lines that contradict each other say nothing. Of a reply that was cut off only whole lines count: a
"1" at its end may be the start of 10. Where the likeliest tokens were kept, their probabilities say
more than the one token that the judge chose.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from nbest.orchestrator.types import Sample, Status
from nbest.scorers.judges.prompt import JudgePrompt

_AROUND = r"[\s*_`\"'{}()\[\]#]*+"
_IS = r"(?:(?i:\s+is\b)[\s:]*+|[\s*_`\"']*+[:=])"
_SCORE = rf"(?i:(?:the|my|final|overall)\s+)*+(?i:score|rating|grade){_IS}"
_BETTER = rf"(?i:(?:the|more|most|better|best|consistent)\s+)*+(?i:response|answer|choice){_IS}"
_RESPONSE = rf"(?:{_AROUND}(?i:response))?"
_NUMBER = r"(?P<value>[0-9]{1,6}(?:\.[0-9]{1,6})?)"
# After a labelled number words may follow; another number would make one wonder which is meant.
_REASON = r"(?![\w%])\D*"

_BEFORE_SCORE = rf"{_AROUND}(?:{_SCORE})?{_AROUND}"
_BEFORE_CHOICE = rf"{_AROUND}(?:{_BETTER})?{_RESPONSE}{_AROUND}"

LARGEST_DIGIT = 9  # beyond it the likeliest token may be the first digit of several numbers


def score_of(prompt: JudgePrompt, sample: Sample, scale: int) -> float:
    """The score from 1 to `scale` that the judge gives; nan where it cannot be read.

    Where the likeliest tokens were kept as text it is the expectation over them, for scales up to
    9; otherwise the number that the reply states.
    """
    if not can_be_read(prompt, sample):
        return math.nan
    stated = stated_score(_whole_lines(sample), scale)
    if scale > LARGEST_DIGIT:
        return stated
    values = {str(score): float(score) for score in range(1, scale + 1)}
    return first_value(sample, values, stated, _BEFORE_SCORE)


def preference_of(prompt: JudgePrompt, sample: Sample) -> float:
    """How much the judge prefers response A to B, from 0 to 1; nan where it cannot be read.

    Where the likeliest tokens were kept as text it is P(A) / (P(A) + P(B)), otherwise 1 or 0.
    """
    if not can_be_read(prompt, sample):
        return math.nan
    stated = stated_letter(_whole_lines(sample))
    return first_value(sample, {"A": 1.0, "B": 0.0}, stated, _BEFORE_CHOICE)


def choice_of(prompt: JudgePrompt, sample: Sample, count: int) -> int | None:
    """The number of the response, 1 to `count`, that the judge names; None if it names none."""
    if not can_be_read(prompt, sample):
        return None
    number = stated_number(_whole_lines(sample), count)
    return None if math.isnan(number) else int(number)


def final_choice_of(prompt: JudgePrompt, sample: Sample, count: int) -> int | None:
    """The number of the response, 1 to `count`, that the last line of a reasoned reply names.

    None where it names none, and where the reply was cut off: its last line is not the last word.
    """
    if sample.status is not Status.OK or not can_be_read(prompt, sample):
        return None
    _, _, last = sample.text.rstrip().rpartition("\n")
    number = stated_number(last, count)
    return None if math.isnan(number) else int(number)


def can_be_read(prompt: JudgePrompt, sample: Sample) -> bool:
    """Whether the call has succeeded and the judge does not repeat its instructions."""
    ended = sample.status in (Status.OK, Status.TRUNCATED)
    return ended and not prompt.leaked_in(sample.text)


def stated_score(text: str, scale: int) -> float:
    """The score from 1 to `scale` that a reply states in words, or nan."""
    of = rf"(?:\s*(?:/|(?i:out\s+of\b))\s*{scale}(?![0-9]))?"
    whole = rf"{_BEFORE_SCORE}{_NUMBER}{of}{_AROUND}"
    labelled = rf"{_AROUND}{_SCORE}{_AROUND}{_NUMBER}{of}{_REASON}"
    return _within(_stated_values(text, whole, labelled), scale)


def stated_number(text: str, count: int) -> float:
    """The number of the response, 1 to `count`, that a reply names in words, or nan."""
    number = r"(?P<value>[0-9]{1,6})"
    whole = rf"{_BEFORE_CHOICE}{number}{_AROUND}"
    labelled = rf"{_AROUND}{_BETTER}{_RESPONSE}{_AROUND}{number}{_REASON}"
    return _within(_stated_values(text, whole, labelled), count)


def stated_letter(text: str) -> float:
    """1 where a reply says A, 0 where it says B, nan where it says neither, or both."""
    letters = _stated_values(text, rf"{_BEFORE_CHOICE}(?P<value>[AB]){_AROUND}")
    return float(letters == {"A"}) if len(letters) == 1 else math.nan


def _whole_lines(sample: Sample) -> str:
    is_cut = sample.status is Status.TRUNCATED
    return sample.text.rpartition("\n")[0] if is_cut else sample.text


def _within(values: set[str], largest: int) -> float:
    numbers = {float(value) for value in values}
    number = numbers.pop() if len(numbers) == 1 else math.nan
    return number if 1 <= number <= largest else math.nan


def _stated_values(text: str, *patterns: str) -> set[str]:
    """The different values that the lines of a text state."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) == 1:  # of several, "1." may be the first of a list
        lines = [lines[0].rstrip(" .")]
    matches = [re.fullmatch(pattern, line) for line in lines for pattern in patterns]
    return {match["value"] for match in matches if match}


def first_value(sample: Sample, values: Mapping[str, float], stated: float, before: str) -> float:
    """The mean of `values` under the probabilities of their tokens, at the first fitting position.

    It fits if one of these tokens is likeliest there, and `before` matches its line up to there.
    G-Eval (Liu et al. 2023, arXiv 2303.16634), equation 1, with the probabilities of these tokens
    renormalised. `stated` is what the reply says in words: it is the result where the likeliest
    tokens were not kept. Where it is nan, only a value that ends the reply counts; after any other
    there is something that could not be read.
    """
    top = sample.top_logprobs
    # The tokens of a thought are among them, and its drafts are no verdicts.
    if top is None or not top.texts or sample.reasoning:
        return stated
    likeliest = top.texts[:: top.k]
    position = _position(likeliest, values, before)
    is_between = not math.isnan(stated) and stated not in values.values()
    if position is None or is_between:  # 4.5 begins with the token of 4, and is none of the values
        return stated
    if math.isnan(stated) and position + 1 < len(likeliest):
        return math.nan
    tokens = top.texts[position * top.k : (position + 1) * top.k]
    return _mean(tokens, top.array()[position].astype(np.float64).tolist(), values)


def _position(likeliest: Sequence[str], values: Mapping[str, float], before: str) -> int | None:
    text = ""
    for position, token in enumerate(likeliest):
        text += token
        if token.strip() in values:
            head = text.rstrip()[: -len(token.strip())]
            if re.fullmatch(before, head.rpartition("\n")[2]):
                return position
    return None


def _mean(tokens: Sequence[str], logprobs: Sequence[float], values: Mapping[str, float]) -> float:
    pairs = zip((token.strip() for token in tokens), logprobs, strict=True)
    weights = [(values[t], math.exp(p)) for t, p in pairs if t in values and p <= 0]  # nan is not
    total = math.fsum(weight for _, weight in weights)
    if not total:
        return math.nan
    return math.fsum(value * weight for value, weight in weights) / total
