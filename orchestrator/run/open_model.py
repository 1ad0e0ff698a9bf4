"""A model that stays: started once, asked often, from any thread and any event loop.

Its engine lives in an event loop of a thread of its own, so that it serves scripts, notebooks and
servers alike. Each question has a store of its own, which is gone when it is answered.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.errors import BackendError, InputError
from nbest.orchestrator.protocols import BackendConfig, BatchStrategy, Strategy
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import as_chat, running_pool, selection_of
from nbest.orchestrator.run.loop import Answered, Loop, one_lease
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.types import Message, Query, Record, Selection

# How long an interrupted model is waited for: a library that is being imported, or a scorer that
# computes, cannot be stopped, so the thread ends on its own when that is over.
PATIENCE_S = 0.5

CLOSED = "the model was closed while it was asked"

T = TypeVar("T")
Question = str | tuple[Message, ...]


class OpenModel:
    """A model whose engine runs until `close`, or to the end of its `with` block.

    It may be asked from several threads and event loops at once.
    """

    def __init__(self, backend: BackendConfig) -> None:
        self._backend = backend
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None
        self._has_begun = threading.Event()  # so there is a loop, or there will be none
        self._submitting = threading.Lock()  # held while a question is handed over
        self._stop = asyncio.Event()
        self._is_closed = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._cut_off: set[asyncio.Task[Any]] = set()  # under way when the model was closed
        self._resources = AsyncExitStack()
        self._pool = Pool([])
        self._models: dict[str, Pool] = {}  # of scorers and arms, by key, from their first use on
        self._opening = asyncio.Lock()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._serve, name="nbest-model", daemon=True)
        self._is_up: Future[None] = Future()
        self._thread.start()
        atexit.register(self.close)  # a notebook may forget to
        try:
            self._is_up.result()
        except BaseException:
            self._finish(PATIENCE_S)
            raise

    def ask(
        self,
        question: Question,
        strategy: Strategy | BatchStrategy,
        *,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> Selection:
        """Ask one question, as `nbest.ask` does: the same seed draws the same samples.

        BackendError where the engine fails, PartFailed where a part of the user's own does.
        """
        return self._result(self._ask(question, self._work(strategy, seed, panel)))

    async def aask(
        self,
        question: Question,
        strategy: Strategy | BatchStrategy,
        *,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> Selection:
        """Ask one question from an event loop; to cancel it aborts its samples."""
        work = self._work(strategy, seed, panel)
        return await asyncio.wrap_future(self._begin(self._ask(question, work)))

    def ask_many(
        self,
        questions: Sequence[Question],
        strategy: Strategy | BatchStrategy,
        *,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> list[Record]:
        """Ask many questions at once; returns a record of each, in their order.

        A record has its `selection`; None where the question ended in an error, which `error` says.
        """
        return self._result(self._ask_many(questions, self._work(strategy, seed, panel)))

    def close(self) -> None:
        """Abort what is under way and stop the engine; to close twice does nothing."""
        self._finish()

    def _finish(self, timeout_s: float | None = None) -> None:
        if threading.current_thread() is self._thread:
            raise InputError("a model must not be closed by a part of a question to it")
        with self._submitting:
            if self._is_closed:
                return
            self._is_closed = True
        atexit.unregister(self.close)
        self._has_begun.wait()
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._finish(PATIENCE_S if is_interrupted else None)

    def _result(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work in the model's thread; what interrupts the wait ends the work."""
        future = self._begin(work)
        try:
            return future.result()
        except CancelledError as error:  # it had been handed over and not begun
            raise BackendError(CLOSED) from error
        except BaseException:  # Ctrl-C above all
            future.cancel()
            raise

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        is_own = threading.current_thread() is self._thread
        with self._submitting:
            if self._loop is not None and not is_own and not self._is_closed:
                return asyncio.run_coroutine_threadsafe(self._noted(work), self._loop)
        work.close()
        rule = "be asked by a part of its own question" if is_own else "be asked after its end"
        raise InputError(f"a model must not {rule}")

    async def _noted(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work as long as the model is open."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._cut_off:
                raise BackendError(CLOSED) from None
            raise
        finally:
            self._under_way.discard(task)

    def _serve(self) -> None:
        """Be the model's thread: start the engine, serve until the end, stop it."""
        try:
            asyncio.run(self._until_stopped())
        # Whoever opens the model hears of it, whatever it is.
        except BaseException as error:  # noqa: BLE001
            if not self._is_up.done():
                self._is_up.set_exception(error)
        finally:
            self._has_begun.set()

    async def _until_stopped(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.current_task()
        self._has_begun.set()
        async with self._resources:
            await self._start()
            self._is_up.set_result(None)
            await self._stop.wait()
            self._cut_off = {task for task in self._under_way if not task.cancelling()}
            for task in self._cut_off:
                task.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way)

    async def _start(self) -> None:
        engine = LocalEngine(self._backend, "engine0")
        context = running_pool(engine, self._backend)
        self._pool = await self._resources.enter_async_context(context)

    def _end(self) -> None:
        """Stop, in the model's thread: at once, where the engine is still starting."""
        self._stop.set()
        if not self._is_up.done() and self._serving is not None:
            self._serving.cancel()

    def _work(self, strategy: Strategy | BatchStrategy, seed: int, panel: Panel | None) -> Work:
        """What a call wants, under a name of its own: no two calls share a request id."""
        run = f"ask{next(self._numbers)}"
        return Work(run=run, seed=seed, strategy=strategy, directory=None, panel=panel)

    async def _ask(self, question: Question, work: Work) -> Selection:
        loop = await self._loop_for(work)
        return selection_of(await loop.answer(Query(id="q0", prompt=as_chat(question))))

    async def _ask_many(self, questions: Sequence[Question], work: Work) -> list[Record]:
        loop = await self._loop_for(work)
        queries = [Query(id=f"q{i}", prompt=as_chat(q)) for i, q in enumerate(questions)]
        answered: dict[str, Answered] = {}

        def keep(one: Answered) -> None:
            answered[one.record.query_id] = one

        await loop.answer_leases(one_lease(queries), keep)
        ordered = [answered[query.id] for query in queries]
        return [replace(one.record, selection=one.selection) for one in ordered]

    async def _loop_for(self, work: Work) -> Loop:
        """A loop and a store of its own for each call: no two calls share a sample."""
        async with self._opening:
            if self._pool.death is not None:  # who saw it die has failed; this question may not
                await self._start()
        models = await self._models_for(work)
        return Loop(
            strategy=work.strategy,
            pool=self._pool,
            store=MemoryStore(),
            run=work.run,
            seed=work.seed,
            panel=work.panel,
            models=models,
        )

    async def _models_for(self, work: Work) -> Mapping[str, Pool]:
        """The models of scorers and arms; each is started when it is first wanted."""
        wanted, names = work.models, work.names
        async with self._opening:
            for key, settings in wanted.items():
                if key not in self._models or self._models[key].death is not None:
                    engine = LocalEngine(settings, f"{names[key]}{len(self._models)}")
                    context = running_pool(engine, settings)
                    self._models[key] = await self._resources.enter_async_context(context)
        return {key: self._models[key] for key in wanted}


def open_model(backend: BackendConfig) -> OpenModel:
    """Start a model that stays: it is asked often, and started once.

    BackendError or InputError where it cannot be started.

    Example:

        with open_model(VLLM("smollm2-135m")) as model:
            model.ask("How many days are in a week?", BestOfN(n=16, select=MajorityVote()))
    """
    return OpenModel(backend)
