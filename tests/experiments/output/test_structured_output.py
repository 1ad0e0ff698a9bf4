"""Types in, values out: `ask(output=...)`, its layers, and errors of one line."""

from __future__ import annotations

import asyncio
import datetime
import enum
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from nbest import (
    BestOfN,
    FakeBackend,
    MajorityVote,
    OpenModel,
    Output,
    Reply,
    SeededAnswers,
    StructuredOutput,
    ask,
    open_model,
)
from nbest.experiments.output.models import IsValue, ValueType
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Message, Query, Request


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not name.istitle():
            raise ValueError("a name begins with a capital")
        return name


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Event(BaseModel):
    when: datetime.date
    colour: Colour
    who: list[Person]
    kind: Literal["public", "private"]
    note: str | None = None
    size: int | str

    @model_validator(mode="after")
    def _has_guests(self) -> Event:
        if self.kind == "private" and len(self.who) > 2:
            raise ValueError("a private event has two guests at most")
        return self


@dataclass
class Point:
    x: int
    y: int


def saying(*answers: str) -> FakeBackend:
    return FakeBackend(script=SeededAnswers(answers=answers, weights=(1,) * len(answers)))


EVENT: dict[str, Any] = {
    "when": "2026-05-01",
    "colour": "red",
    "who": [{"name": "Ann", "age": 34}],
    "kind": "public",
    "size": "3",
}


def test_a_value_of_the_type_comes_out() -> None:
    output = ask(
        "Ann, 34, of Oslo", output=Person, n=8, backend=saying('{"name": "Ann", "age": 34}')
    )
    assert output.value == Person(name="Ann", age=34)
    assert (output.layer, output.changes, output.agreement) == ("plain", (), 1.0)
    assert len(output.selection.samples) == 8


def test_nested_types_are_made_of_their_texts_and_nothing_else_is_converted() -> None:
    output = ask("When?", output=Event, backend=saying(json.dumps(EVENT)))
    assert output.value is not None
    assert output.value.when == datetime.date(2026, 5, 1)
    assert (output.value.colour, output.value.size, output.value.note) == (Colour.RED, "3", None)
    for change in (
        {"when": "1 May"},
        {"colour": "green"},
        {"who": [{"name": "Ann", "age": "34"}]},
        {"who": "Ann"},
        {"kind": "secret"},
        {"size": 1.5},
        {"note": 3},
        {"who": [{"name": "Ann", "age": 1}] * 3, "kind": "private"},
    ):
        said = json.dumps(EVENT | change)
        assert ask("When?", output=Event, backend=saying(said)).value is None, change


@pytest.mark.parametrize(
    ("output", "said", "value"),
    [
        (list[int], "It is [1, 2].", [1, 2]),
        (bool, "true", True),
        (Literal["a", "b"], '"a"', "a"),
        (Point, '{"x": 1, "y": 2}', Point(1, 2)),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        ({"type": "integer"}, "42", 42),
        ('{"type": "integer"}', "42", 42),
        (list[int], '["1"]', None),
        (int, "1.0", None),
        (bool, '"no"', None),
    ],
)
def test_any_type_that_pydantic_knows_and_any_schema(
    output: object, said: str, value: object
) -> None:
    found: Output[Any] = ask("?", output=output, backend=saying(said))
    assert found.value == value


def test_a_schema_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "number.json"
    path.write_text('{"type": "integer"}')
    for schema in (path, str(path)):
        assert ask("?", output=schema, backend=saying("7")).value == 7


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (object(), "output must be a type that Pydantic knows, a schema, or a file with one, got"),
        ("nothing.json", "schema must be a file that can be read, got 'nothing.json'"),
        ({"type": "thing"}, "json_schema must be a schema"),
    ],
)
def test_what_is_no_type_is_one_clear_line(output: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        ask("?", output=output, backend=saying("7"))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Stubborn:
    """A model that answers well from a turn on: corrections have more turns than questions."""

    turns: int
    bad: str

    def __call__(self, request: Request) -> Reply:
        is_late = len(request.prompt) >= self.turns
        return Reply(tokens=('{"name": "Ann", "age": 34}' if is_late else self.bad,))


def test_layers_are_told() -> None:
    good = '{"name": "Ann", "age": 34}'
    for said, layer in (
        (good, "plain"),
        (f"Sure: {good}", "extracted"),
        ("{'name': 'Ann', 'age': 34}", "repaired"),
    ):
        assert ask("?", output=Person, backend=saying(said)).layer == layer
    corrected = ask("?", output=Person, backend=FakeBackend(script=Stubborn(3, "no")))
    assert (corrected.layer, corrected.value) == ("corrected", Person(name="Ann", age=34))
    strict = StructuredOutput(schema=Person, repair="none", corrections=0, retries=0)
    assert ask("?", strict, saying("{'name': 'Ann', 'age': 34}")).value is None


def test_the_words_of_the_users_validator_reach_the_model() -> None:
    heard: list[str] = []

    @dataclass(frozen=True)
    class Listening:
        def __call__(self, request: Request) -> Reply:
            last = request.prompt[-1]
            heard.append(last.content if isinstance(last, Message) else last)
            return Reply(tokens=('{"name": "ann", "age": 34}',))

    output = StructuredOutput(schema=Person, retries=0)
    assert ask("Ann, 34", output, FakeBackend(script=Listening())).value is None
    first, correction = heard
    assert first.endswith(output.type.schema)
    assert first.count(output.type.schema) == 1
    assert '/name: a name begins with a capital, got "ann"' in correction


def test_keys_keep_the_order_of_the_type() -> None:
    output = StructuredOutput(schema=Event)
    properties = json.loads(output.type.schema)["properties"]
    assert list(properties) == ["when", "colour", "who", "kind", "note", "size"]


def test_a_repaired_answer_alone_decides_nothing() -> None:
    """Two mended answers agree, and one plain one says otherwise: the plain one it is."""

    @dataclass(frozen=True)
    class Lanes:
        def __call__(self, request: Request) -> Reply:
            lane = int(request.id.rpartition("/s")[2])
            said = ["{'name': 'Bob', 'age': 1}"] * 2 + ['{"name": "Ann", "age": 34}']
            return Reply(tokens=(said[lane],))

    output = ask("?", StructuredOutput(schema=Person, n=3), FakeBackend(script=Lanes()))
    assert output.value == Person(name="Ann", age=34)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "strict"}, "mode must be prompt, constrained or both, got 'strict'"),
        ({"repair": "all"}, "repair must be lossless or none, got 'all'"),
        ({"choose": "best"}, "choose must be one of first, vote, by_field, got 'best'"),
        ({"n": 0}, "n must be at least 1, got 0"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        StructuredOutput(schema=Person, **settings)
    assert str(caught.value) == message


def test_ask_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="strategy must be left out with output"):
        ask("?", StructuredOutput(schema=Person), saying("1"), output=Person)  # type: ignore[call-overload]
    with pytest.raises(InputError, match="strategy must be given without output"):
        ask("?")  # type: ignore[call-overload]


def test_a_model_that_stays_answers_with_values() -> None:
    said = '{"name": "Ann", "age": 34}'
    with open_model(saying(said)) as model:
        first = model.ask("Ann, 34", output=Person, n=2)
        assert first.value == Person(name="Ann", age=34)
        careful = StructuredOutput(schema=Person, n=2)
        assert model.ask("Ann, 34", careful).value == first.value
        assert asyncio.run(_asked(model)).value == first.value
        (record,) = model.ask_many(["Ann, 34"], careful)
        assert record.answer == '{"name":"Ann","age":34}'
        plain = model.ask("Ann, 34", BestOfN(n=1, select=MajorityVote()))
        assert plain.answer == said
        with pytest.raises(InputError, match="strategy must be left out with output"):
            model.ask("?", careful, output=Person)  # type: ignore[call-overload]


async def _asked(model: OpenModel) -> Output[Person]:
    return await model.aask("Ann, 34", output=Person, n=2)


def test_yaml_is_written_and_the_value_is_the_same() -> None:
    output = StructuredOutput(schema=Person, language="yaml", retries=0, corrections=0, n=3)
    prompt = output.asked("Ann, 34")
    assert isinstance(prompt, tuple)
    assert "one YAML document" in prompt[-1].content
    answer = ask("Ann, 34", output, saying("name: Ann\nage: 34"))
    assert (answer.value, answer.layer) == (Person(name="Ann", age=34), "plain")
    fenced = ask("Ann, 34", output, saying("```yaml\nname: Ann\nage: 34\n```"))
    assert (fenced.value, fenced.layer) == (Person(name="Ann", age=34), "extracted")
    bullets = StructuredOutput(schema=list[str], language="yaml", choose="by_field")
    mended = ask("?", bullets, saying("* one\n* two"))
    assert (mended.value, mended.layer) == (["one", "two"], "repaired")


def test_an_error_of_the_users_own_keeps_its_words() -> None:
    class Even(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def _is_even(cls, n: int) -> int:
            if n % 2:
                raise PydanticCustomError("odd", "must be even, like {like}", {"like": 4})
            return n

    rule = IsValue(ValueType(Even))
    reasons = asyncio.run(rule.why(Query(id="q", prompt="?"), '{"n": 3}'))
    assert reasons == ("/n: must be even, like 4, got 3",)


class Fast(BaseModel):
    x: int


class Slow(BaseModel):
    x: int


class Bill(BaseModel):
    total: Decimal


def test_the_order_of_a_union_counts_whatever_was_asked_before() -> None:
    for first, second in ((Fast, Slow), (Slow, Fast)):
        output = StructuredOutput(schema=first | second)
        assert type(output.type.value('{"x": 1}')) is first


def test_decimals_have_all_their_digits() -> None:
    answer = ask("?", output=Bill, backend=saying('{"total": 12345678901234567.89}'))
    assert answer.value == Bill(total=Decimal("12345678901234567.89"))
    either = ask("?", output=list[float | str], backend=saying("[12345678901234567.89]"))
    assert either.value == [12345678901234567.89]


def test_below_its_confidence_it_abstains() -> None:
    output = StructuredOutput(schema=int, n=8, min_confidence=0.99)
    backend = saying("1", "2")
    assert ask("?", output, backend).value is None
    assert ask("?", StructuredOutput(schema=int, n=8), backend).value in (1, 2)
