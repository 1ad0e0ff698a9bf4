"""Our types become vLLM's and back, without an engine: nothing is lost on the way.

Promise 6 for what a request holds: every field of it changes what vLLM is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, cast

import pytest

from nbest.model_backend.vllm.requests import STATUS_OF_FINISH, sample_of, vllm_params
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.sampling_params import Constraint, SamplingParams, Thinking
from nbest.orchestrator.types import Request, Sample, Status

PLAIN = Request(id="r/q/s0", prompt="?", params=SamplingParams(temperature=0.7), seed=1)

# Another value for every field of SamplingParams, and where vLLM must show it.
PARAMS: dict[str, tuple[object, dict[str, object]]] = {
    "temperature": (0.3, {"temperature": 0.3}),
    "top_p": (0.9, {"top_p": 0.9}),
    "top_k": (40, {"top_k": 40}),
    "min_p": (0.05, {"min_p": 0.05}),
    "max_tokens": (9, {"max_tokens": 9}),
    "stop": (("\n", "Q:"), {"stop": ["\n", "Q:"]}),
    "logprobs": (0, {"logprobs": 0, "flat_logprobs": True}),
    "presence_penalty": (0.5, {"presence_penalty": 0.5}),
    "frequency_penalty": (-0.5, {"frequency_penalty": -0.5}),
    "repetition_penalty": (1.2, {"repetition_penalty": 1.2}),
    "min_tokens": (3, {"min_tokens": 3}),
    "stop_token_ids": ((5, 7), {"stop_token_ids": [5, 7]}),
    "include_stop_str_in_output": (True, {"include_stop_str_in_output": True}),
    "ignore_eos": (True, {"ignore_eos": True}),
    "bad_words": (("no",), {"bad_words": ["no"]}),
    "allowed_token_ids": ((1, 2), {"allowed_token_ids": [1, 2]}),
    "logit_bias": (((3, -1.5),), {"logit_bias": {3: -1.5}}),
    "skip_special_tokens": (False, {"skip_special_tokens": False}),
    "spaces_between_special_tokens": (False, {"spaces_between_special_tokens": False}),
    "thinking": (Thinking(budget=7), {"thinking_token_budget": 7}),  # the rest is the template's
}

CONSTRAINTS: dict[str, Constraint] = {
    "json": Constraint(json='{"type": "integer"}'),
    "regex": Constraint(regex=r"\d+"),
    "choice": Constraint(choice=("yes", "no")),
    "grammar": Constraint(grammar='root ::= "a"'),
}

# Fields of a request that are no sampling parameters of vLLM's, and where they go instead.
# vLLM has the texts in any case; a floor is watched over by us.
OUR_OWN = {"token_texts", "floor"}
ELSEWHERE = {
    "id": "argument of generate",
    "prompt": "token ids",
    "prefix": "token ids, after those of the prompt",
    "affinity": "the pool's",
}


@pytest.fixture(autouse=True, scope="module")
def vllm() -> None:
    """vLLM takes ten seconds to import, so only these tests do it, and once."""
    pytest.importorskip("vllm")


def vllm_settings(request: Request) -> dict[str, object]:
    """Return every setting of the sampling parameters that vLLM would get."""
    params = vllm_params(request)
    return {name: getattr(params, name) for name in params.__struct_fields__}


def changed(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in after.items() if value != before[name]}


@pytest.mark.parametrize("name", PARAMS)
def test_every_sampling_parameter_reaches_vllm(name: str) -> None:
    value, expected = PARAMS[name]
    request = replace(PLAIN, params=replace(PLAIN.params, **{name: value}))  # type: ignore[arg-type]
    changes = changed(vllm_settings(PLAIN), vllm_settings(request))
    assert {key: changes.get(key) for key in expected} == expected
    derived = {"output_text_buffer_length", "_all_stop_token_ids"}  # that vLLM works out itself
    assert set(changes) - derived == set(expected)


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_every_constraint_reaches_vllm(kind: str) -> None:
    constraint = CONSTRAINTS[kind]
    request = replace(PLAIN, params=replace(PLAIN.params, constraint=constraint))
    outputs = vllm_params(request).structured_outputs
    value = getattr(constraint, kind)
    assert getattr(outputs, kind) == (list(value) if isinstance(value, tuple) else value)
    others = set(CONSTRAINTS) - {kind}
    assert [getattr(outputs, other) for other in others] == [None] * 3
    assert vllm_params(PLAIN).structured_outputs is None


def test_the_seed_reaches_vllm() -> None:
    assert changed(vllm_settings(PLAIN), vllm_settings(replace(PLAIN, seed=2**53 - 1))) == {
        "seed": 2**53 - 1
    }
    assert vllm_params(replace(PLAIN, seed=None)).seed is None


def test_no_field_is_without_a_test() -> None:
    """A new field of ours must be mapped, and added to a table above."""
    assert {f.name for f in fields(SamplingParams)} == {*PARAMS, *OUR_OWN, "constraint"}
    assert {f.name for f in fields(Constraint)} == set(CONSTRAINTS)
    assert {f.name for f in fields(Request)} == {*ELSEWHERE, "params", "seed", "response"}


def test_greedy_is_greedy_whatever_else_is_set() -> None:
    params = SamplingParams(temperature=0.0, top_p=0.5, top_k=9)
    greedy = vllm_params(replace(PLAIN, params=params))
    assert greedy.temperature == 0.0


def test_one_request_is_one_sample_reported_once() -> None:
    from vllm.sampling_params import RequestOutputKind

    params = vllm_params(PLAIN)
    assert (params.n, params.output_kind) == (1, RequestOutputKind.FINAL_ONLY)
    assert params.prompt_logprobs is None  # they would fill the memory


# The way back.


def output(
    finish: str | None = "stop",
    *,
    logprobs: Sequence[Sequence[float]] | None = None,
    cached: int | None = 4,
    has_metrics: bool = True,
    completions: int = 1,
) -> Any:
    """Make what vLLM returns; `logprobs[i]` are those of position i, the sampled token's first."""
    from vllm import RequestOutput
    from vllm.outputs import CompletionOutput
    from vllm.v1.metrics.stats import RequestStateStats

    completion = CompletionOutput(
        index=0,
        text=" 42",
        token_ids=[5, 6, 7],
        cumulative_logprob=None,
        logprobs=None if logprobs is None else flat(logprobs),
        finish_reason=finish,
        stop_reason=None,
    )
    return RequestOutput(
        request_id="internal",
        prompt=None,
        prompt_token_ids=[1, 2, 3, 4, 5, 6],
        prompt_logprobs=None,
        outputs=[completion] * completions,
        finished=True,
        metrics=RequestStateStats(first_token_latency=0.25) if has_metrics else None,
        num_cached_tokens=cached,
    )


def flat(logprobs: Sequence[Sequence[float]]) -> Any:
    from vllm.logprobs import FlatLogprobs

    flat_logprobs = FlatLogprobs()
    for position in logprobs:
        ranks = cast("Any", range(1, len(position) + 1))
        ids = list(range(len(position)))
        flat_logprobs.append_fast(ids, list(position), ranks, [str(i) for i in ids])
    return flat_logprobs


def test_a_sample_holds_all_that_came_back() -> None:
    assert sample_of(PLAIN, output(logprobs=[[-0.5], [-0.25], [-1.0]]), 1.5, "e0") == Sample(
        id="r/q/s0",
        text=" 42",
        token_ids=(5, 6, 7),
        logprobs=(-0.5, -0.25, -1.0),
        status=Status.OK,
        prompt_tokens=6,
        cached_tokens=4,
        generated_tokens=3,
        first_token_s=0.25,
        total_s=1.5,
        engine="e0",
    )


def test_every_field_of_a_sample_is_filled() -> None:
    """Only the error stays empty, and what is known later; the status has its default.

    This one ended by itself, so there is no stop either.
    """
    sample = sample_of(PLAIN, output(logprobs=[[-0.5], [-0.25], [-1.0]]), 1.5, "e0")
    blank = Sample(id="", text="")
    unfilled = {f.name for f in fields(Sample) if getattr(sample, f.name) == getattr(blank, f.name)}
    later = {"reasoning", "reasoning_tokens", "arm"}  # when a sample is parted, and stored
    assert unfilled == {"status", "error", "stop", "top_logprobs", *later}


@pytest.mark.parametrize("reason", ["\n", 198])
def test_what_ended_a_sample_is_kept(reason: str | int) -> None:
    ended = output()
    ended.outputs[0].stop_reason = reason
    assert sample_of(PLAIN, ended, total_s=1.0).stop == str(reason)


@pytest.mark.parametrize(
    ("finish", "status"),
    [
        ("stop", Status.OK),
        ("length", Status.TRUNCATED),
        ("repetition", Status.TRUNCATED),
        ("abort", Status.CANCELLED),
    ],
)
def test_the_status_is_the_finish_reason(finish: str, status: Status) -> None:
    assert STATUS_OF_FINISH[finish] is status
    assert sample_of(PLAIN, output(finish), total_s=1.0).status is status


@pytest.mark.parametrize("finish", ["error", "something new", None])
def test_an_unknown_finish_reason_is_a_failure_and_no_answer(finish: str | None) -> None:
    with pytest.raises(BackendError) as caught:
        sample_of(PLAIN, output(finish), total_s=1.0)
    assert str(caught.value) == f"the engine ended r/q/s0 with {finish!r}"


def test_the_logprob_of_a_position_is_that_of_the_sampled_token() -> None:
    """vLLM puts it first, whatever top k follows it, and adds an entry if it is outside of them."""
    vllm_output = output(logprobs=[[-0.5, -0.5, -1.0], [-9.0, -0.1, -0.2, -0.3], [-1.0, -1.0]])
    assert sample_of(PLAIN, vllm_output, total_s=1.0).logprobs == (-0.5, -9.0, -1.0)


@pytest.mark.parametrize("has_texts", [False, True])
def test_the_top_logprobs_are_those_after_the_sampled_one(has_texts: bool) -> None:
    """It is there once more if it is among the likeliest, and left out if it is not."""
    vllm_output = output(logprobs=[[-1.0, -0.5, -1.0], [-9.0, -0.25, -2.0], [-0.5, -0.5, -1.0]])
    params = replace(PLAIN.params, logprobs=2, token_texts=has_texts)
    top = sample_of(replace(PLAIN, params=params), vllm_output, total_s=1.0).top_logprobs
    assert top is not None
    assert top.array().tolist() == [[-0.5, -1.0], [-0.25, -2.0], [-0.5, -1.0]]
    assert top.texts == (("1", "2") * 3 if has_texts else ())


def test_without_a_k_there_are_no_top_logprobs() -> None:
    params = replace(PLAIN.params, logprobs=0)
    vllm_output = output(logprobs=[[-1.0], [-1.0], [-1.0]])
    assert sample_of(replace(PLAIN, params=params), vllm_output, total_s=1.0).top_logprobs is None


def test_logprobs_that_were_not_asked_for_are_none_and_not_empty() -> None:
    assert sample_of(PLAIN, output(), total_s=1.0).logprobs is None


def test_what_vllm_leaves_out_counts_as_nothing() -> None:
    sample = sample_of(PLAIN, output(cached=None, has_metrics=False), total_s=1.0)
    assert (sample.cached_tokens, sample.first_token_s) == (0, 0.0)


def test_an_output_of_several_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="too many values"):
        sample_of(PLAIN, output(completions=2), total_s=1.0)
