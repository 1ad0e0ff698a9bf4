"""From items to queries."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.items import Item, JsonText, Questions
from nbest.experiments.questions.prompts import PromptSection, render
from nbest.experiments.questions.templates import filled, names_in
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
        "shots": 2,
        "shot_template": "{question}={answer};",
        "chat": True,
        "system": "Be brief.",
        "syntax": "braces",
        "shot_order": 1,
    }
    questions = Questions(items=ASKED.items, shots=(item("s", "5"), item("t", "6")))
    whole = prompts(questions, **settings)
    assert set(settings) == set(PromptSection.model_fields)
    others = {"template": "{question}?", "shot_template": "-", "system": None, "shots": 1}
    for name, other in {**others, "shot_order": 0}.items():
        assert prompts(questions, **{**settings, name: other}) != whole
    assert prompts(questions, **{**settings, "chat": False, "system": None}) != whole
    # How many shots there are depends on the dataset, which gets the number.
    assert prompts(ASKED, **settings) != whole


def test_other_prompts_of_a_query_stand_by_their_names() -> None:
    plain = PromptSection(template="{question}")
    brief = PromptSection(template="Briefly: {question}", chat=True)
    rendered = render(plain, ASKED, {"brief": brief})
    first = rendered.queries[0]
    assert first.prompt == "a"
    assert first.variants == {"brief": (Message(role="user", content="Briefly: a"),)}


def test_a_question_that_one_prompt_cannot_ask_is_not_asked_at_all() -> None:
    rows = (item("a", topic="x"), item("b"))
    rendered = render(
        PromptSection(), Questions(items=rows), {"topic": PromptSection(template="{topic}")}
    )
    assert [query.id for query in rendered.queries] == [rows[0].id]
    assert [bad.id for bad in rendered.bad] == [rows[1].id]


def test_no_query_holds_the_gold_answer() -> None:
    secret = Questions(items=(item("what?", "MELLON"),))
    (query,) = render(PromptSection(), secret).queries
    assert "MELLON" not in repr(query)
    with pytest.raises(InputError, match=r"prompt.template: no column named 'answer'; it is one "):
        prompts(secret, template="{question} {answer}")


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_a_row_says_is_no_template(question: str, topic: str) -> None:
    fields = {"question": question, "topic": topic}
    assert filled("{topic}|{question}", "braces", fields) == f"{topic}|{question}"


@given(st.text(max_size=30))
def test_any_template_is_filled_or_refused(template: str) -> None:
    with suppress(InputError):
        names = names_in(template, "braces", "template")
        assert filled(template, "braces", dict.fromkeys(names, "")).count("{") == template.count(
            "{{"
        )
        return
    with pytest.raises(InputError, match=r"^template must "):
        names_in(template, "braces", "template")


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
        names_in(template, "braces", "template")


def test_a_name_that_no_row_has_gets_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        prompts(ASKED, template="{qestion}")
    message = "prompt.template: no column named 'qestion'; did you mean 'question'?"
    assert str(caught.value) == f"{message} (write {{{{ and }}}} for braces that are text)"
    with pytest.raises(InputError, match=r"prompt.shot_template: no column named 'anwser'; did "):
        prompts(ASKED, shots=1, shot_template="{anwser}")


def test_a_bad_row_is_no_query_and_says_why() -> None:
    bad = Item(id="bad", fields={}, error="row 2: question must hold a question, got nothing")
    questions = Questions(items=(*ASKED.items, bad, item("c")))
    rendered = render(PromptSection(template="{question} {topic}"), questions)
    assert [query.id for query in rendered.queries] == ["id-a", "id-b"]
    assert [i.error for i in rendered.bad] == [bad.error, "id-c has no 'topic' for the prompt"]


CHOICES = JsonText('["red", "blue"]')


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ question }}", "what?"),
        ("{% for c in choices %}{{ loop.index }}) {{ c }}\n{% endfor %}", "1) red\n2) blue\n"),
        ("{{ choices | join('/') }}", "red/blue"),
        ("{{ choices[1] }} of {{ choices | length }}", "blue of 2"),
        ("{% if topic %}{{ topic }}: {% endif %}{{ question }}\n", "hue: what?\n"),
        ("{{ question }} \\boxed{}", "what? \\boxed{}"),
    ],
)
def test_jinja_knows_loops_and_conditions(template: str, text: str) -> None:
    row = Item(id="q", fields={"question": "what?", "topic": "hue", "choices": CHOICES})
    assert prompts(Questions(items=(row,)), template=template, syntax="jinja") == [text]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ question.__class__.__mro__ }}", "template cannot be filled: access to attribute"),
        ("{{ question | nope }}", "template must be a template of Jinja"),
        ("{{ question }", "template must be a template of Jinja"),
        ("{{ questoin }}", "no column named 'questoin'; did you mean 'question'?"),
        ("{% for x in question %}", "template must be a template of Jinja"),
        ("{{ question + 1 }}", "template cannot be filled"),
        ("plain text", "template must name a column in braces"),
    ],
)
def test_a_template_of_jinja_is_refused_in_one_line(template: str, message: str) -> None:
    row = Item(id="q", fields={"question": "what?"})
    with pytest.raises((InputError, ValueError), match=re.escape(message)):
        prompts(Questions(items=(row,)), template=template, syntax="jinja")


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("{{ question }}", "set prompt.syntax: jinja"),
        ("Say it.", "as {question}"),
        ("{question} Use \\boxed{}.", "write {{ and }} for braces"),
        ("{question:>5}", "got '{question:>5}'"),
        ("{question!r}", "got '{question!r}'"),
        ("{x + 1}", "write {{ and }} for braces"),
    ],
)
def test_a_refusal_says_how_braces_are_written(template: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        prompts(ASKED, template=template)


def test_the_question_and_the_columns_that_are_kept_stand_apart_from_the_prompt() -> None:
    row = Item(id="q", fields={"question": "what?"}, meta={"tests": ["a", "b"]})
    (query,) = render(PromptSection(template="Q: {question}"), Questions(items=(row,))).queries
    assert query.prompt == "Q: what?"
    assert query.meta == {"question": "what?", "tests": ["a", "b"]}
