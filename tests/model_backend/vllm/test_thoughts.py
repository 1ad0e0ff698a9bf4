"""Reasoning parsers of vLLM: by name, on what an engine returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

import pytest

from nbest import VLLM
from nbest.model_backend.vllm.chat import ChatFormat
from nbest.model_backend.vllm.processes.start import engine_args
from nbest.model_backend.vllm.thoughts import parser_names, parting
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import Thinking
from nbest.orchestrator.types import Sample, Status

# The name is looked up without an import: that takes 5 s in each process that collects tests.
pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="needs vllm")

SWITCH = "{% if enable_thinking or thinking %}{{ messages }}{% endif %}"
WORDS = ["<eos>", "<think>", "</think>", "is it 41?", "\n\n", "42"]


@dataclass
class Tokenizer:
    """The few words of a model that thinks."""

    all_special_ids: list[int] = field(default_factory=lambda: [0])

    def get_vocab(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(WORDS)}

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        return "".join(WORDS[i] for i in ids)


def sample(ids: Sequence[int], status: Status = Status.OK) -> Sample:
    text = Tokenizer().decode(ids)
    ids = tuple(ids)
    return Sample(id="r/q/s0", text=text, token_ids=ids, status=status, generated_tokens=len(ids))


def test_tags_of_the_models_own_part_a_text_without_a_parser() -> None:
    part = parting(VLLM("m", reasoning="<p> </p>").reasoning, Tokenizer())  # type: ignore[arg-type]
    thought = Sample(id="r/q/s0", text="<p>it 41?</p>42", status=Status.OK)
    assert part(thought, None).status is Status.OK
    assert part(thought, None).reasoning == "it 41?"
    with pytest.raises(InputError, match="two tags as"):
        VLLM("m", reasoning="** **")


def test_the_names_are_those_of_vllm() -> None:
    from vllm.reasoning import ReasoningParserManager

    assert parser_names() == set(ReasoningParserManager.list_registered())


@pytest.mark.parametrize("name", ["qwen3", "deepseek_r1"])
def test_a_parser_tells_thought_and_answer_apart(name: str) -> None:
    part = parting(name, Tokenizer())  # type: ignore[arg-type]
    whole = part(sample([1, 3, 2, 4, 5, 0]), None)
    assert (whole.text, whole.reasoning, whole.status) == ("42", "is it 41?", Status.OK)
    assert 1 <= whole.reasoning_tokens <= 3
    cut = part(sample([1, 3]), None)
    assert (cut.text, cut.reasoning, cut.status) == ("", "is it 41?", Status.TRUNCATED)


def test_tags_and_none() -> None:
    ids = [1, 3, 2, 4, 5]
    assert parting("tags", Tokenizer())(sample(ids), None).text == "42"  # type: ignore[arg-type]
    assert parting("none", Tokenizer())(sample(ids), None) == sample(ids)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["qwen3", "deepseek_r1", "deepseek_v3", "glm45"])
def test_an_answer_without_a_thought_is_an_answer_where_thinking_is_off(name: str) -> None:
    """A parser that does not know takes it for a thought that was not ended."""
    bare, off = sample([5, 0]), Thinking(enabled=False)
    part = parting(name, Tokenizer(), ChatFormat(template=SWITCH))  # type: ignore[arg-type]
    assert (part(bare, off).text, part(bare, off).status) == ("<eos>".join(["42", ""]), Status.OK)
    fixed = ChatFormat(template=SWITCH, arguments={"enable_thinking": False})
    always = parting(name, Tokenizer(), fixed)  # type: ignore[arg-type]
    assert (always(bare, None).reasoning, always(bare, None).status) == ("", Status.OK)


@pytest.mark.parametrize("name", ["qwen3", "deepseek_v3"])
def test_a_thought_is_told_apart_where_thinking_is_on(name: str) -> None:
    part = parting(name, Tokenizer(), ChatFormat(template=SWITCH))  # type: ignore[arg-type]
    whole = part(sample([1, 3, 2, 4, 5, 0]), Thinking(enabled=True))
    assert (whole.text, whole.reasoning) == ("42", "is it 41?")


def test_an_unknown_parser_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="got 'qwen'; did you mean 'qwen3'"):
        VLLM("m", reasoning="qwen")


def test_a_parser_makes_another_run_and_reaches_the_engine(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    assert VLLM("m").identity == VLLM("m", reasoning="tags").identity
    assert VLLM("m", reasoning="qwen3").identity["reasoning"] == "qwen3"
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text(
        '{"model_type": "llama", "architectures": ["LlamaForCausalLM"], '
        '"max_position_embeddings": 4096}'
    )
    arguments = engine_args(VLLM(str(folder), reasoning="qwen3"), str(folder))
    assert arguments.reasoning_parser == "qwen3"  # so that constraints begin after the thought
