"""Renders items as queries: the template, the worked examples, raw text or a chat.

A template is text with `{column}` in it; `{{` and `}}` are braces. Nothing else of Python's format
language is understood: `{x.attribute}` and `{x[0]}` would reach into objects. With `syntax: jinja`
it is a template of Jinja's sandbox, which knows loops and conditions.

It knows no dataset format and no model, and reads gold answers of worked examples alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Self

from pydantic import Field, model_validator

from nbest.experiments.language.section import Section
from nbest.experiments.language.text import shown, suggestion
from nbest.experiments.questions.items import Item, Questions
from nbest.experiments.questions.templates import BRACES, Syntax, filled, names_in
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Message, Query

QUESTION = "question"  # in a query's meta: the question alone, without template and examples


class PromptSection(Section):
    """How a question is put to the model."""

    template: str = Field(
        default="{question}",
        min_length=1,
        description="The prompt, with {question} and other columns of the dataset in braces.",
    )
    syntax: Syntax = Field(
        default="braces",
        description="braces: {question}. jinja: {{ question }}, with loops over columns that hold "
        "lists, as {% for choice in choices %}.",
    )
    shots: int = Field(
        default=0,
        ge=0,
        description="How many worked examples stand before it. They are never asked.",
    )
    shot_template: str | None = Field(
        default=None,
        min_length=1,
        description="One worked example, with {question}, {answer}, {full_answer} (the answer "
        "before answer_after cut it) and other columns in braces.",
    )
    shot_order: int = Field(
        default=0,
        ge=0,
        description="Another order of the worked examples, by this seed; 0 is their own.",
    )
    chat: bool = Field(
        default=False, description="Send it as a chat message, in the model's own chat format."
    )
    system: str | None = Field(
        default=None, description="The system message of the chat; plain text."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not names_in(self.template, self.syntax, "template"):
            hint = " (or set prompt.syntax: jinja)" if "{{" in self.template else ""
            rule = f"name a column in braces, as {{question}}{hint}"
            raise InputError(f"template must {rule}, got {shown(self.template)}")
        names_in(self.shot_template or "", self.syntax, "shot_template")
        if self.shots and self.shot_template is None:
            raise InputError(f"shot_template must be given when shots is {self.shots}, got nothing")
        if self.system is not None and not self.chat:
            raise InputError(f"system must go with chat: true, got {shown(self.system)}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """The queries of a run, and the items that cannot be asked."""

    queries: tuple[Query, ...]
    bad: tuple[Item, ...]  # `Item.error` says why


def render(
    prompt: PromptSection,
    questions: Questions,
    variants: Mapping[str, PromptSection] | None = None,
) -> Prompts:
    """Render a query for every item that can be asked, with the other prompts of arms by name."""
    plain = _render(prompt, questions)
    if not variants:
        return plain
    bad = {item.id: item for item in plain.bad}
    others: dict[str, dict[str, str | tuple[Message, ...]]] = {}
    for name, variant in variants.items():
        rendered = _render(variant, questions, f"prompts.{name}")
        bad = {item.id: item for item in rendered.bad} | bad
        for query in rendered.queries:
            others.setdefault(query.id, {})[name] = query.prompt
    asked = (query for query in plain.queries if query.id not in bad)
    queries = tuple(replace(query, variants=others[query.id]) for query in asked)
    return Prompts(queries=queries, bad=tuple(bad.values()))


def _render(prompt: PromptSection, questions: Questions, key: str = "prompt") -> Prompts:
    check_columns(prompt, questions, key)
    before = "".join(_shot_text(prompt, shot, key) for shot in _shots(prompt, questions))
    names = names_in(prompt.template, prompt.syntax, "template")
    queries: list[Query] = []
    bad: list[Item] = []
    for item in questions.items:
        if item.error or (error := _missing_column(names, item)):
            bad.append(item if item.error else _with_error(item, error))
        else:
            text = before + filled(prompt.template, prompt.syntax, item.fields)
            meta = {QUESTION: item.question, **item.meta}
            queries.append(Query(id=item.id, prompt=_as_prompt(prompt, text), meta=meta))
    return Prompts(queries=tuple(queries), bad=tuple(bad))


def _shots(prompt: PromptSection, questions: Questions) -> Sequence[Item]:
    """The worked examples of a prompt, in its order."""
    shots = list(questions.shots[: prompt.shots])
    if prompt.shot_order:
        Random(prompt.shot_order).shuffle(shots)
    return shots


def check_columns(prompt: PromptSection, questions: Questions, key: str = "prompt") -> None:
    """Refuse a placeholder that no row of the dataset has."""
    columns = {"question"} | {key for item in questions.items for key in item.fields}
    for_shots = columns | {"answer", "full_answer"}
    _check_names(f"{key}.template", prompt.template, prompt.syntax, columns)
    _check_names(f"{key}.shot_template", prompt.shot_template or "", prompt.syntax, for_shots)


def _check_names(key: str, template: str, syntax: Syntax, columns: set[str]) -> None:
    for name in names_in(template, syntax, key):
        if name not in columns:
            what = f"no column named {name!r}{suggestion(name, columns)}"
            hint = f" ({BRACES})" if syntax == "braces" else ""
            raise InputError(f"{key}: {what}{hint}")


def _shot_text(prompt: PromptSection, shot: Item, key: str) -> str:
    template = prompt.shot_template or ""
    answer, full = ("", "") if shot.gold is None else (shot.gold.answer, shot.gold.full)
    fields = {**shot.fields, "answer": answer, "full_answer": full or answer}
    for name in names_in(template, prompt.syntax, "shot_template"):
        if name not in fields:
            raise InputError(f"{key}.shot_template: {shot.id} has no {name!r} to show")
    return filled(template, prompt.syntax, fields)


def _missing_column(names: Sequence[str], item: Item) -> str:
    absent = [name for name in names if name not in item.fields]
    return f"{item.id} has no {absent[0]!r} for the prompt" if absent else ""


def _with_error(item: Item, error: str) -> Item:
    return replace(item, error=error)


def _as_prompt(prompt: PromptSection, text: str) -> str | tuple[Message, ...]:
    if not prompt.chat:
        return text
    user = Message(role="user", content=text)
    if prompt.system is None:
        return (user,)
    return (Message(role="system", content=prompt.system), user)


def prompt_text(query: Query) -> str:
    """A query's prompt as text to read; a chat turn by turn, before the model's own template."""
    if isinstance(query.prompt, str):
        return query.prompt
    return "\n".join(f"[{message.role}] {message.content}" for message in query.prompt)


def question_text(query: Query) -> str:
    """The question alone, without template and examples; the whole prompt where it is not known."""
    question = query.meta.get(QUESTION)
    return question if isinstance(question, str) else prompt_text(query)
