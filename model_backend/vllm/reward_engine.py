"""A live vLLM engine of a reward model: one response, one sample that holds its numbers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from nbest.model_backend.reward.reading import InputFormat
from nbest.model_backend.reward.steps import Steps
from nbest.model_backend.vllm.engine import VLLMEngine
from nbest.orchestrator.errors import EngineDead, RequestRejected
from nbest.orchestrator.types import Request, Sample, Status

if TYPE_CHECKING:
    from vllm import PoolingParams
    from vllm.outputs import PoolingRequestOutput
    from vllm.v1.engine.async_llm import AsyncLLM

    from nbest.model_backend.vllm.processes.failure_log import FailureLog
    from nbest.model_backend.vllm.processes.stall import Stall


class VLLMRewardEngine(VLLMEngine):
    """A `VLLMEngine`, watch and aborts included, that rates instead of generating."""

    def __init__(
        self,
        engine: AsyncLLM,
        stall: Stall,
        log: FailureLog,
        name: str = "",
        *,
        input_format: InputFormat,
    ) -> None:
        super().__init__(engine, stall, log, name)
        self._input_format = input_format
        self._tokenizer = engine.get_tokenizer()

    async def _answer(self, request: Request, started_s: float) -> Sample:
        model_input = self._input_format.input_of(self._tokenizer, request)
        output = await self._encode(request.id, model_input.ids)
        if output is None:
            return Sample(id=request.id, text="", status=Status.CANCELLED, engine=self._name)
        return Sample(
            id=request.id,
            text=json.dumps(self._numbers(output, model_input.places)),
            status=Status.TRUNCATED if model_input.is_cut else Status.OK,
            prompt_tokens=len(model_input.ids),
            cached_tokens=output.num_cached_tokens or 0,
            total_s=time.monotonic() - started_s,
            engine=self._name,
        )

    async def _encode(self, request_id: str, ids: tuple[int, ...]) -> PoolingRequestOutput | None:
        """Run the model; None where the request was aborted."""
        prompt = {"prompt_token_ids": list(ids)}
        final: PoolingRequestOutput | None = None
        params = pooling_params(self._input_format.steps)
        async for output in self._engine.encode(prompt, params, request_id):
            final = output
        if final is None:
            raise EngineDead(f"the engine ended {request_id} without an output")
        return final if len(final.outputs.data) else None

    def _numbers(self, output: PoolingRequestOutput, places: tuple[int, ...] | None) -> list[float]:
        data = output.outputs.data.float()
        if self._input_format.steps is None or places is None:
            numbers: list[float] = data.reshape(-1).tolist()
            if len(numbers) != 1:
                raise RequestRejected(f"an outcome model must have 1 label, got {len(numbers)}")
            return numbers
        by_token = data.reshape(len(data), -1)
        steps: list[float] = by_token[list(places), self._input_format.steps.label].tolist()
        return steps


def pooling_params(steps: Steps | None) -> PoolingParams:
    """Ask for the raw score of the whole text; with steps, for the probabilities of each token."""
    from vllm import PoolingParams

    if steps is None:
        return PoolingParams(task="classify", use_activation=False)
    return PoolingParams(task="token_classify")
