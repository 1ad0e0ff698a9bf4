"""Draws the samples of one query from a backend, by way of the store.

It knows no engine, no file and no strategy. It counts what the query has spent, and adds what is
new to the tally of the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from nbest.orchestrator.engines.batches import Result, generate_each_by
from nbest.orchestrator.errors import BackendError, EngineDead, Quarantined
from nbest.orchestrator.ids import request_id, sample_id, sample_seed
from nbest.orchestrator.protocols import Backend, SampleStore
from nbest.orchestrator.query.model_calls import (
    BatchedAsk,
    NotStarted,
    call_key,
    rating_key,
    revision_key,
    step_key,
)
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.query.tally import Tally, usage_of
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import Once, task_group
from nbest.orchestrator.types import (
    Ask,
    Identity,
    Path,
    Prefix,
    Prompt,
    Query,
    Request,
    Sample,
    Status,
    Usage,
    model_key,
)


class StoredSampler:
    """A `Sampler` over one query: the store first, the backend for what is missing."""

    def __init__(
        self,
        *,
        run: str,
        seed: int,
        query: Query,
        backend: Backend,
        store: SampleStore,
        tally: Tally,
        begun: Callable[[], None],
        models: Mapping[str, Backend] | None = None,
        affinity: str | None = None,
        response: str | None = None,
        prefix: Prefix | None = None,
        attempt: int = 0,
        hold: Callable[[Sample], None] = lambda sample: None,
        panel: Panel | None = None,
    ) -> None:
        self._run = run
        self._seed = seed
        self._query = query
        self._backend = backend
        self._store = store
        self._tally = tally
        self._begun = begun
        self._models = models or {}  # besides that of `backend`, by key
        self._affinity = query.id if affinity is None else affinity
        self._is_question = affinity is None  # and no call about one, nor a step of its answer
        self._response = response  # what the requests want rated; None: they generate
        self._prefix = prefix  # what the requests go on from; None: they want whole answers
        self._attempt = attempt  # how many workers have died in this run before it was leased
        self._panel = panel
        self._hold = hold  # told of every sample that is kept for the strategy
        self._samples: list[Sample] = []
        self._replies = Once[str, Sample]()  # of models to scorers, by key
        self._nodes = Once[str, Sample]()  # of a tree, by key and child
        self._live: dict[Path, str] = {}  # the key of the node that was drawn last there
        self.errors: list[str] = []

    @property
    def usage(self) -> Usage:
        """What has been spent so far."""
        calls = usage_of(tuple(self._replies.known.values()))
        scorer_tokens = calls.prompt_tokens + calls.generated_tokens
        return usage_of(self._samples) + replace(calls, scorer_tokens=scorer_tokens)

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        self._begun()
        sample = self._stored_sample(index)
        if sample is not None:
            return sample
        request = self._request(index, params)
        try:
            result: Result = await self._backend_of(index).generate(request)
        except BackendError as error:
            result = error
        return self._take_result(index, request, result)

    async def draw_many(self, indices: Sequence[int], params: SamplingParams) -> tuple[Sample, ...]:
        """Draw many samples in one call, as one call for each index would."""
        # Called when the event loop comes round: by then, requests without a free slot are waiting.
        asyncio.get_running_loop().call_soon(self._begun)
        samples = {index: self._stored_sample(index) for index in indices}
        missing = [index for index, sample in samples.items() if sample is None]
        requests = [self._request(index, params) for index in missing]
        index_of = {request.id: index for index, request in zip(missing, requests, strict=True)}

        def done(request: Request, result: Result) -> None:
            index = index_of[request.id]
            samples[index] = self._take_result(index, request, result)

        await generate_each_by(requests, [self._backend_of(i) for i in missing], done)
        return tuple(sample for sample in samples.values() if sample is not None)

    @property
    def ask(self) -> BatchedAsk:
        """Put a question to the model as `Sampler.ask` does, or many at once by `ask.together`."""
        return BatchedAsk(one=self._ask)

    def ask_model(self, identity: Identity) -> Ask:
        """Return the `ask` of another model of the run."""
        return BatchedAsk(one=partial(self._ask, model=model_key(identity)))

    async def rate(self, identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]:
        """Rate responses as `Sampler.rate` does; the same response twice is rated once."""
        model = model_key(identity)
        async with task_group() as group:
            tasks = {r: group.create_task(self._rate(model, r)) for r in dict.fromkeys(responses)}
        return tuple(tasks[response].result() for response in responses)

    async def abort(self, index: int) -> None:
        await self._backend_of(index).abort(self._request_id(index))

    async def step(self, path: Path, prefix: Prefix, params: SamplingParams) -> Sample:
        """Draw a step of an answer as `NodeSampler.step` does."""
        key = step_key(self._query.id, path, prefix, params)
        return await self._node(key, self._query, path, params, prefix)

    async def revise(self, path: Path, prompt: Prompt, params: SamplingParams) -> Sample:
        """Draw a whole answer to another prompt as `NodeSampler.revise` does."""
        key = revision_key(self._query.id, path, prompt, params)
        return await self._node(key, replace(self._query, prompt=prompt), path, params, None)

    async def _node(
        self, key: str, query: Query, path: Path, params: SamplingParams, prefix: Prefix | None
    ) -> Sample:
        async def drawn() -> Sample:
            sampler = self._derived(replace(query, id=key), self._backend, prefix=prefix)
            self._live[path] = key
            sample = await sampler(path[-1], params)
            if sample.status is Status.ERROR:  # as of calls: the store alone comes out as this run
                self._store.add(key, path[-1], sample)
            self._samples.append(sample)
            self.errors.extend(sampler.errors)
            return sample

        return await self._nodes.get(f"{key}/s{path[-1]}", drawn)

    async def abort_node(self, path: Path) -> None:
        """End a node that is under way."""
        if (key := self._live.get(path)) is not None:
            await self._backend.abort(request_id(self._run, key, path[-1], self._attempt))

    def _backend_of(self, index: int) -> Backend:
        """The model that draws a sample: that of its arm, where the arm has one."""
        model = None if self._panel is None else self._panel.arm_of(index).model
        return self._backend if model is None else self._model(model.key)

    async def _ask(
        self,
        name: str,
        prompt: Prompt,
        params: SamplingParams,
        model: str = "",
    ) -> Sample:
        key = call_key(self._query.id, name, prompt, params, model)
        query = replace(self._query, id=key, prompt=prompt)
        return await self._call(key, query, params, self._model(model) if model else None)

    async def _rate(self, model: str, response: str) -> Sample:
        key = rating_key(self._query.id, model, response)
        query = replace(self._query, id=key)
        return await self._call(key, query, SamplingParams(), self._model(model), response)

    def _model(self, key: str) -> Backend:
        return self._models.get(key, NotStarted())  # what is stored needs none

    async def _call(
        self,
        key: str,
        query: Query,
        params: SamplingParams,
        backend: Backend | None = None,
        response: str | None = None,
    ) -> Sample:
        """Draw the reply of a model to a scorer, as the sample of a query of its own.

        The same call again gets the same reply, and costs nothing: the store may not have it yet.
        """

        async def drawn() -> Sample:
            sampler = self._derived(query, backend or self._backend, response=response)
            sample = await sampler(0, params)
            if sample.status is Status.ERROR:
                # The next command makes the call again. Until then the store holds the failure, so
                # that a choice from the store alone comes out as in this run.
                self._store.add(key, 0, sample)
            self.errors.extend(sampler.errors)
            return sample

        return await self._replies.get(key, drawn)

    def _derived(
        self,
        query: Query,
        backend: Backend,
        *,
        response: str | None = None,
        prefix: Prefix | None = None,
    ) -> StoredSampler:
        """The sampler of a query that stands for calls about this one, or for steps of it."""
        return StoredSampler(
            run=self._run,
            seed=self._seed,
            query=query,
            backend=backend,
            store=self._store,
            tally=self._tally,
            begun=self._begun,
            affinity=self._query.id,
            response=response,
            prefix=prefix,
            attempt=self._attempt,
            hold=self._hold,
        )

    def _stored_sample(self, index: int) -> Sample | None:
        sample = self._store.get(self._query.id, index)
        if sample is not None:
            self._tally.samples_reused += 1
            self._keep(sample)
        return sample

    def _request(self, index: int, params: SamplingParams) -> Request:
        prompt = self._query.prompt
        if self._panel is not None:
            arm = self._panel.arm_of(index)
            prompt, params = arm.prompt_for(self._query), self._panel.params_of(index, params)
        return Request(
            id=self._request_id(index),
            prompt=prompt,
            params=params,
            seed=sample_seed(self._seed, self._query.id, index),
            affinity=self._affinity,
            response=self._response,
            prefix=self._prefix,
        )

    def _take_result(self, index: int, request: Request, result: Result) -> Sample:
        """Count and store what the backend has answered; returns it as a sample."""
        if isinstance(result, Sample):
            if self._attempt:
                result = replace(result, id=sample_id(self._run, self._query.id, index))
            if self._panel is not None:
                result = replace(result, arm=self._panel.arm_of(index).name)
            self._store.add(self._query.id, index, result)
        elif isinstance(result, (EngineDead, Quarantined)):
            raise result  # there will be no sample: the run or the query ends here
        else:
            # Not stored: an error is no sample, and the same command again should try again.
            self.errors.append(str(result))
            result = Sample(id=request.id, text="", status=Status.ERROR, error=str(result))
        self._tally.samples_drawn += 1
        if self._is_question:
            self._tally.count_answer(result.status)
        self._tally.generated_tokens += result.generated_tokens
        if result.status is Status.CANCELLED:
            self._tally.cancelled_tokens += result.generated_tokens
        self._keep(result)
        return result

    def _keep(self, sample: Sample) -> None:
        self._samples.append(sample)
        self._hold(sample)

    def _request_id(self, index: int) -> str:
        return request_id(self._run, self._query.id, index, self._attempt)
