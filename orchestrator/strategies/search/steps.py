"""Steps of an answer, chains of them, and the rules by which a chain goes on or has ended."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nbest.orchestrator.reasoning import parted
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Path, Sample, Status, TopLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a step of an answer ends.

    Example: `Step(stop=("\\n",), max_tokens=60)`
    """

    stop: tuple[str, ...] = ("\n\n",)  # the text of the step keeps it
    stop_token_ids: tuple[int, ...] = ()
    max_tokens: int = 256  # a step that is as long goes on in the next one
    final: str = ""  # an answer that says this ends with the step; empty: only the model ends it

    def __post_init__(self) -> None:
        has_any = bool(self.stop or self.stop_token_ids)
        require(has_any, "step.stop", "be given, or stop_token_ids", self.stop)
        require(self.max_tokens >= 1, "step.max_tokens", "be at least 1", self.max_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The steps from the root to a node."""

    path: Path = ()
    steps: tuple[Sample, ...] = ()

    @property
    def prefix(self) -> tuple[int, ...]:
        """All token ids that were generated on the way, in their order."""
        return tuple(token for step in self.steps for token in step.token_ids)

    @property
    def text(self) -> str:
        """What the steps say together."""
        return "".join(step.text for step in self.steps)

    @property
    def num_tokens(self) -> int:
        """The tokens that were generated on the way."""
        return sum(step.generated_tokens for step in self.steps)

    def with_step(self, child: int, step: Sample) -> Chain:
        """The chain with one step more."""
        return Chain(path=(*self.path, child), steps=(*self.steps, step))

    def joined(self) -> Sample:
        """The chain as one sample: what it says, and what its steps cost together."""
        first, last = self.steps[0], self.steps[-1]
        return replace(
            last,
            text=self.text,
            token_ids=self.prefix,
            logprobs=_joined_logprobs(self.steps),
            top_logprobs=_joined_top(self.steps),
            prompt_tokens=first.prompt_tokens,
            cached_tokens=first.cached_tokens,
            generated_tokens=self.num_tokens,
            first_token_s=first.first_token_s,
            total_s=sum(step.total_s for step in self.steps),
        )


def _joined_logprobs(steps: Sequence[Sample]) -> tuple[float, ...] | None:
    parts = [step.logprobs for step in steps if step.logprobs is not None]
    return tuple(value for part in parts for value in part) if len(parts) == len(steps) else None


def _joined_top(steps: Sequence[Sample]) -> TopLogprobs | None:
    tops = [step.top_logprobs for step in steps if step.top_logprobs is not None]
    if not tops or len(tops) < len(steps):
        return None
    packed = array("f")
    for top in tops:
        packed.frombytes(top.packed)
    texts = tuple(text for top in tops for text in top.texts)
    return TopLogprobs(k=tops[0].k, packed=packed.tobytes(), texts=texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRules:
    """Where the steps of an answer end, and where the answer does."""

    params: SamplingParams  # of a whole answer: max_tokens are those of a chain
    step: Step
    max_steps: int  # the last one has no stop, unless an answer says by a text that it has ended

    def params_after(self, chain: Chain) -> SamplingParams:
        """The parameters of the step that follows a chain: a function of the chain alone."""
        left = self.params.max_tokens - chain.num_tokens
        if len(chain.steps) + 1 == self.max_steps and not self.step.final:
            return replace(self.params, max_tokens=left)
        return replace(
            self.params,
            max_tokens=min(self.step.max_tokens, left),
            stop=(*self.params.stop, *self.step.stop),
            stop_token_ids=(*self.params.stop_token_ids, *self.step.stop_token_ids),
            include_stop_str_in_output=True,
        )

    def goes_on(self, chain: Chain) -> bool:
        """Whether another step may come after the last one of a chain."""
        last = chain.steps[-1]
        if last.status not in (Status.OK, Status.TRUNCATED) or self._says_its_end(chain):
            return False
        if len(chain.steps) >= self.max_steps or chain.num_tokens >= self.params.max_tokens:
            return False
        if last.status is Status.TRUNCATED:  # by the limit of a step, or by the model's own length
            before = Chain(path=chain.path[:-1], steps=chain.steps[:-1])
            return last.generated_tokens >= self.params_after(before).max_tokens
        return self._ends_a_step(last)

    def whole(self, chain: Chain) -> Sample:
        """A chain that has ended, as a sample; truncated if its text had not come to its end.

        The text is that of a single request: it ends before a stop of the answer, though that may
        have begun in one step and ended in the next.
        """
        sample, cut = chain.joined(), self._cut(chain.text)
        if sample.status not in (Status.OK, Status.TRUNCATED):
            return sample
        if cut is not None:
            return replace(sample, text=sample.text[:cut], status=Status.OK)
        if self._is_final(chain):
            return sample
        is_step = sample.status is Status.OK and self._ends_a_step(chain.steps[-1])
        return replace(sample, status=Status.TRUNCATED) if is_step else sample

    def _says_its_end(self, chain: Chain) -> bool:
        return self._is_final(chain) or self._cut(chain.text) is not None

    def _is_final(self, chain: Chain) -> bool:
        """Whether the answer, and not its thought, says that it ends with this step."""
        is_whole = bool(self.step.final) and chain.steps[-1].status is Status.OK
        return is_whole and self.step.final in parted(chain.text).said

    def _cut(self, text: str) -> int | None:
        """Where a text ends by a stop of the answer; None where it holds none."""
        found = [(text.index(stop), stop) for stop in self.params.stop if stop in text]
        if not found:
            return None
        place, stop = min(found)
        return place + len(stop) * self.params.include_stop_str_in_output

    def _ends_a_step(self, step: Sample) -> bool:
        """Whether a step ended as steps do, and not as answers do."""
        of_answers = {*self.params.stop, *map(str, self.params.stop_token_ids)}
        ends = {*self.step.stop, *map(str, self.step.stop_token_ids)}
        return step.stop in ends - of_answers
