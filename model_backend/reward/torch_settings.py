"""A reward model in this process, run by torch and transformers: for models that vLLM cannot pool.

Pending requests of like length are read in one batch. torch and transformers are imported when an
engine starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from nbest.model_backend.models.folder_digest import folder_digest
from nbest.model_backend.reward.steps import Steps
from nbest.model_backend.reward.torch_engine import TorchRewardEngine
from nbest.model_backend.reward.torch_model import load_model
from nbest.orchestrator.requirements import require

Dtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class TorchReward:
    """Settings of a reward model that transformers runs.

    Without `steps` an outcome model (sequence classification), the raw score; with them a process
    model (token classification), the probability that each step is right.

    Example: `TorchReward("runs/verifier")`
    """

    model: str  # a folder, or a hub id
    _: KW_ONLY
    steps: Steps | None = None
    dtype: Dtype = "auto"
    max_model_len: int | None = None  # tokens of question and response; None: the model's own
    max_batch_tokens: int = 8192  # read at once, padding included
    max_concurrency: int = 256  # responses that may wait for a batch
    revision: str | None = None  # of a model from a hub
    trust_remote_code: bool = False  # run Python that comes with the model
    question_after: str | None = (
        None  # ends the part of a raw prompt that is skipped; None: as trained
    )
    # Of a folder, read when this is made and never again: what is trained anew is another model,
    # and driver and workers must know the model by one name, whatever becomes of the folder.
    digest: str | None = field(init=False)

    def __post_init__(self) -> None:
        require(bool(self.model), "model", "be named", self.model)
        count = self.max_batch_tokens
        require(count >= 1, "max_batch_tokens", "be at least 1", count)
        count = self.max_concurrency
        require(count >= 1, "max_concurrency", "be at least 1", count)
        object.__setattr__(self, "digest", folder_digest(self.model))

    @property
    def rates(self) -> Literal["rewards"]:
        return "rewards"

    @property
    def gpus(self) -> int:
        return 1

    @property
    def identity(self) -> dict[str, str | int | None]:
        return {
            "model": self.model,
            "revision": self.revision,
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
            "steps": None if self.steps is None else repr(self.steps),
            "question_after": self.question_after,
            "digest": self.digest,
            "runner": "torch",
        }

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[TorchRewardEngine]:
        """Load the model, and release it at the end."""
        model = await asyncio.to_thread(load_model, self)
        engine = TorchRewardEngine(model, self.max_batch_tokens, name)
        working = asyncio.create_task(engine.work())
        try:
            yield engine
        finally:
            working.cancel()
            await asyncio.wait({working})
