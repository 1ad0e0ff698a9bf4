"""Models behind the `Backend` protocol. The public names; each is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_backend.clocks import LoopClock, ManualClock
    from model_backend.fake import FakeBackend, Reply, SeededAnswers
    from model_backend.fake_rewards import Rewards
    from model_backend.reward_steps import Steps
    from model_backend.torch_reward import TorchReward
    from model_backend.vllm import VLLM
    from model_backend.vllm_reward import VLLMReward

__all__ = [
    "VLLM",
    "FakeBackend",
    "LoopClock",
    "ManualClock",
    "Reply",
    "Rewards",
    "SeededAnswers",
    "Steps",
    "TorchReward",
    "VLLMReward",
]

_HOMES = {
    "VLLM": "vllm",
    "VLLMReward": "vllm_reward",
    "LoopClock": "clocks",
    "ManualClock": "clocks",
    "Rewards": "fake_rewards",
    "Steps": "reward_steps",
    "TorchReward": "torch_reward",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'model_backend' has no attribute {name!r}")
    return getattr(import_module(f"model_backend.{_HOMES.get(name, 'fake')}"), name)
