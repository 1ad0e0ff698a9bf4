"""What tokens cost."""

from __future__ import annotations

import pytest

from nbest import Endpoint, FakeBackend, NamedModel, Sample, SeededAnswers, Usage
from nbest.experiments.runs.bill import bill_line, bill_lines, dollars
from nbest.orchestrator.errors import InputError

USAGE = Usage(samples=4, prompt_tokens=3_000_000, cached_tokens=1_000_000, generated_tokens=500_000)


def test_each_kind_of_token_has_its_price() -> None:
    assert dollars({"input": 2.0, "cached": 0.5, "output": 8.0}, USAGE) == 4.0 + 0.5 + 4.0
    assert dollars({"input": 2.0, "output": 8.0}, USAGE) == 6.0 + 4.0
    assert dollars({"output": 8.0}, USAGE) == 4.0
    assert dollars({"input": 1.0}, Usage()) == 0.0


def test_the_line_says_what_was_paid_for() -> None:
    assert bill_line({}, Usage(prompt_tokens=3, generated_tokens=2)) == (
        "3 prompt tokens and 2 generated"
    )
    line = bill_line({"input": 2.0, "cached": 0.5, "output": 8.0}, USAGE)
    assert line == ("$8.5000 for 3,000,000 prompt tokens (1,000,000 cached) and 500,000 generated")


@pytest.mark.parametrize(
    ("price", "what"),
    [
        ({"inputs": 1.0}, "price must name input, cached, output"),
        ({"input": -1.0}, r"price\.input must be at least 0"),
        ({"input": float("nan")}, r"price\.input must be at least 0"),
    ],
)
def test_a_wrong_price_is_refused(price: dict[str, float], what: str) -> None:
    with pytest.raises(InputError, match=what):
        Endpoint("m", base_url="http://x/v1", price=price)


def test_a_price_decides_no_sample() -> None:
    plain = Endpoint("m", base_url="http://x/v1")
    assert Endpoint("m", base_url="http://x/v1", price={"input": 1.0}).identity == plain.identity


def test_each_model_has_a_line_by_the_names_of_its_engines() -> None:
    large = NamedModel(
        name="large", settings=Endpoint("l", base_url="http://a/v1", price={"input": 1.0})
    )
    engines = ["engine0", "engine1@fp_4-4", "large-0@fp_4-4", "large-1", "reward0", "gone-0", ""]
    samples = [
        Sample(id=f"r/q/s{i}", text="", engine=engine, prompt_tokens=1, generated_tokens=10)
        for i, engine in enumerate(engines)
    ]
    script = SeededAnswers(answers=("1",), weights=(1,))
    lines = bill_lines(FakeBackend(script=script), [large], [("q", samples)])
    assert [line.partition(" samples")[0] for line in lines] == [
        "model: 2",
        "large: 2",
        "reward models: 1",
        "gone: 1",  # of an earlier config; it has no price here, and what failed has no engine
    ]
    assert [line for line in lines if "$" in line] == [lines[1]]
