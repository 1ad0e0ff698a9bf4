"""The section of a config about a model: which backend, with which settings."""

from __future__ import annotations

from typing import Self

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nbest.experiments.config.objects import Objects, objects_of
from nbest.experiments.config.plugins import BACKENDS, build_backend
from nbest.experiments.language.section import Section
from nbest.orchestrator.protocols import BackendConfig


class ModelSection(Section):
    """Which model, and the settings of the backend's class."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    backend: str = Field(
        default="vllm",
        description="vllm, openai (a server that runs already), fake, or an installed plugin.",
    )

    _objects: Objects = PrivateAttr(default_factory=Objects)

    @field_validator("backend")
    @classmethod
    def _is_known(cls, name: str, info: ValidationInfo) -> str:
        BACKENDS.factory(name, trusted=objects_of(info).trusted)
        return name

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> Self:
        self._objects = objects_of(info)
        self.build()
        return self

    def build(self) -> BackendConfig:
        """Build the backend's settings; nothing is started."""
        return build_backend(self.backend, self.__pydantic_extra__, trusted=self._objects.trusted)
