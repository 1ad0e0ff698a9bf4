"""`nbest train-verifier`: from runs to a verifier, with a card, and one line for every mistake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.training.command import silent, summary, trained_document
from nbest.experiments.training.examples import graded_examples, preference_examples
from nbest.experiments.training.report import reliability
from nbest.model_backend.reward.torch_settings import TorchReward
from nbest.model_backend.verifier.settings import VerifierSettings
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.choices import Sitting
from nbest.orchestrator.types import Request
from tests.model_backend.tiny_model import write_tiny_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch and transformers


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def graded_run(folder: Path, questions: int = 120, gold: bool = True) -> Path:
    """A response is right if it is the letter of the question."""
    rng = Random(1)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for q in range(questions):
        letter = rng.choice("abcdefgh")
        samples = [{"text": f" {text}"} for text in (letter, rng.choice("abcdefgh"), "z", letter)]
        line: dict[str, object] = {"id": f"q{q}", "prompt": f"x {q % 10} {letter} ?"}
        lines.append(line | {"samples": samples} | ({"gold": letter} if gold else {}))
    file = folder / "pool.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([file], folder / "run")
    return folder / "run"


def settings(base: Path, **changes: object) -> VerifierSettings:
    defaults = {"epochs": 6, "batch_size": 16, "learning_rate": 5e-3, "evaluations": 1}
    return VerifierSettings(str(base), **(defaults | changes))  # type: ignore[arg-type]


def trained(
    runs: Sequence[Path], out: Path, how: VerifierSettings, source: str = "graded"
) -> dict[str, object]:
    return trained_document(runs, out, how, source, None, None, silent)


def test_a_run_becomes_a_verifier_with_a_card(base: Path, tmp_path: Path) -> None:
    run, out = graded_run(tmp_path), tmp_path / "verifier"
    document = trained([run], out, settings(base))
    held_out = document["held_out"]
    assert isinstance(held_out, dict)
    assert held_out["auroc"] > 0.85
    assert held_out["accuracy"] > 0.75
    assert json.loads((out / "metrics.json").read_text())["held_out"] == held_out
    card = (out / "README.md").read_text()
    for part in (
        "AUROC",
        "calibration error",
        "held out",
        "No question is on both sides",
        "Data: run",
    ):
        assert part in card
    assert "accuracy" in summary(document, out)
    right, wrong = asyncio.run(rewards(out, "x 3 c ?", (" c", " z")))
    assert right > wrong


def test_the_same_training_again_says_the_same_and_trains_nothing(
    base: Path, tmp_path: Path
) -> None:
    run, out = graded_run(tmp_path, questions=60), tmp_path / "verifier"
    document = trained([run], out, settings(base, epochs=1))
    written = (out / "model.safetensors").stat().st_mtime_ns
    again = trained([run], out, settings(base, epochs=1))
    assert again == json.loads(json.dumps(document, default=str))
    assert summary(again, out) == summary(document, out)
    assert (out / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(InputError, match=r"that of the same training, .*: epochs: 1 in the run, 2"):
        trained([run], out, settings(base, epochs=2))
    other = graded_run(tmp_path / "other", questions=40)
    with pytest.raises(InputError, match="its examples are others"):
        trained([other], out, settings(base, epochs=1))
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match=r"out must be a new folder, .* got .*mine'$"):
        trained([run], tmp_path / "mine", settings(base, epochs=1))


async def rewards(model: Path, prompt: str, responses: Sequence[str]) -> list[float]:
    async with TorchReward(str(model)).open() as engine:
        requests = [
            Request(
                id=f"r/{i}", prompt=prompt, params=SamplingParams(), seed=None, response=response
            )
            for i, response in enumerate(responses)
        ]
        samples = await asyncio.gather(*map(engine.generate, requests))
    return [json.loads(sample.text)[0] for sample in samples]


def test_pairs_and_choices_teach_the_order(base: Path, tmp_path: Path) -> None:
    run = graded_run(tmp_path)
    document = trained(
        [run], tmp_path / "pairs", settings(base, objective="bradley_terry", epochs=10), "pairs"
    )
    held_out = document["held_out"]
    assert isinstance(held_out, dict)
    assert held_out["accuracy"] > 0.8
    assert held_out["calibration_error"] is None
    sitting = Sitting(run)
    for q in range(40):
        sitting.add(f"q{q}", 0, (0, 2))
    pairs = preference_examples([run])
    assert {pair.rejected for pair in pairs} == {" z"}
    how = settings(base, objective="bradley_terry")
    document = trained([run], tmp_path / "chosen", how, "preferences")
    train = document["train"]
    assert isinstance(train, dict)
    assert train["examples"] < 40


def test_questions_of_several_runs_are_known_by_their_prompts(tmp_path: Path) -> None:
    one, two = graded_run(tmp_path / "one", 10), graded_run(tmp_path / "two", 10)
    assert {e.question for e in graded_examples([one])} == {
        e.question for e in graded_examples([one, two])
    }


def test_what_cannot_be_learned_from_is_one_line(base: Path, tmp_path: Path) -> None:
    bare = graded_run(tmp_path / "bare", 5, gold=False)
    with pytest.raises(InputError, match=r"runs must hold graded samples, .* have none"):
        trained([bare], tmp_path / "out", settings(base))
    with pytest.raises(InputError, match=r"runs must hold choices \(nbest pick\)"):
        trained([bare], tmp_path / "out", settings(base), "preferences")
    with pytest.raises(InputError, match="from must be graded, pairs, preferences or tree, got"):
        trained([bare], tmp_path / "out", settings(base), "x")
    with pytest.raises(InputError, match=r"run directory must hold a run\.json"):
        trained([tmp_path], tmp_path / "out", settings(base))
    assert not (tmp_path / "out").exists()


def test_bins_are_of_those_that_are_found_about_as_likely() -> None:
    bins = reliability([0.05, 0.07, 0.95, 1.0], [False, True, True, True])
    assert [(b.low, b.count, b.right) for b in bins] == [(0.0, 2, 0.5), (0.9, 2, 1.0)]
    assert bins[0].predicted == pytest.approx(0.06)
