"""From items to queries."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.items import Item, Questions
from nbest.experiments.questions.prompts import PromptSection, filled, placeholders, render
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Message


def item(question: str, answer: str = "1", **fields: str) -> Item:
    gold = Gold(answer=answer, full=f"so {answer}")
    return Item(id=f"id-{question}", fields={"question": question, **fields}, gold=gold)


def prompts(questions: Questions, **settings: object) -> list[object]:
    rendered = render(PromptSection.model_validate(settings), questions)
    return [query.prompt for query in rendered.queries]


ASKED = Questions(items=(item("a", topic="x"), item("b", topic="y")))


def test_the_template_is_filled_from_the_row() -> None:
    assert prompts(ASKED) == ["a", "b"]
    assert prompts(ASKED, template="{topic}: {question}\n") == ["x: a\n", "y: b\n"]
    assert prompts(ASKED, template="{{{question}}}") == ["{a}", "{b}"]


def test_the_shots_stand_before_the_question_and_show_their_answers() -> None:
    questions = Questions(items=ASKED.items, shots=(item("s", "5"), item("t", "6")))
    settings = {"shots": 2, "shot_template": "Q: {question} A: {answer} ({full_answer})\n"}
    first, second = prompts(questions, template="Q: {question} A:", **settings)
    examples = "Q: s A: 5 (so 5)\nQ: t A: 6 (so 6)\n"
    assert (first, second) == (f"{examples}Q: a A:", f"{examples}Q: b A:")


def test_a_chat_is_one_message_and_the_system() -> None:
    user = Message(role="user", content="a")
    assert prompts(ASKED, chat=True)[0] == (user,)
    system = Message(role="system", content="Say {it}.")
    assert prompts(ASKED, chat=True, system="Say {it}.")[0] == (system, user)


def test_every_setting_changes_the_prompt() -> None:
    settings: dict[str, object] = {
        "template": "{question}!",
        "shots": 1,
        "shot_template": "{question}={answer};",
        "chat": True,
        "system": "Be brief.",
    }
    questions = Questions(items=ASKED.items, shots=(item("s", "5"),))
    whole = prompts(questions, **settings)
    assert set(settings) == set(PromptSection.model_fields)
    for name, other in (("template", "{question}?"), ("shot_template", "-"), ("system", None)):
        assert prompts(questions, **{**settings, name: other}) != whole
    assert prompts(questions, **{**settings, "chat": False, "system": None}) != whole
    # How many shots there are depends on the dataset, which gets the number.
    assert prompts(ASKED, **settings) != whole


def test_no_query_holds_the_gold_answer() -> None:
    secret = Questions(items=(item("what?", "MELLON"),))
    (query,) = render(PromptSection(), secret).queries
    assert "MELLON" not in repr(query)
    with pytest.raises(InputError, match=r"prompt.template: no column named 'answer'; it is one "):
        prompts(secret, template="{question} {answer}")


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_a_row_says_is_no_template(question: str, topic: str) -> None:
    fields = {"question": question, "topic": topic}
    assert filled("{topic}|{question}", fields) == f"{topic}|{question}"


@given(st.text(max_size=30))
def test_any_template_is_filled_or_refused(template: str) -> None:
    with suppress(InputError):
        names = placeholders(template, "template")
        assert filled(template, dict.fromkeys(names, "")).count("{") == template.count("{{")
        return
    with pytest.raises(InputError, match=r"^template must "):
        placeholders(template, "template")


@pytest.mark.parametrize(
    "template",
    [
        "{",
        "}",
        "{}",
        "{0.x}",
        "{question.__class__}",
        "{question[0]}",
        "{question!r}",
        "{question:>9}",
    ],
)
def test_a_template_reaches_into_nothing(template: str) -> None:
    with pytest.raises(InputError, match=r"^template must "):
        placeholders(template, "template")


def test_a_name_that_no_row_has_gets_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        prompts(ASKED, template="{qestion}")
    message = "prompt.template: no column named 'qestion'; did you mean 'question'?"
    assert str(caught.value) == message
    with pytest.raises(InputError, match=r"prompt.shot_template: no column named 'anwser'; did "):
        prompts(ASKED, shots=1, shot_template="{anwser}")


def test_a_bad_row_is_no_query_and_says_why() -> None:
    bad = Item(id="bad", fields={}, error="row 2: question must hold a question, got nothing")
    questions = Questions(items=(*ASKED.items, bad, item("c")))
    rendered = render(PromptSection(template="{question} {topic}"), questions)
    assert [query.id for query in rendered.queries] == ["id-a", "id-b"]
    assert [i.error for i in rendered.bad] == [bad.error, "id-c has no 'topic' for the prompt"]
