"""A judge compares two candidates, in both orders.

Judges favour a slot (Wang et al. 2023, arXiv 2305.17926), so a pair is asked both ways round: what
the slot gives to one of the two in the one order it takes away in the other, and exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Ask, Query
from nbest.scorers.judges.distinct import content_hash
from nbest.scorers.judges.prompt import JudgePrompt, ask_each, built, judge_prompt
from nbest.scorers.judges.reply import preference_of
from nbest.scorers.sandboxes.threads import in_turns

NAME = "tournament"
BATCH_CHARACTERS = 8_000_000

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseJudge:
    """Compares pairs of entrants, which it knows by their places in `texts`."""

    query: Query
    texts: Sequence[str]  # [D] of the entrants
    criterion: str
    swap: bool
    ask: Ask
    params: SamplingParams

    async def margins(self, pairs: Sequence[Pair]) -> list[float]:
        """How much the first of each pair is preferred: from -1/2 to 1/2, nan for no verdict.

        With `swap` there is a verdict only where both orders could be read: one alone would be as
        partial as the judge.
        """
        slots = [self._slots(pair) async for pair in in_turns(pairs)]
        orders = [
            order for pair in slots for order in ((pair, pair[::-1]) if self.swap else (pair,))
        ]
        preferences: list[float] = []
        for some in self._batches(orders):
            characters = sum(len(self.texts[place]) for order in some for place in order)
            prompts = await built(lambda order: self._prompt(*order), some, characters)
            replies = await ask_each(self.ask, NAME, prompts, self.params)
            preferences += map(preference_of, prompts, replies)
        if self.swap:
            one_way, other_way = preferences[::2], preferences[1::2]
            margins = [(p - q) / 2 for p, q in zip(one_way, other_way, strict=True)]
        else:
            margins = [p - 0.5 for p in preferences]
        signs = [1 if slot == pair else -1 for slot, pair in zip(slots, pairs, strict=True)]
        return [sign * margin for sign, margin in zip(signs, margins, strict=True)]

    def _batches(self, orders: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
        """Pairs whose prompts are in memory together: all of them, unless the texts are long."""
        begin, characters = 0, 0
        for end, (a, b) in enumerate(orders):
            characters += len(self.texts[a]) + len(self.texts[b])
            if characters > BATCH_CHARACTERS:
                yield orders[begin : end + 1]
                begin, characters = end + 1, 0
        if begin < len(orders):
            yield orders[begin:]

    def _slots(self, pair: Pair) -> Pair:
        """The pair in the order of its slots: a coin that only the two texts decide."""
        i, j = sorted(pair, key=lambda k: self.texts[k])
        is_heads = int(content_hash(self.texts[i], self.texts[j]), 16) % 2 == 0
        return (i, j) if is_heads else (j, i)

    def _prompt(self, a: int, b: int) -> JudgePrompt:
        task = f"{self.criterion}\nWhich response is better? Reply with A or B alone."
        blocks = [("Response A", self.texts[a]), ("Response B", self.texts[b])]
        return judge_prompt(self.query, blocks, task, "Better response:")
