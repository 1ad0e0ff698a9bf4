"""`VLLMEngine` over a stand-in for vLLM; test_backend_contract.py tests it over the real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nbest.model_backend.vllm.chat import ChatFormat
from nbest.model_backend.vllm.engine import VLLMEngine, describe_exit
from nbest.model_backend.vllm.errors import backend_error
from nbest.model_backend.vllm.processes.failure_log import FailureLog
from nbest.model_backend.vllm.processes.stall import Stall
from nbest.orchestrator.errors import BackendError, EngineDead, Overloaded, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Request, Status

STALL_S = 0.1

PLAIN = Request(id="r/q/s0", prompt="?", params=SamplingParams(temperature=0.7), seed=1)


@pytest.fixture(autouse=True, scope="module")
def vllm() -> None:
    """vLLM takes ten seconds to import, so only tests of this folder do it, and once."""
    pytest.importorskip("vllm")


def output(finish: str = "stop") -> object:
    """Make what vLLM returns for a request."""
    from vllm import RequestOutput
    from vllm.outputs import CompletionOutput

    completion = CompletionOutput(
        index=0,
        text=" 42",
        token_ids=[5, 6, 7],
        cumulative_logprob=None,
        logprobs=None,
        finish_reason=finish,
    )
    return RequestOutput(
        request_id="internal",
        prompt=None,
        prompt_token_ids=[1, 2],
        prompt_logprobs=None,
        outputs=[completion],
        finished=True,
    )


@dataclass
class Tokenizer:
    """Turns each character into its code, and notes the texts that it gets."""

    calls: list[object] = field(default_factory=list)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        self.calls.append((text, add_special_tokens))
        return [0] * add_special_tokens + [ord(c) for c in text]

    def apply_chat_template(
        self, turns: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        text = "".join(f"<{turn['role']}>{turn['content']}" for turn in turns)
        return text + "<assistant>" * add_generation_prompt


@dataclass(frozen=True)
class Process:
    """The process of a core, as vLLM knows it."""

    pid: int | None = None
    exitcode: int | None = None


class Engine:
    """A stand-in for vLLM's engine: a request ends when the test says so."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)  # of the requests, in their order
        self.tokenizer = Tokenizer()
        self.calls: list[tuple[object, Any, str]] = []
        self.adapters: list[object] = []
        self.aborted: list[str] = []
        self.is_held = False
        self.has_ended = asyncio.Event()
        self.ignored = 0  # aborts that come too early for the engine to know the request
        self.processes: list[Process] = []

    @property
    def engine_core(self) -> Any:
        """Where vLLM keeps the processes of its core."""
        manager = SimpleNamespace(processes=self.processes)
        return SimpleNamespace(resources=SimpleNamespace(engine_manager=manager))

    def get_tokenizer(self) -> Tokenizer:
        return self.tokenizer

    async def generate(
        self, prompt: object, params: object, name: str, *, lora_request: object
    ) -> AsyncIterator[object]:
        self.calls.append((prompt, params, name))
        self.adapters.append(lora_request)
        if self.is_held:
            await self.has_ended.wait()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome is not None:
            yield outcome

    async def abort(self, name: str) -> None:
        self.aborted.append(name)
        if len(self.aborted) > self.ignored:
            self.has_ended.set()


def live(*outcomes: object, lora: object = None) -> tuple[Engine, VLLMEngine]:
    engine = Engine(*outcomes)
    stall = Stall(STALL_S, time.monotonic())
    stall.progress(time.monotonic())
    log = FailureLog(Path("no folder"))
    return engine, VLLMEngine(cast("Any", engine), stall, log, "e0", lora=cast("Any", lora))


def chat(*contents: str) -> tuple[Message, ...]:
    return tuple(Message(role="user", content=content) for content in contents)


async def test_every_request_names_the_adapter() -> None:
    engine, backend = live(output(), output(), lora="the adapter")
    for sample in ("s0", "s1"):
        await backend.generate(replace(PLAIN, id=f"r/q/{sample}"))
    assert engine.adapters == ["the adapter", "the adapter"]


async def test_the_engine_gets_the_id_the_tokens_and_the_parameters() -> None:
    engine, backend = live(output())
    sample = await backend.generate(replace(PLAIN, prompt="ab"))
    ((prompt, params, name),) = engine.calls
    assert prompt == {"prompt_token_ids": [0, 97, 98]}
    assert (params.seed, name) == (1, "r/q/s0")
    assert (sample.id, sample.text, sample.engine) == ("r/q/s0", " 42", "e0")
    assert sample.total_s > 0


async def test_the_samples_of_a_query_tokenize_its_prompt_once() -> None:
    engine, backend = live(*[output()] * 6)
    for i in range(3):
        await backend.generate(replace(PLAIN, id=f"s{i}"))
        await backend.generate(replace(PLAIN, id=f"c{i}", prompt=chat("hello")))
    assert len(engine.tokenizer.calls) == 2


def test_a_chat_is_rendered_by_the_template_which_writes_the_special_tokens() -> None:
    tokenizer = Tokenizer()
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Hi"))
    ids = ChatFormat().token_ids(cast("Any", tokenizer), turns)
    text = "<system>Be brief.<user>Hi<assistant>"
    assert ids == tuple(ord(c) for c in text)
    assert tokenizer.calls == [(text, False)]


def test_a_raw_prompt_gets_the_special_tokens_of_the_model() -> None:
    assert ChatFormat().token_ids(cast("Any", Tokenizer()), "a") == (0, 97)


async def test_an_abort_is_repeated_until_the_request_has_come_back() -> None:
    """An abort that overtakes its request on the way into the engine is ignored there."""
    engine, backend = live(output("abort"))
    engine.is_held, engine.ignored = True, 2
    sampling = asyncio.create_task(backend.generate(PLAIN))
    await asyncio.sleep(0)
    await backend.abort(PLAIN.id)
    assert (await sampling).status is Status.CANCELLED
    assert engine.aborted == [PLAIN.id] * 3


async def test_an_abort_before_its_request_never_troubles_the_engine() -> None:
    engine, backend = live()
    await backend.abort(PLAIN.id)
    assert (await backend.generate(PLAIN)).status is Status.CANCELLED
    assert (engine.calls, engine.aborted) == ([], [])


async def test_an_engine_that_ends_without_an_output_is_dead() -> None:
    _, backend = live(None)
    with pytest.raises(EngineDead, match="ended r/q/s0 without an output"):
        await backend.generate(PLAIN)


async def test_after_a_failure_the_request_is_known_no_more() -> None:
    """Otherwise its abort would wait for ever."""
    engine, backend = live(ValueError("too long\nand more"))
    with pytest.raises(RequestRejected, match=r"^too long$"):
        await backend.generate(PLAIN)
    await backend.abort(PLAIN.id)
    assert engine.aborted == []


async def test_a_cancelled_request_is_cancelled_and_no_failure() -> None:
    engine, backend = live(output())
    engine.is_held = True
    sampling = asyncio.create_task(backend.generate(PLAIN))
    await asyncio.sleep(0)
    sampling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sampling


async def test_a_core_that_gets_nowhere_is_killed_and_the_error_says_so() -> None:
    from vllm.v1.engine.exceptions import EngineDeadError

    engine, backend = live(EngineDeadError())
    engine.is_held = True
    core = await asyncio.create_subprocess_exec("sleep", "600")
    engine.processes = [Process(pid=core.pid)]
    sampling = asyncio.create_task(backend.generate(PLAIN))
    await backend.watch()
    assert await core.wait() == -9
    engine.has_ended.set()  # which vLLM does when it sees that
    with pytest.raises(EngineDead, match=r"^the engine died: no new token for 0.1 s, so it was ki"):
        await sampling


async def test_a_core_without_work_is_left_alone() -> None:
    _, backend = live(output())
    await backend.generate(PLAIN)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5 * STALL_S):
            await backend.watch()


@pytest.mark.parametrize(
    ("log", "process", "message"),
    [
        ("RuntimeError: out of memory", Process(exitcode=1), "RuntimeError: out of memory"),
        ("", Process(exitcode=1), "exit code 1"),
        ("", Process(exitcode=-9), "ended by SIGKILL"),
        ("", Process(), "EngineCore encountered an issue. See stack trace"),
    ],
)
async def test_a_dead_core_is_told_with_its_cause(
    log: str, process: Process, message: str, tmp_path: Path
) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError

    (tmp_path / "failures.log").write_text(log)
    engine = Engine(EngineDeadError())
    engine.processes = [process]
    backend = VLLMEngine(cast("Any", engine), Stall(STALL_S, 0.0), FailureLog(tmp_path))
    with pytest.raises(EngineDead) as caught:
        await backend.generate(PLAIN)
    assert str(caught.value).startswith(f"the engine died: {message}")


def test_the_process_that_failed_is_the_one_that_is_told_of() -> None:
    processes = [Process(), Process(exitcode=0), Process(exitcode=-15), Process(exitcode=1)]
    assert describe_exit(cast("Any", processes)) == "ended by SIGTERM"
    assert describe_exit(cast("Any", processes[:2])) == ""


def wrapped(cause: Exception) -> Exception:
    """Wrap an error as `AsyncLLM.generate` does with those that it does not know."""
    from vllm.v1.engine.exceptions import EngineGenerateError

    error = EngineGenerateError()
    error.__cause__ = cause
    return error


def errors() -> list[tuple[Exception, type[BackendError], str]]:
    from vllm import exceptions
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    full, long = exceptions.QueueOverflowError(), exceptions.MaxQueuedTokensError()
    conflict = exceptions.ProfilerAlreadyActiveError()
    return [
        (EngineDeadError(), EngineDead, "EngineCore"),
        (exceptions.VLLMValidationError("longer than 256 tokens"), RequestRejected, "longer than"),
        (exceptions.VLLMUnprocessableEntityError("bad regex"), RequestRejected, "bad regex"),
        (ValueError("one\ntwo"), RequestRejected, "one"),
        (TypeError("not a list"), RequestRejected, "not a list"),
        (full, Overloaded, str(full)),
        (long, Overloaded, str(long)),
        (conflict, BackendError, "ProfilerAlreadyActiveError: A profiling session"),
        (exceptions.RetryableRequestError("again, please"), Overloaded, "again, please"),
        (EngineGenerateError("one request"), BackendError, "EngineGenerateError: one request"),
        (wrapped(full), Overloaded, str(full)),
        (wrapped(exceptions.RetryableRequestError("again")), Overloaded, "again"),
        (wrapped(ValueError("too long")), RequestRejected, "too long"),
        (wrapped(KeyError("x")), BackendError, "KeyError: 'x'"),
        (RuntimeError(), BackendError, "RuntimeError: RuntimeError"),
        (Overloaded("ours already"), Overloaded, "ours already"),
    ]


def test_every_error_of_vllm_is_one_of_ours_on_one_line() -> None:
    for error, kind, text in errors():
        ours = backend_error(error)
        assert type(ours) is kind, error
        assert text in str(ours)
        assert "\n" not in str(ours)
