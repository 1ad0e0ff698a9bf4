"""How a scorer puts questions to the model: many at once where that is possible.

The one who answers may offer `together`, as the sampler of a run does; else it is asked one by one.
Both ways give the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Ask, Candidates, Message, Sample, SamplingParams
from nbest.scorers.judges.prompt import JudgePrompt

AskTogether = Callable[
    [str, Sequence[str | tuple[Message, ...]], SamplingParams], Awaitable[tuple[Sample, ...]]
]


def ask_of(candidates: Candidates, name: str) -> Ask:
    """Whom to ask; InputError where there is nobody."""
    if candidates.ask is None:
        raise InputError(f"{name} needs a model to ask: use it in `nbest run` or `nbest ask`")
    return candidates.ask


async def ask_each(
    ask: Ask, name: str, asked: Sequence[JudgePrompt], params: SamplingParams
) -> tuple[Sample, ...]:
    """The replies to these prompts, in their order."""
    prompts = [each.prompt for each in asked]
    together: AskTogether | None = getattr(ask, "together", None)
    if together is not None:
        return await together(name, prompts, params)
    return tuple([await ask(name, prompt, params) for prompt in prompts])
