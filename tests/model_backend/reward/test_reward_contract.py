"""The contract of reward models as backends: the fake, torch, and real vLLM on the same weights.

The ratings of vLLM and torch with one model are compared, too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from nbest import FakeBackend, Rewards, TorchReward, VLLMReward
from nbest.model_backend.fake.engine import FakeEngine
from nbest.model_backend.fake.rewards import HashedReward
from nbest.model_backend.models.small_model import small_model_path
from nbest.model_backend.vllm.reward_engine import VLLMRewardEngine
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Request, Sample, Status

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # of torch and transformers
]

MAX_MODEL_LEN = 256
CHAT = (Message(role="user", content="What is 3 + 4?"),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with a head that says a little more than nothing."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = tmp_path_factory.mktemp("reward") / "model"
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_pretrained(
        str(small_model_path()), num_labels=1, dtype=torch.bfloat16
    )
    with torch.no_grad():
        model.score.weight.normal_(std=0.05)
    model.config.pad_token_id = 0
    model.save_pretrained(path)
    AutoTokenizer.from_pretrained(str(small_model_path())).save_pretrained(path)
    return path


def opened(kind: str, folder: Path) -> AbstractAsyncContextManager[Backend]:
    if kind == "fake":
        return FakeBackend(script=Rewards(of=HashedReward(), seconds=0.001)).open("e0")
    if kind == "torch":
        return TorchReward(str(folder), max_model_len=MAX_MODEL_LEN, dtype="float32").open("e0")
    return VLLMReward(str(folder), max_model_len=MAX_MODEL_LEN, dtype="float32").open("e0")


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["fake", "torch", pytest.param("vllm", marks=pytest.mark.engine)],
)
async def backend(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Backend]:
    async with opened(request.param, folder) as live:
        yield live


def ask(name: str, response: str | None, prompt: str | tuple[Message, ...] = CHAT) -> Request:
    return Request(
        id=f"run/{name}", prompt=prompt, params=SamplingParams(), seed=None, response=response
    )


def texts(count: int) -> list[str]:
    """Responses of different lengths, all different."""
    ends = ("It is 7.", "So 3 + 4 = 8", "I think that the answer may be", "7", "Seven apples.")
    return [f"Step {i}. " + " and then".join(ends[: 1 + i % 5]) for i in range(count)]


def numbers(sample: Sample) -> list[float]:
    values: list[float] = json.loads(sample.text)
    return values


async def rate(backend: Backend, name: str, responses: Sequence[str]) -> list[Sample]:
    requests = [ask(f"{name}{i}", text) for i, text in enumerate(responses)]
    return list(await asyncio.gather(*map(backend.generate, requests)))


async def test_the_sample_holds_one_number_and_nothing_is_generated(backend: Backend) -> None:
    sample = await backend.generate(ask("one", "It is 7."))
    assert (sample.id, sample.status, sample.engine) == ("run/one", Status.OK, "e0")
    assert len(numbers(sample)) == 1
    assert sample.prompt_tokens > 0
    assert (sample.generated_tokens, sample.token_ids) == (0, ())
    assert sample.total_s > 0


async def test_many_at_once_do_not_mix(backend: Backend) -> None:
    responses = texts(12)
    together = await rate(backend, "many", responses)
    assert [sample.id for sample in together] == [f"run/many{i}" for i in range(12)]
    for i in (0, 11):
        alone = await backend.generate(ask(f"alone{i}", responses[i]))
        assert numbers(alone) == [pytest.approx(numbers(together[i])[0], abs=0.01)]
    assert len({sample.text for sample in together}) > 10


async def test_the_question_counts_too(backend: Backend) -> None:
    other = (Message(role="user", content="What is 3 + 5? Say it in one word, please."),)
    one = await backend.generate(ask("here", "It is 7."))
    two = await backend.generate(ask("there", "It is 7.", other))
    assert one.prompt_tokens < two.prompt_tokens


async def test_a_request_without_a_response_is_refused(backend: Backend) -> None:
    with pytest.raises(RequestRejected, match="generates nothing"):
        await backend.generate(ask("none", None))


async def test_aborts_before_and_after(backend: Backend) -> None:
    await backend.abort("run/early")
    assert (await backend.generate(ask("early", "It is 7."))).status is Status.CANCELLED
    done = await backend.generate(ask("late", "It is 7."))
    await backend.abort("run/late")
    assert done.status is Status.OK


async def test_aborting_what_is_under_way_ends_it(backend: Backend) -> None:
    requests = [ask(f"under{i}", text) for i, text in enumerate(texts(12))]
    pending = [asyncio.create_task(backend.generate(request)) for request in requests]
    await asyncio.sleep(0)
    await asyncio.gather(*(backend.abort(request.id) for request in requests[6:]))
    samples = await asyncio.gather(*pending)
    assert all(sample.status is Status.OK for sample in samples[:6])
    assert {sample.status for sample in samples} <= {Status.OK, Status.CANCELLED}


async def test_cancelling_leaves_an_engine_that_serves(backend: Backend) -> None:
    pending = asyncio.create_task(backend.generate(ask("gone", "It is 7.")))
    await asyncio.sleep(0)
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending
    assert numbers(await backend.generate(ask("next", "It is 7.")))


async def test_what_is_too_long_keeps_its_question(backend: Backend) -> None:
    if isinstance(backend, FakeEngine):
        pytest.skip("the fake reads everything")
    sample = await backend.generate(ask("long", "word " * 1000))
    assert (sample.status, sample.prompt_tokens) == (Status.TRUNCATED, MAX_MODEL_LEN)
    long_question = "word " * 1000
    with pytest.raises(RequestRejected, match="the question must leave"):
        await backend.generate(ask("room", "It is 7.", long_question))


async def test_vllm_and_torch_say_the_same(backend: Backend, folder: Path) -> None:
    from scipy.stats import spearmanr

    if not isinstance(backend, VLLMRewardEngine):
        pytest.skip("it is compared with vLLM")
    responses = texts(60)
    fast = [numbers(sample)[0] for sample in await rate(backend, "v", responses)]
    async with opened("torch", folder) as torch_backend:
        slow = [numbers(sample)[0] for sample in await rate(torch_backend, "t", responses)]
    assert spearmanr(slow, fast).statistic > 0.999
    assert np.max(np.abs(np.subtract(slow, fast))) < 0.01
