"""The sections of a config about panels: arms, and the prompts that they may have.

They are inert: they build values and start nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from nbest.experiments.config.model_section import ModelSection
from nbest.experiments.config.sections import SamplingSection
from nbest.experiments.language.errors import describe
from nbest.experiments.language.section import Section
from nbest.experiments.language.text import suggestion
from nbest.experiments.questions.prompts import PromptSection
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import NamedModel
from nbest.orchestrator.query.panel import Arm, Panel


class ArmSection(Section):
    """One way to draw samples: what it has otherwise than the run, under `sampling`'s names."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}$",
        description="What tables call it. Default: arm0, arm1 and so on.",
    )
    weight: int = Field(
        default=1, ge=1, le=1000, description="Samples of it for each of an arm of weight 1."
    )
    prompt: str | None = Field(
        default=None, description="The name of an entry of `prompts`. Default: the run's prompt."
    )
    model: str | None = Field(
        default=None, description="The name of an entry of `models`. Default: the run's model."
    )


def build_panel(
    arms: Sequence[ArmSection],
    sampling: SamplingSection,
    prompts: Mapping[str, object],
    models: Mapping[str, ModelSection],
    stages: tuple[int, ...] = (),
) -> Panel | None:
    """The panel of a config; None where there are no arms. InputError names a wrong arm.

    In a cascade, `stages` are the samples of each arm before the next one.
    """
    if not arms:
        return None
    built = []
    for place, arm in enumerate(arms):
        _require_named(f"arms[{place}].prompt", "prompt", arm.prompt, prompts)
        _require_named(f"arms[{place}].model", "model", arm.model, models)
        built.append(
            Arm(
                name=f"arm{place}" if arm.name is None else arm.name,
                params=_sampling_of(arm, sampling, place).build(),
                weight=arm.weight,
                prompt=arm.prompt or "",
                model=None if arm.model is None else _named(arm.model, models),
            )
        )
    return Panel(arms=tuple(built), stages=stages)


def _named(name: str, models: Mapping[str, ModelSection]) -> NamedModel:
    return NamedModel(name=name, settings=models[name].build())


def _require_named(key: str, noun: str, name: str | None, known: Mapping[str, object]) -> None:
    if name is not None and name not in known:
        hint = suggestion(name, known) if known else f"; there are no {noun}s"
        raise InputError(f"{key}: no {noun} named {name!r}{hint}")


def _sampling_of(arm: ArmSection, sampling: SamplingSection, place: int) -> SamplingSection:
    """The sampling of the run with what the arm changes."""
    plain: dict[str, Any] = sampling.model_dump(exclude_unset=True, by_alias=True)
    raw = plain | arm.__pydantic_extra__
    try:
        return SamplingSection.model_validate(raw)
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], raw)
        raise InputError(f"arms[{place}].{what}") from error


def build_prompts(
    prompt: PromptSection, changes: Mapping[str, Mapping[str, JsonValue]]
) -> dict[str, PromptSection]:
    """The prompts of the arms by name: the run's prompt, with what each changes."""
    built = {}
    for name, changed in changes.items():
        raw = prompt.model_dump(exclude_unset=True) | dict(changed)
        try:
            section = PromptSection.model_validate(raw)
        except ValidationError as error:
            _, what = describe(error.errors(include_url=False)[0], raw)
            raise InputError(f"prompts.{name}.{what}") from error
        if section.shots > prompt.shots:
            rule = f"be at most {prompt.shots}, those of prompt"
            raise InputError(f"prompts.{name}.shots must {rule}, got {section.shots}")
        built[name] = section
    return built
