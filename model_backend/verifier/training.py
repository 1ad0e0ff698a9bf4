"""Trains a verifier: a scalar head and the model under it, from graded responses or preferences.

It resumes from its last evaluation, stops when the held-out questions get no better, and keeps the
best weights. torch is imported inside the functions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbest.model_backend.reward.text import reward_ids
from nbest.model_backend.verifier import checkpoint
from nbest.model_backend.verifier.batches import batches_of, micro_batches
from nbest.model_backend.verifier.checkpoint import CheckpointState
from nbest.model_backend.verifier.data import Example, Graded, Split
from nbest.model_backend.verifier.loss import Ids, class_weights, losses_of, scores_of
from nbest.model_backend.verifier.model import VerifierModel, freeze
from nbest.model_backend.verifier.settings import VerifierSettings
from nbest.orchestrator.errors import InputError

if TYPE_CHECKING:
    import torch

WARMUP = 0.1  # share of the steps in which the learning rate rises
CLIP = 1.0  # largest norm of the gradient
EVALUATION_TOKENS = 16_384  # at once: without gradients there is more room


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a training has come after a step."""

    step: int
    num_steps: int
    loss: float  # of the last step
    held_out: float  # the loss of the last evaluation; nan before the first
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """The outcome of a training that has ended."""

    losses: tuple[float, ...]  # held out, one an evaluation
    best: int  # the evaluation whose weights are kept
    steps: int
    seconds: float  # of this command
    # Raw, of each held-out example: one number, or those of the chosen and the rejected response.
    rewards: tuple[tuple[float, ...], ...]


@dataclass(slots=True, kw_only=True)
class Training:
    """Trains one verifier."""

    settings: VerifierSettings
    verifier: VerifierModel
    split: Split
    folder: Path  # of the checkpoint
    report: Callable[[TrainingProgress], None] = lambda progress: None
    _optimizer: Any = field(init=False)
    _train: list[Ids] = field(init=False)
    _held_out: list[Ids] = field(init=False)
    _parameters: dict[str, torch.Tensor] = field(init=False)
    _best: dict[str, torch.Tensor] = field(init=False)
    _weights: list[float] = field(init=False)
    _losses: list[float] = field(init=False, default_factory=list)
    _best_evaluation: int | None = field(init=False, default=None)
    _started_s: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        import torch

        freeze(self.verifier, self.settings.frozen_layers)
        self._train = [self._ids(example) for example in self.split.train]
        self._held_out = [self._ids(example) for example in self.split.held_out]
        self._weights = class_weights(self.split.train, self.settings.balance)
        parameters = self.verifier.model.named_parameters()
        self._parameters = {name: p for name, p in parameters if p.requires_grad}
        self._best = {}
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
        )

    def run(self) -> TrainingResult:
        """Train to the end, from the last checkpoint on; the best weights are in the model then."""
        lengths = [sum(map(len, ids)) for ids in self._train]
        size = self.settings.batch_size
        steps = [
            batch
            for epoch in range(self.settings.epochs)
            for batch in batches_of(lengths, size, self.settings.seed, epoch)
        ]
        per_epoch = len(steps) // self.settings.epochs
        every = max(1, per_epoch // self.settings.evaluations)
        step = self._resume()
        while step < len(steps) and not self._is_over():
            loss = self._step(steps[step], lengths, _rate_share(step, len(steps)), step)
            step += 1
            if step % every == 0 or step == len(steps):
                self._evaluate(step)
            self._report_step(step, len(steps), loss)
        assert self._best_evaluation is not None  # the last step is followed by an evaluation
        self._restore(self._best)
        rewards = self._rewards(self._held_out)
        return TrainingResult(
            losses=tuple(self._losses),
            best=self._best_evaluation,
            steps=step,
            seconds=time.monotonic() - self._started_s,
            rewards=tuple(tuple(scores.tolist()) for scores in rewards),
        )

    def _ids(self, example: Example) -> Ids:
        """Return the input, or the two inputs, of an example."""
        texts = (
            (example.response,)
            if isinstance(example, Graded)
            else (example.chosen, example.rejected)
        )
        after, most = self.settings.question_after, self.settings.max_tokens
        tokenizer = self.verifier.tokenizer
        return tuple(
            reward_ids(tokenizer, example.prompt, text, most, question_after=after).ids
            for text in texts
        )

    def _is_over(self) -> bool:
        """Tell whether the held-out questions have got no better for `patience` evaluations."""
        best = self._best_evaluation
        return best is not None and len(self._losses) - 1 - best >= self.settings.patience

    def _step(self, batch: Sequence[int], lengths: Sequence[int], rate: float, step: int) -> float:
        """Make a step of the optimiser; gradients add up over micro-batches. Returns the loss."""
        import torch

        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate
        total = 0.0
        for places in micro_batches(batch, lengths, self.settings.micro_batch_tokens):
            with self._precision():
                scores = scores_of(self.verifier, [self._train[i] for i in places])
            examples = [self.split.train[i] for i in places]
            loss = losses_of(scores, examples, [self._weights[i] for i in places]).sum() / len(
                batch
            )
            total += loss.item()
            loss.backward()
        if not math.isfinite(total):
            rule = "keep the loss finite (is learning_rate too high?)"
            raise InputError(f"training must {rule}, got {total} at step {step}")
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return total

    def _evaluate(self, step: int) -> None:
        """Measure the held-out questions, keep the best weights, and make a checkpoint."""
        weights = class_weights(self.split.held_out, self.settings.balance)
        rewards = self._rewards(self._held_out)
        losses = [
            losses_of([score], [example], [weight])
            for score, example, weight in zip(rewards, self.split.held_out, weights, strict=True)
        ]
        mean = math.fsum(loss.sum().item() for loss in losses) / len(losses)
        self._losses.append(mean)
        if self._best_evaluation is None or mean < self._losses[self._best_evaluation]:
            self._best_evaluation = len(self._losses) - 1
            self._best = {name: p.detach().clone() for name, p in self._parameters.items()}
        state = CheckpointState(
            training=self._digest(),
            step=step,
            losses=tuple(self._losses),
            best=self._best_evaluation,
        )
        checkpoint.save(self.folder, state, self._tensors())

    def _rewards(self, inputs: Sequence[Ids]) -> list[torch.Tensor]:
        """Return the raw scores of each input, without gradients, in the order of the inputs."""
        import torch

        lengths = [sum(map(len, ids)) for ids in inputs]
        rewards: dict[int, torch.Tensor] = {}
        with torch.no_grad(), self._precision():
            for places in micro_batches(range(len(inputs)), lengths, EVALUATION_TOKENS):
                scores = scores_of(self.verifier, [inputs[i] for i in places])
                rewards |= dict(zip(places, scores, strict=True))
        return [rewards[i].cpu() for i in range(len(inputs))]

    def _precision(self) -> torch.autocast:
        import torch

        mixed = self.settings.mixed_precision
        is_mixed = self.verifier.device == "cuda" if mixed is None else mixed
        return torch.autocast(self.verifier.device, torch.bfloat16, enabled=is_mixed)

    def _report_step(self, step: int, num_steps: int, loss: float) -> None:
        held_out = self._losses[-1] if self._losses else math.nan
        elapsed_s = time.monotonic() - self._started_s
        self.report(
            TrainingProgress(
                step=step, num_steps=num_steps, loss=loss, held_out=held_out, elapsed_s=elapsed_s
            )
        )

    def _digest(self) -> str:
        return training_digest(self.settings, self.split)

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {f"best/{name}": p for name, p in self._best.items()}
        for name, parameter in self._parameters.items():
            state = self._optimizer.state[parameter]
            tensors[f"now/{name}"] = parameter.detach()
            tensors |= {f"{key}/{name}": state[key] for key in ("step", "exp_avg", "exp_avg_sq")}
        return tensors

    def _resume(self) -> int:
        """Take up the checkpoint; return the step at which to go on, 0 where there is none."""
        loaded = checkpoint.load(self.folder, self._digest())
        if loaded is None:
            return 0
        state, tensors = loaded
        for name, parameter in self._parameters.items():
            keys = ("step", "exp_avg", "exp_avg_sq")
            self._optimizer.state[parameter] = {key: tensors[f"{key}/{name}"] for key in keys}
        self._best = {name: tensors[f"best/{name}"] for name in self._parameters}
        self._restore({name: tensors[f"now/{name}"] for name in self._parameters})
        self._losses, self._best_evaluation = list(state.losses), state.best
        return state.step

    def _restore(self, weights: Mapping[str, torch.Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(weights[name])


def _rate_share(step: int, num_steps: int) -> float:
    """Return the share of the highest rate: it rises for a tenth of the steps, then falls to 0."""
    rising = max(1, round(WARMUP * num_steps))
    if step < rising:
        return (step + 1) / rising
    return (num_steps - step) / max(1, num_steps - rising)


def training_digest(settings: VerifierSettings, split: Split) -> str:
    """Name a training by its settings and its examples, class names included."""
    return sha256(repr((settings, split)).encode("utf-8", "surrogatepass")).hexdigest()
