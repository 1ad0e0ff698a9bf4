"""Process reward models: a response in steps, and where in the input each step gets its number.

Lightman et al. 2023 (arXiv 2305.20050); Zhang et al. 2025 (arXiv 2501.07301), whose models read a
special token, the tag, after every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbest.model_backend.reward.text import Tokenizer, reward_ids
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Marks the steps of a response as a process model wants them.

    Example: `Steps(tag="<extra_0>")`
    """

    tag: str  # one token, put after every step; the model's number is read there
    separator: str = "\n\n"  # what parts the steps of a response
    label: int = -1  # which of the model's labels says that a step is right

    def __post_init__(self) -> None:
        require(bool(self.tag), "tag", "be the token after each step", self.tag)
        require(bool(self.separator), "separator", "hold a text", self.separator)

    def with_tags(self, response: str) -> str:
        """Return the response with the tag after every step, and no separator.

        A tag that the response holds itself is taken out: it would add steps of its own.
        """
        own = response.replace(self.tag, "")
        while self.tag in own:  # as in "<ex<extra_0>tra_0>"
            own = own.replace(self.tag, "")
        steps = [step.strip() for step in own.split(self.separator)]
        return "".join(f"{step}{self.tag}" for step in steps if step)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIds:
    """The input of a process model."""

    ids: tuple[int, ...]  # [T]
    places: tuple[int, ...]  # [S] where the tags are, in order


def process_ids(
    tokenizer: Tokenizer,
    prompt: str | tuple[Message, ...],
    response: str,
    steps: Steps,
    max_tokens: int,
) -> ProcessIds:
    """Return the ids of a response with tags after its prompt, and where the tags are.

    Nothing is ever cut: without its first steps, a response would look better than it is.
    RequestRejected where it is too long, where it has no step, and where the tag is no token.
    """
    tag = tokenizer.encode(steps.tag, add_special_tokens=False)
    if len(tag) != 1:
        raise RequestRejected(f"steps.tag must be one token of the model, got {steps.tag!r}")
    tagged = steps.with_tags(response)
    if not tagged:
        raise RequestRejected("a response must hold a step to be rated, got one without any")
    ids = reward_ids(tokenizer, prompt, tagged, max_tokens=2**31).ids
    if len(ids) > max_tokens:
        rule = f"fit into the {max_tokens} tokens of the process model"
        raise RequestRejected(f"question and response must {rule}, got {len(ids)}")
    num_steps = tagged.count(steps.tag)
    # The last ones are those of the response: the question may hold the tag, too.
    places = tuple(place for place, token in enumerate(ids) if token == tag[0])[-num_steps:]
    if len(places) < num_steps:
        raise RequestRejected(f"every step must have a tag, got {len(places)} for {num_steps}")
    return ProcessIds(ids=ids, places=places)
