"""The objects that the texts of one config stand for, each built once.

A selector may load a schema or start a sandbox to see that it works; the check of a config, the run
and the table at its end share what was built.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol, TypeVar

from pydantic import AfterValidator, ValidationInfo

from nbest.experiments.language.expressions import with_files

T = TypeVar("T")
Built = TypeVar("Built", covariant=True)


class Builds(Protocol[Built]):
    """Builds an object from a text."""

    def __call__(self, text: str, *, trusted: bool = False) -> Built: ...


class Objects:
    """Builds objects from texts, each once.

    `trusted` are the texts of a config that the user runs: they may name code in files, and files.
    """

    def __init__(self, *, trusted: bool = False) -> None:
        self.trusted = trusted
        self._built: dict[tuple[Builds[Any], str], Any] = {}

    def __eq__(self, other: object) -> bool:
        """Equal all others: what has been built is no part of a config."""
        return isinstance(other, Objects)

    def get(self, build: Builds[T], text: str) -> T:
        """The object of a text, built at the first call; raises what `build` raises."""
        key = (build, text)
        if key not in self._built:
            self._built[key] = build(text, trusted=self.trusted)
        built: T = self._built[key]
        return built


def objects_of(info: ValidationInfo) -> Objects:
    """The objects of the config that is being checked; new ones for a section by itself."""
    return info.context if isinstance(info.context, Objects) else Objects()


def _with_files(text: str, info: ValidationInfo) -> str:
    return with_files(text) if objects_of(info).trusted else text


ExpressionText = Annotated[str, AfterValidator(_with_files)]
"""An expression with the texts of files in the place of each `@file`: the run holds them."""


def builds(build: Builds[object]) -> AfterValidator:
    """Check that a text stands for an object, and keep the object; files that it names are read."""

    def check(text: str, info: ValidationInfo) -> str:
        text = _with_files(text, info)
        objects_of(info).get(build, text)
        return text

    return AfterValidator(check)
