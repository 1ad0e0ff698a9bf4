"""Makes samples of what OpenAI-compatible servers reply, whole or piece by piece.

A reply that is none is a failure, never half a sample.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nbest.model_backend.confidence_floor import FloorWatch
from nbest.model_backend.openai.failures import Broken
from nbest.model_backend.openai.wire import (
    NO_LOGPROB,
    Choice,
    Counts,
    Details,
    Likely,
    Logprobs,
    Part,
    Reply,
    Said,
)
from nbest.orchestrator.errors import BackendError, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status, TopLogprobs

SPARE_TOKENS = 16  # beyond max_tokens, for those that a server may count otherwise
LONGEST_TOKEN = 256  # characters
UNCOUNTED = 3  # tokens that a server may count and send no log-probability of: ends of turns

STATUS_OF_FINISH = {
    "stop": Status.OK,
    "eos": Status.OK,
    "eos_token": Status.OK,
    "length": Status.TRUNCATED,
    "max_tokens": Status.TRUNCATED,
    "repetition": Status.TRUNCATED,
    "content_filter": Status.UNPARSEABLE,
    "tool_calls": Status.UNPARSEABLE,
    "function_call": Status.UNPARSEABLE,
}


@dataclass(slots=True)
class Draft:
    """A sample while its pieces come."""

    params: SamplingParams
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # [T]
    likeliest: list[list[Likely]] = field(default_factory=list)  # [T] lists of k
    pieces: int = 0  # those that held anything that was generated
    characters: int = 0
    finish: str | None = None
    is_refusal: bool = False
    counts: Counts = field(default_factory=Counts)
    fingerprint: str = ""
    first_token_s: float = 0.0
    watch: FloorWatch | None = None

    def __post_init__(self) -> None:
        if self.params.floor is not None:
            self.watch = FloorWatch(self.params.floor)

    @property
    def has_fallen(self) -> bool:
        """Whether it is below its confidence floor, and so over."""
        return self.watch is not None and self.watch.fell

    @property
    def generated_tokens(self) -> int:
        """What was generated so far: as the server counts it, else as many as have come."""
        counted = self.counts.completion_tokens or 0
        return len(self.token_ids) or max(counted, len(self.logprobs), self._least_tokens())

    def _least_tokens(self) -> int:
        return self.pieces if self.counts.completion_tokens is None else 0

    def add(self, reply: Reply, elapsed_s: float) -> None:
        """Take a piece in, or a whole reply; BackendError if it is none of a sample."""
        self.fingerprint = reply.system_fingerprint or self.fingerprint
        self.counts = reply.usage or self.counts
        first = next((choice for choice in reply.choices or () if not choice.index), None)
        if first is not None and self.finish is None:  # what comes after an end is not part of it
            self._add_choice(first, elapsed_s)

    def _add_choice(self, choice: Choice, elapsed_s: float) -> None:
        said = choice.message or choice.delta or Said()
        text = _text_of(said.content) + (choice.text or "")
        thought = said.reasoning or said.reasoning_content or ""
        self.is_refusal |= bool(said.refusal)
        self.text.append(text)
        self.reasoning.append(thought)
        self.token_ids.extend(choice.token_ids or ())
        self._add_logprobs(choice.logprobs)
        if text or thought or choice.token_ids:
            self.pieces += 1
            self.first_token_s = self.first_token_s or elapsed_s
        self.characters += len(text) + len(thought)
        self.finish = choice.finish_reason or self.finish
        self._require_bounds()

    def _require_bounds(self) -> None:
        """Raise Broken where a server goes on and on, whatever it was asked for."""
        most = self.params.max_tokens + SPARE_TOKENS
        if len(self.token_ids) > most or self.characters > most * LONGEST_TOKEN:
            raise Broken(f"the server sends more than max_tokens, {self.params.max_tokens}")

    def _add_logprobs(self, logprobs: Logprobs | None) -> None:
        if logprobs is None or self.params.logprobs is None or self.has_fallen:
            return
        if logprobs.content is not None:
            rows = [(p.logprob, p.top_logprobs or []) for p in logprobs.content]
        else:
            rows = list(_rows_of_text(logprobs))
        for logprob, likeliest in rows:
            self.logprobs.append(min(0.0, max(NO_LOGPROB, logprob)))
            if self.params.logprobs:
                self.likeliest.append(_sorted(likeliest, self.params.logprobs))
            if self.watch is not None:
                self.watch.add([likely.logprob for likely in self.likeliest[-1]])


def _text_of(content: str | list[Part] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text or "" for part in content)


def _rows_of_text(logprobs: Logprobs) -> Iterable[tuple[float, list[Likely]]]:
    tops = logprobs.top_logprobs or []
    for place, logprob in enumerate(logprobs.token_logprobs or ()):
        top = (tops[place] if place < len(tops) else None) or {}
        likeliest = [Likely(token=t, logprob=_number(value)) for t, value in top.items()]
        yield _number(logprob), likeliest


def _number(logprob: float | None) -> float:
    return NO_LOGPROB if logprob is None else logprob


def _sorted(likeliest: Sequence[Likely], k: int) -> list[Likely]:
    """The k likeliest, likeliest first; RequestRejected if the server has sent far fewer.

    A few may be missing: in the reply to a raw text two tokens of one text are one entry. The least
    of those that are there stands for them, which is the most that they can be.
    """
    if len(likeliest) * 2 < k:
        what = f"{len(likeliest)} of the {k} likeliest tokens of a position"
        raise RequestRejected(f"the server has sent {what} (sampling.logprobs)")
    ordered = sorted(map(_clamped, likeliest), key=lambda likely: -likely.logprob)[:k]
    return ordered + ordered[-1:] * (k - len(ordered))


def _clamped(likely: Likely) -> Likely:
    logprob = min(0.0, max(NO_LOGPROB, likely.logprob))
    return likely if logprob == likely.logprob else Likely(token=likely.token, logprob=logprob)


def sample_of(
    request: Request, draft: Draft, total_s: float, engine: str, *, is_cancelled: bool = False
) -> Sample:
    """The sample that a draft has become; BackendError where the server has not ended it."""
    _require_logprobs(request.params, draft, is_cancelled=is_cancelled)
    text, is_stopped = _until_stop("".join(draft.text), request.params)
    reasoning = "".join(draft.reasoning)
    status = Status.CANCELLED
    if not is_cancelled:
        status = Status.OK if is_stopped else _status(request, draft, text, reasoning)
    return Sample(
        id=request.id,
        text=text,
        reasoning=reasoning,
        token_ids=tuple(draft.token_ids),
        logprobs=None if request.params.logprobs is None else tuple(draft.logprobs),
        top_logprobs=_top_logprobs(request.params, draft),
        status=status,
        prompt_tokens=draft.counts.prompt_tokens or 0,
        cached_tokens=min(
            draft.counts.prompt_tokens or 0,
            _detail(draft.counts.prompt_tokens_details, "cached_tokens"),
        ),
        generated_tokens=draft.generated_tokens,
        reasoning_tokens=_reasoning_tokens(draft, text, reasoning),
        first_token_s=draft.first_token_s,
        total_s=total_s,
        engine=f"{engine}@{draft.fingerprint}" if draft.fingerprint else engine,
    )


def _until_stop(text: str, params: SamplingParams) -> tuple[str, bool]:
    """The text until the first stop string, and whether there was one that the server let pass."""
    if params.include_stop_str_in_output:
        return text, False
    places = [place for stop in params.stop if (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _status(request: Request, draft: Draft, text: str, reasoning: str) -> Status:
    if draft.has_fallen:
        return Status.TRUNCATED
    if draft.finish == "abort":  # of its own accord: nobody here has asked for it
        raise Broken("the server aborted the sample")
    status = STATUS_OF_FINISH.get(draft.finish or "")
    if status is None:
        raise BackendError(f"the server ended {request.id} with {draft.finish!r}")
    if draft.is_refusal and not text:
        return Status.UNPARSEABLE
    if status is Status.OK and reasoning and not text.strip():
        return Status.TRUNCATED  # the thought has not come to an answer
    return status


def _require_logprobs(params: SamplingParams, draft: Draft, *, is_cancelled: bool) -> None:
    """Refuse a sample without the log-probabilities that were asked for: scorers would be blind."""
    if params.logprobs is None or is_cancelled or not draft.generated_tokens:
        return
    if not draft.logprobs:
        raise RequestRejected("the server has sent no log-probabilities (sampling.logprobs)")
    found, exact = len(draft.logprobs), len(draft.token_ids)
    counted = draft.counts.completion_tokens
    thought = _detail(draft.counts.completion_tokens_details, "reasoning_tokens")
    if exact:
        fits = found == exact
    elif counted is not None:
        fits = any(0 <= c - found <= UNCOUNTED for c in (counted, counted - thought))
    else:
        fits = True
    if not fits:
        what = f"{found} log-probabilities for {exact or counted} tokens"
        raise BackendError(f"the server has sent {what}")


def _top_logprobs(params: SamplingParams, draft: Draft) -> TopLogprobs | None:
    if not params.logprobs:
        return None
    rows = [likely for row in draft.likeliest for likely in row]
    texts = tuple(likely.token for likely in rows) if params.token_texts else ()
    packed = array("f", (likely.logprob for likely in rows)).tobytes()
    return TopLogprobs(k=params.logprobs, packed=packed, texts=texts)


def _detail(details: Details | None, name: str) -> int:
    return int(getattr(details, name, None) or 0)


def _reasoning_tokens(draft: Draft, text: str, reasoning: str) -> int:
    """The tokens of the thought, as the server counts them, else by the share of characters."""
    counted = _detail(draft.counts.completion_tokens_details, "reasoning_tokens")
    if counted or not reasoning:
        return min(counted, draft.generated_tokens)
    return math.floor(draft.generated_tokens * len(reasoning) / (len(reasoning) + len(text)))
