"""A fake model that answers in steps, of which each is right with a known chance.

What a search over it should win is known in closed form; `nbest bench search` compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.requirements import require, require_share
from nbest.orchestrator.types import Request

RIGHT, WRONG = "right", "wrong"
_SERIALS = 2**20  # so that two steps hardly ever say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainScript:
    """A script of answers of `depth` steps; a line each, the last one ends the text.

    After a step that is wrong, all others are. A line says `right 4711` or `wrong 4711`, whose
    number is any; the last line ends in `answer 1` where all steps are right, else in another
    number. What a step is follows from the seed of its request, what comes before from its prefix.

    Example: `ChainScript(depth=8, p=0.8)`
    """

    depth: int
    p: float  # the chance that a step is right where all before it are
    gap: float = 0.0  # nats by which a wrong step is less likely to the model, beside its noise
    step_tokens: int = 1
    first_token_s: float = 0.0
    token_s: float = 0.0

    def __post_init__(self) -> None:
        require(self.depth >= 1, "depth", "be at least 1", self.depth)
        require_share("p", self.p)
        require(self.gap >= 0.0, "gap", "be at least 0", self.gap)
        require(self.step_tokens >= 1, "step_tokens", "be at least 1", self.step_tokens)

    def __call__(self, request: Request) -> Reply:
        """The rest of the answer after the prefix; the parameters of the request cut it."""
        ids = _ids_of(request)
        steps, within = divmod(len(ids), self.step_tokens)
        is_right = all(token % 2 for token in ids[:: self.step_tokens])
        rng = np.random.default_rng(request.seed)
        token_ids: list[int] = []
        texts: list[str] = []
        logprobs: list[float] = []
        for step in range(steps, self.depth):
            is_begun = within > 0 and step == steps  # what it is was decided with its first token
            is_right = is_right and (is_begun or bool(rng.random() < self.p))
            serial = int(rng.integers(_SERIALS))
            last = "" if step < self.depth - 1 else f" answer {1 if is_right else 2 + serial % 3}"
            line = f"{RIGHT if is_right else WRONG} {serial}{last}"
            end = "\n" if step < self.depth - 1 else ""
            texts += [line, *[" ."] * (self.step_tokens - 1)]
            texts[-1] += end
            token_ids += [2 * serial + is_right, *range(1, self.step_tokens)]
            logprob = -float(rng.exponential()) - (0.0 if is_right else self.gap)
            logprobs += [logprob] * self.step_tokens
        return Reply(
            tokens=tuple(texts[within:]),
            token_ids=tuple(token_ids[within:]),
            logprobs=tuple(logprobs[within:]),
            first_token_s=self.first_token_s,
            token_s=self.token_s,
            prompt_tokens=1 + len(ids),
        )


def _ids_of(request: Request) -> Sequence[int]:
    """The token ids of a prefix; RequestRejected where it holds a text, which has none here."""
    ids = [part for part in request.prefix or () if isinstance(part, int)]
    if len(ids) < len(request.prefix or ()):
        raise RequestRejected("the fake model of chains reads no text in a prefix")
    return ids
