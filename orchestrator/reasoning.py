"""What a reasoning model thinks before it answers, in its text: never read, for it holds drafts.

Engines that know the model take the thought out of the text themselves. Where they do not, it
stands between tags, and its drafts look like answers: a vote among them is a vote of second best.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from nbest.orchestrator.types import Sample, Status

_NAMES = "think|thinking|thought|reasoning|reflection|seed:think|analysis|scratchpad|cot"
_TAG = re.compile(
    rf"<(?P<close>/)?(?:{_NAMES})>|\[(?P<shut>/)?THINK\]|\u25c1(?P<ended>/)?think\u25b7"
    r"|<\|(?:begin|(?P<finished>end))_of_thought\|>"
    r"|<\|(?:START|(?P<stopped>END))_THINKING\|>",
    re.IGNORECASE,
)
_FINAL = re.compile(r"<\|channel\|>final[^<]*<\|message\|>")  # OpenAI's harmony format
_CHANNEL = "<|channel|>"
_MARKERS = re.compile(
    r"(?:<\|(?:start|channel|message|end|return)\|>(?:assistant|analysis|commentary|final)?\s*)+"
)
_OPENINGS = ("<", "[", "\u25c1")  # every tag begins with one of these


class Tags(NamedTuple):
    """What a model puts around its thoughts, where that is none of the tags that are known."""

    opening: str
    closing: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """These tags and the known ones; what closes a thought is in a group."""
        return _with_tags(self)


def tags_of(setting: str) -> Tags | None:
    """The two tags that a setting holds, with a space between them; None: it holds none.

    A tag does not begin with a letter or a digit, as a name does.

    >>> tags_of("<plan> </plan>")
    Tags(opening='<plan>', closing='</plan>')
    """
    words = setting.split()
    is_pair = len(words) == 2 and words[0] != words[1]
    return Tags(*words) if is_pair and not any(word[0].isalnum() for word in words) else None


@cache
def _with_tags(tags: Tags) -> re.Pattern[str]:
    patterns = {tag: re.escape(tag) for tag in tags}
    patterns[tags.closing] = f"(?P<own>{patterns[tags.closing]})"
    # The longer one first: one may begin with the other.
    own = "|".join(patterns[tag] for tag in sorted(tags, key=len, reverse=True))
    return re.compile(rf"(?-i:{own})|{_TAG.pattern}", re.IGNORECASE)


class Parted(NamedTuple):
    """A text in two: what a model thought, and what it said."""

    reasoning: str
    said: str
    is_ended: bool = True  # False: a thought was begun and never ended


def parted(text: str, tags: Tags | None = None) -> Parted:
    r"""The thought and the rest of a text: between tags, or before a tag that closes a thought.

    A thought that was begun and never ended leaves nothing: the answer was never given. Several
    thoughts are joined by an empty line. Tags of the model's own are read beside the known ones.

    >>> parted("<think>6?</think>7")
    Parted(reasoning='6?', said='7', is_ended=True)
    >>> parted("7<think>6?")
    Parted(reasoning='6?', said='7', is_ended=False)
    """
    if not any(sign in text for sign in (*_OPENINGS, *(tags or ()))):  # most texts
        return Parted("", text)
    if _CHANNEL in text:
        return _of_channels(text)
    said: list[str] = []
    thought: list[str] = []
    start, is_said = 0, True  # of what comes next, and what that is
    for tag in (tags.pattern if tags else _TAG).finditer(text):
        is_end = any(tag.groupdict().values())
        if is_end and is_said:  # it was opened in the prompt
            thought += [*said, text[start : tag.start()]]
            said.clear()
        elif is_end:
            thought.append(text[start : tag.start()])
        elif is_said:
            said.append(text[start : tag.start()])
        else:
            continue  # opened twice
        start, is_said = tag.end(), is_end
    (said if is_said else thought).append(text[start:])
    reasoning = "\n\n".join(part.strip() for part in thought if part.strip())
    return Parted(reasoning, "".join(said), is_said)


def _of_channels(text: str) -> Parted:
    """The last channel that is final is said, all before it is thought."""
    finals = list(_FINAL.finditer(text))
    if not finals:
        return Parted(_MARKERS.sub(" ", text).strip(), "", is_ended=False)
    last = finals[-1]
    said = text[last.end() :].partition("<|")[0]
    return Parted(_MARKERS.sub(" ", text[: last.start()]).strip(), said)


def with_thought_apart(sample: Sample, tags: Tags | None = None) -> Sample:
    """The sample with its thought in `reasoning`, as it was if it has one already or shows none.

    A thought that was not ended leaves no answer: such a sample is cut off, whatever ended it. Its
    tokens are told apart by characters, which is near enough for text.
    """
    if sample.reasoning or sample.status is Status.ERROR:
        return sample
    parts = parted(sample.text, tags)
    if parts.is_ended and parts.said == sample.text:
        return sample
    share = len(parts.reasoning) / max(1, len(parts.reasoning) + len(parts.said))
    is_cut = sample.status is Status.OK and not parts.is_ended
    return replace(
        sample,
        text=parts.said.lstrip("\n"),
        reasoning=parts.reasoning,
        reasoning_tokens=round(share * sample.generated_tokens),
        status=Status.TRUNCATED if is_cut else sample.status,
    )


def without_reasoning(text: str) -> str:
    r"""What is said in a text, without what a model thought.

    >>> [without_reasoning(t) for t in ("<think>6?</think>7", "6?</think>7", "7<think>6?")]
    ['7', '7', '7']
    """
    return parted(text).said
