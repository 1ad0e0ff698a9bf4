"""The torch path of reward models: the contract, batches by length, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from nbest.model_backend.reward.steps import Steps, process_ids
from nbest.model_backend.reward.torch_engine import TorchRewardEngine
from nbest.model_backend.reward.torch_settings import TorchReward
from nbest.orchestrator.errors import BackendError, InputError, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status
from tests.model_backend.tiny_model import write_tiny_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch and transformers


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An outcome model, a process model, and one without a head."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    home = tmp_path_factory.mktemp("rewards")
    base = write_tiny_model(home / "base")
    kinds = {
        "outcome": (AutoModelForSequenceClassification, 1),
        "labels": (AutoModelForSequenceClassification, 3),
        "process": (AutoModelForTokenClassification, 2),
    }
    for name, (kind, labels) in kinds.items():
        torch.manual_seed(1)
        kind.from_pretrained(base, num_labels=labels, pad_token_id=1).save_pretrained(home / name)
        AutoTokenizer.from_pretrained(base).save_pretrained(home / name)
    return {name: home / name for name in ("base", *kinds)}


def request(response: str | None, name: str = "r0", prompt: str = "a b ?") -> Request:
    return Request(
        id=f"run/q/{name}", prompt=prompt, params=SamplingParams(), seed=None, response=response
    )


def numbers(sample: Sample) -> list[float]:
    values: list[float] = json.loads(sample.text)
    return values


async def test_a_score_is_the_models_own_whatever_it_is_batched_with(
    folders: dict[str, Path],
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    responses = [" ".join("abcdefgh"[: 1 + i % 8]) + f" {i % 10}" for i in range(20)]
    responses.append("c <pad>")  # it ends with the token that pads
    async with TorchReward(str(folders["outcome"]), max_batch_tokens=40).open("rm") as engine:
        requests = [request(text, f"r{i}") for i, text in enumerate(responses)]
        samples = await asyncio.gather(*map(engine.generate, requests))
    tokenizer = AutoTokenizer.from_pretrained(folders["outcome"])
    model = AutoModelForSequenceClassification.from_pretrained(folders["outcome"]).eval()
    for rating, sample in zip(requests, samples, strict=True):
        ids = tokenizer.encode(f"a b ?{rating.response}")
        with torch.no_grad():
            states = model.model(input_ids=torch.tensor([ids])).last_hidden_state
            alone = model.score(states[0, -1]).item()
        assert numbers(sample) == [pytest.approx(alone, abs=1e-4)]
        assert (sample.id, sample.status, sample.engine) == (rating.id, Status.OK, "rm")
        assert (sample.prompt_tokens, sample.generated_tokens) == (len(ids), 0)


async def test_a_process_model_gives_a_probability_a_step(folders: dict[str, Path]) -> None:
    settings = TorchReward(str(folders["process"]), steps=Steps(tag="=", separator="\n"))
    async with settings.open() as engine:
        whole = await engine.generate(request("a\nb c\n\nd"))
        first = await engine.generate(request("a", "r1"))
        with pytest.raises(RequestRejected, match="must hold a step to be rated"):
            await engine.generate(request(" \n ", "r2"))
    assert len(numbers(whole)) == 3
    assert all(0 < step < 1 for step in numbers(whole))
    assert numbers(first) == [pytest.approx(numbers(whole)[0], abs=1e-5)]


async def test_what_is_too_long_is_cut_for_an_outcome_and_refused_for_steps(
    folders: dict[str, Path],
) -> None:
    long = " ".join("abcdefghij" * 4)
    async with TorchReward(str(folders["outcome"]), max_model_len=20).open() as engine:
        sample = await engine.generate(request(long))
        assert (sample.status, sample.prompt_tokens) == (Status.TRUNCATED, 20)
    steps = Steps(tag="=", separator="\n")
    settings = TorchReward(str(folders["process"]), max_model_len=20, steps=steps)
    async with settings.open() as engine:
        with pytest.raises(RequestRejected, match="must fit into the 20 tokens"):
            await engine.generate(request(long))


async def test_aborts_and_cancellations_leave_nothing_behind(folders: dict[str, Path]) -> None:
    async with TorchReward(str(folders["outcome"])).open() as engine:
        await engine.abort("run/q/r0")  # before its request
        assert (await engine.generate(request("a"))).status is Status.CANCELLED
        pending = asyncio.create_task(engine.generate(request("a", "r1")))
        await asyncio.sleep(0)
        await engine.abort("run/q/r1")
        assert (await pending).status is Status.CANCELLED
        pending = asyncio.create_task(engine.generate(request("a", "r2")))
        await asyncio.sleep(0)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        await engine.abort("run/q/r2")  # long gone
        assert numbers(await engine.generate(request("b", "r3")))
        assert not engine.in_flight


async def test_a_failure_of_the_model_fails_its_batch_alone(folders: dict[str, Path]) -> None:
    async with TorchReward(str(folders["labels"])).open() as engine:
        with pytest.raises(RequestRejected, match="must have 1 label, got 3"):
            await engine.generate(request("a"))
    settings = TorchReward(str(folders["outcome"]))
    async with settings.open() as engine:
        with pytest.raises(RequestRejected, match="generates nothing"):
            await engine.generate(request(None))
        assert numbers(await engine.generate(request("a", "r1")))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "error",
    [RuntimeError("out of memory"), IndexError("index out of range in self"), KeyError("bias")],
)
async def test_whatever_a_model_raises_is_an_error_of_the_requests(error: Exception) -> None:
    class NoRoom:
        def input_of(self, request: Request) -> object:
            from nbest.model_backend.reward.reading import RewardInput

            return RewardInput(ids=(1, 2), places=None, is_cut=False)

        def numbers(self, inputs: object) -> list[list[float]]:
            raise error

    engine = TorchRewardEngine(NoRoom(), 100)  # type: ignore[arg-type]
    working = asyncio.create_task(engine.work())
    for name in ("a", "b"):  # the engine goes on
        with pytest.raises(BackendError, match=str(error.args[0])):
            await engine.generate(request(name))
    working.cancel()


def test_batches_fit_and_hold_the_oldest() -> None:
    from nbest.model_backend.reward.reading import RewardInput
    from nbest.model_backend.reward.torch_engine import PendingRequest, next_batch

    loop = asyncio.new_event_loop()
    lengths = [9, 2, 3, 30, 8, 1]
    pending = [
        PendingRequest(
            request=request("a", f"r{i}"),
            model_input=RewardInput(ids=(0,) * length, places=None, is_cut=False),
            answer=loop.create_future(),
        )
        for i, length in enumerate(lengths)
    ]
    batch = next_batch(pending, 20)
    assert sorted(len(entry.model_input.ids) for entry in batch) == [8, 9]
    assert [len(entry.model_input.ids) for entry in next_batch(pending[3:4], 20)] == [30]
    assert next_batch([], 20) == []
    loop.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("base", r"be a reward model with a head named score, got .*base"),
        ("nowhere/at/all", "model must be"),
    ],
)
async def test_what_is_no_reward_model_is_refused(
    folders: dict[str, Path], name: str, message: str
) -> None:
    model = str(folders.get(name, name))
    with pytest.raises(InputError, match=message):
        async with TorchReward(model).open():
            pass


async def test_it_reads_as_the_folder_says_and_as_it_is_told(folders: dict[str, Path]) -> None:
    folder = folders["outcome"]
    (folder / "nbest.json").write_text('{"question_after": "h"}')
    try:
        for settings in (TorchReward(str(folder)), TorchReward(str(folder), question_after="h")):
            async with settings.open() as engine:
                rating = request("c", prompt="a b h d e ?")
                assert (await engine.generate(rating)).prompt_tokens == 4
        (folder / "nbest.json").write_text("[]")
        with pytest.raises(InputError, match=r"nbest.json must hold question_after"):
            async with TorchReward(str(folder)).open():
                pass
    finally:
        (folder / "nbest.json").unlink()


def test_a_model_that_was_trained_anew_is_another_model(folders: dict[str, Path]) -> None:
    folder = folders["outcome"]
    before = TorchReward(str(folder))
    assert before.identity == TorchReward(str(folder)).identity
    (folder / "more.json").write_text("{}")
    after = TorchReward(str(folder))
    (folder / "more.json").unlink()
    assert before.identity != after.identity
    assert TorchReward("owner/name").identity["digest"] is None


def test_tags_that_cannot_be_read_are_refused(folders: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folders["process"])
    with pytest.raises(RequestRejected, match="must be one token of the model, got 'a b'"):
        process_ids(tokenizer, "a", "b", Steps(tag="a b"), 100)
    with pytest.raises(InputError, match="tag must be the token after each step"):
        Steps(tag="")
    process = process_ids(tokenizer, "= a ", "b\n\nc", Steps(tag="="), 100)
    assert process.places == (3, 5)  # the tag in the question is none
