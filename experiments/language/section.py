"""What all sections of a config have in common: frozen, strict, no keys but their own.

It knows no section.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from nbest.experiments.language.text import suggestion


class Section(BaseModel):
    """One mapping of a config file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, data: object) -> object:
        # Runs before pydantic's own check, which suggests no nearest key.
        if not isinstance(data, dict) or cls.model_config.get("extra") == "allow":
            return data
        keys = {field.alias or name for name, field in cls.model_fields.items()}
        for key in data:
            if key not in keys:
                text = f"no such key{suggestion(str(key), keys)}"
                raise PydanticCustomError("unknown_key", "{text}", {"key": key, "text": text})
        return {key: cls._truth(key, value) for key, value in data.items()}

    @classmethod
    def _truth(cls, key: str, value: object) -> object:
        """A word such as `yes` as the truth value it is, where nothing but one is due."""
        wanted = cls.model_fields.get(key)
        if wanted is None or wanted.annotation is not bool or not isinstance(value, str):
            return value
        return _TRUTHS.get(value.lower(), value)


_TRUTHS = {"yes": True, "on": True, "no": False, "off": False}


def _as_list(value: object) -> object:
    if not isinstance(value, str | list | tuple):
        raise PydanticCustomError("texts_type", "must be a text or a list of texts")
    return (value,) if isinstance(value, str) else value


# A list of texts; a single text stands for a list of one.
Texts = Annotated[
    tuple[str, ...],
    Field(strict=False),
    BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
]
