"""Renders items as queries: the template, the worked examples, raw text or a chat.

A template is text with `{column}` in it; `{{` and `}}` are braces. Nothing else of Python's format
language is understood: `{x.attribute}` and `{x[0]}` would reach into objects.

It knows no dataset format and no model, and reads gold answers of worked examples alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Self

from pydantic import Field, model_validator

from nbest.experiments.language.section import Section
from nbest.experiments.language.text import shown, suggestion
from nbest.experiments.questions.items import Item, Questions
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Message, Query


class PromptSection(Section):
    """How a question is put to the model."""

    template: str = Field(
        default="{question}",
        min_length=1,
        description="The prompt, with {question} and other columns of the dataset in braces.",
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
    chat: bool = Field(
        default=False, description="Send it as a chat message, in the model's own chat format."
    )
    system: str | None = Field(
        default=None, description="The system message of the chat; plain text."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        placeholders(self.template, "template")
        placeholders(self.shot_template or "", "shot_template")
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


def render(prompt: PromptSection, questions: Questions) -> Prompts:
    """Render a query for every item that can be asked."""
    check_columns(prompt, questions)
    before = "".join(_shot_text(prompt, shot) for shot in questions.shots)
    queries: list[Query] = []
    bad: list[Item] = []
    for item in questions.items:
        if item.error or (error := _missing_column(prompt.template, item)):
            bad.append(item if item.error else _with_error(item, error))
        else:
            text = before + filled(prompt.template, item.fields)
            queries.append(Query(id=item.id, prompt=_as_prompt(prompt, text)))
    return Prompts(queries=tuple(queries), bad=tuple(bad))


def check_columns(prompt: PromptSection, questions: Questions) -> None:
    """Refuse a placeholder that no row of the dataset has."""
    columns = {"question"} | {key for item in questions.items for key in item.fields}
    for_shots = columns | {"answer", "full_answer"}
    _check_names("template", prompt.template, columns)
    _check_names("shot_template", prompt.shot_template or "", for_shots)


def _check_names(key: str, template: str, columns: set[str]) -> None:
    for name in placeholders(template, key):
        if name not in columns:
            what = f"no column named {name!r}{suggestion(name, columns)}"
            raise InputError(f"prompt.{key}: {what}")


def placeholders(template: str, key: str) -> tuple[str, ...]:
    """The names in braces; InputError where braces hold anything but a plain name."""
    try:
        parts = tuple(Formatter().parse(template))
    except ValueError as error:
        rule = "have a name between { and } (write {{ and }} for braces)"
        raise InputError(f"{key} must {rule}, got {shown(template)}") from error
    names = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if spec or conversion or not name.strip() or any(c in name for c in ".[]"):
            rule = "hold only plain names in braces, as {question}"
            raise InputError(f"{key} must {rule}, got {shown('{' + name + '}')}")
        names.append(name)
    return tuple(names)


def filled(template: str, fields: Mapping[str, str]) -> str:
    """Replace every name in a template, once: braces in a value stay as they are."""
    parts = Formatter().parse(template)
    return "".join(text + (fields[name] if name is not None else "") for text, name, _, _ in parts)


def _shot_text(prompt: PromptSection, shot: Item) -> str:
    template = prompt.shot_template or ""
    answer, full = ("", "") if shot.gold is None else (shot.gold.answer, shot.gold.full)
    fields = {**shot.fields, "answer": answer, "full_answer": full or answer}
    for name in placeholders(template, "shot_template"):
        if name not in fields:
            raise InputError(f"prompt.shot_template: {shot.id} has no {name!r} to show")
    return filled(template, fields)


def _missing_column(template: str, item: Item) -> str:
    absent = [name for name in placeholders(template, "template") if name not in item.fields]
    return f"{item.id} has no {absent[0]!r} for the prompt" if absent else ""


def _with_error(item: Item, error: str) -> Item:
    return Item(id=item.id, fields=item.fields, gold=item.gold, error=error)


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
