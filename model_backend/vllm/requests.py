"""Converts between our types and vLLM's: requests to SamplingParams, outputs to samples."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING

from nbest.model_backend.confidence_floor import FloorWatch
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.sampling_params import Constraint
from nbest.orchestrator.sampling_params import SamplingParams as Params
from nbest.orchestrator.types import Request, Sample, Status, TopLogprobs

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.outputs import CompletionOutput
    from vllm.sampling_params import StructuredOutputsParams

# Read from finish_reason alone: stop_reason is None for an end of text and for a limit alike.
STATUS_OF_FINISH = {
    "stop": Status.OK,
    "length": Status.TRUNCATED,
    "repetition": Status.TRUNCATED,
    "abort": Status.CANCELLED,
}


def vllm_params(request: Request) -> SamplingParams:
    """Put every field of ours under vLLM's name; one sample, reported when it is whole."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    params = request.params
    return SamplingParams(
        n=1,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        min_p=params.min_p,
        presence_penalty=params.presence_penalty,
        frequency_penalty=params.frequency_penalty,
        repetition_penalty=params.repetition_penalty,
        max_tokens=params.max_tokens,
        min_tokens=params.min_tokens,
        stop=list(params.stop),
        stop_token_ids=list(params.stop_token_ids),
        include_stop_str_in_output=params.include_stop_str_in_output,
        ignore_eos=params.ignore_eos,
        bad_words=list(params.bad_words),
        allowed_token_ids=list(params.allowed_token_ids) or None,
        logit_bias=dict(params.logit_bias) or None,
        skip_special_tokens=params.skip_special_tokens,
        spaces_between_special_tokens=params.spaces_between_special_tokens,
        logprobs=params.logprobs,
        flat_logprobs=params.logprobs is not None,
        seed=request.seed,
        thinking_token_budget=None if params.thinking is None else params.thinking.budget,
        structured_outputs=structured_outputs(params.constraint),
        # A floor is watched over while tokens come.
        output_kind=RequestOutputKind.CUMULATIVE if params.floor else RequestOutputKind.FINAL_ONLY,
    )


def rating_params() -> SamplingParams:
    """Ask for the log-probabilities of the prompt's tokens; vLLM insists on a token more."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=1,
        temperature=0.0,
        max_tokens=1,
        prompt_logprobs=0,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def rating_of(
    request: Request, output: RequestOutput, count: int, total_s: float, engine: str = ""
) -> Sample:
    """Return the log-probabilities of the last `count` tokens that were read, as a rating."""
    read, status = output.prompt_token_ids or [], _status_of(request, output)
    logprobs: list[float] = []
    if status is not Status.CANCELLED:
        positions = list(zip(read, output.prompt_logprobs or [], strict=True))
        rated = positions[len(read) - count :]
        logprobs = [by_id[token].logprob for token, by_id in rated if by_id]
    return Sample(
        id=request.id,
        text=json.dumps(logprobs),
        status=status if status is Status.CANCELLED else Status.OK,  # cut off after one token
        prompt_tokens=len(read),
        cached_tokens=output.num_cached_tokens or 0,
        total_s=total_s,
        engine=engine,
    )


def falls_now(watch: FloorWatch, output: RequestOutput) -> bool:
    """Tell whether the sample falls below its floor in the new positions of this output."""
    from vllm.logprobs import FlatLogprobs

    (completion,) = output.outputs
    flat = completion.logprobs
    assert isinstance(flat, FlatLogprobs)  # asked for in vllm_params
    had_fallen = watch.fell
    for i in range(watch.seen, len(flat.start_indices)):
        # After the sampled token come the likeliest ones.
        watch.add(flat.logprobs[flat.start_indices[i] + 1 : flat.end_indices[i]])
    return watch.fell and not had_fallen


def structured_outputs(constraint: Constraint | None) -> StructuredOutputsParams | None:
    """Return a constraint in vLLM's terms."""
    from vllm.sampling_params import StructuredOutputsParams

    if constraint is None:
        return None
    return StructuredOutputsParams(
        json=constraint.json,
        regex=constraint.regex,
        choice=None if constraint.choice is None else list(constraint.choice),
        grammar=constraint.grammar,
    )


def sample_of(request: Request, output: RequestOutput, total_s: float, engine: str = "") -> Sample:
    """Return the sample in the output of a request that asked for one."""
    (completion,) = output.outputs
    status = _status_of(request, output)
    return Sample(
        id=request.id,
        text=completion.text,
        token_ids=tuple(completion.token_ids),
        logprobs=sampled_logprobs(completion),
        top_logprobs=top_logprobs(completion, request.params),
        status=status,
        stop="" if completion.stop_reason is None else str(completion.stop_reason),
        prompt_tokens=len(output.prompt_token_ids or ()),
        cached_tokens=output.num_cached_tokens or 0,
        generated_tokens=len(completion.token_ids),
        first_token_s=output.metrics.first_token_latency if output.metrics else 0.0,
        total_s=total_s,
        engine=engine,
    )


def _status_of(request: Request, output: RequestOutput) -> Status:
    (completion,) = output.outputs
    status = STATUS_OF_FINISH.get(str(completion.finish_reason))
    if status is None:
        raise BackendError(f"the engine ended {request.id} with {completion.finish_reason!r}")
    return status


def sampled_logprobs(completion: CompletionOutput) -> tuple[float, ...] | None:
    """Return the log-probabilities [T] of the sampled tokens, the first entry of each position."""
    from vllm.logprobs import FlatLogprobs

    if completion.logprobs is None:
        return None
    assert isinstance(completion.logprobs, FlatLogprobs)  # asked for in vllm_params
    values = completion.logprobs.logprobs
    return tuple(values[start] for start in completion.logprobs.start_indices)


def top_logprobs(completion: CompletionOutput, params: Params) -> TopLogprobs | None:
    """Return the log-probabilities [T, k] of the k likeliest tokens, which follow the sampled one.

    The sampled token is there again if it is among them.
    """
    from vllm.logprobs import FlatLogprobs

    if not params.logprobs or completion.logprobs is None:
        return None
    flat = completion.logprobs
    assert isinstance(flat, FlatLogprobs)
    pairs = zip(flat.start_indices, flat.end_indices, strict=True)
    spans = [range(start + 1, end) for start, end in pairs]
    values = array("f", (flat.logprobs[i] for span in spans for i in span))
    texts = [flat.decoded_tokens[i] or "" for span in spans for i in span]
    return TopLogprobs(
        k=params.logprobs,
        packed=values.tobytes(),
        texts=tuple(texts) if params.token_texts else (),
    )
