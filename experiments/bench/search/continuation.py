"""Whether a greedy answer in steps is the answer in one: what a search builds on.

A step goes on after the token ids of those before it, never after their text, which a tokenizer
might cut in other places.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request

STEPS, STEP_TOKENS = 8, 8
TOPICS = ("rivers", "bread", "a lighthouse", "chess", "old maps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How steps compare with whole answers."""

    steps: int  # that were drawn after others
    read: int  # of these, those whose prompt was as long as the ids before it
    answers: int
    same: int  # of these, those whose steps joined are the answer in one, token for token

    def as_json(self) -> dict[str, object]:
        """What `--json` prints."""
        return asdict(self)


async def measured_continuation(live: Backend, answers: int) -> Continuation:
    """Draw so many greedy answers, each once in one and once in steps."""
    read = same = 0
    for number in range(answers):
        prompt = f"{number + 2} facts about {TOPICS[number % len(TOPICS)]}:\n1."
        whole = await live.generate(_request(f"whole{number}", prompt, STEPS * STEP_TOKENS, None))
        ids: tuple[int, ...] = ()
        for step in range(STEPS):
            name = f"whole{number}/s{step}"
            part = await live.generate(_request(name, prompt, STEP_TOKENS, ids))
            read += step > 0 and part.prompt_tokens == whole.prompt_tokens + len(ids)
            ids += part.token_ids
        same += ids == whole.token_ids
    return Continuation(steps=answers * (STEPS - 1), read=read, answers=answers, same=same)


def _request(name: str, prompt: str, max_tokens: int, prefix: tuple[int, ...] | None) -> Request:
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens, ignore_eos=True)
    return Request(id=name, prompt=prompt, params=params, seed=1, prefix=prefix)
