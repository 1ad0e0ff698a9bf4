"""The names that a config or an option can use, and what each stands for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from nbest.experiments.config.config import Config
from nbest.experiments.config.plugins import (
    BACKENDS,
    EQUIVALENCES,
    EXTRACTORS,
    GRADERS,
    QUERY_GRADERS,
    REWARD_MODELS,
    SELECTORS,
    STOP_RULES,
    VALIDATORS,
)
from nbest.experiments.config.reference import models_in
from nbest.experiments.config.search import PLANS
from nbest.experiments.config.strategy import KINDS as STRATEGIES
from nbest.experiments.config.strategy import StrategySection
from nbest.experiments.language.plugin_kind import PluginKind
from nbest.experiments.language.text import first_sentence
from nbest.experiments.tasks.named import TASKS
from nbest.orchestrator.errors import error_text

OURS = "nbest"

_PARTS: Mapping[str, tuple[PluginKind, ...]] = {
    "selectors": (SELECTORS,),
    "extractors": (EXTRACTORS,),
    "graders": (GRADERS, QUERY_GRADERS),
    "equivalences": (EQUIVALENCES,),
    "validators": (VALIDATORS,),
    "backends": (BACKENDS,),
    "stop-rules": (STOP_RULES,),
    "reward-models": (REWARD_MODELS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A name, and what it stands for."""

    name: str
    what: str
    origin: str  # nbest, or the package of a plugin

    def as_json(self) -> dict[str, str]:
        """What `--json` prints of it."""
        return asdict(self)


def listed(kind: str) -> list[Listed]:
    """The names of a kind, one of `KINDS`, in the order of the alphabet."""
    return _LISTS[kind]()


def _parts(kinds: tuple[PluginKind, ...]) -> list[Listed]:
    return sorted(
        (_part(kind, name) for kind in kinds for name in kind.names()), key=lambda one: one.name
    )


def _part(kind: PluginKind, name: str) -> Listed:
    """A part with the first sentence of its docstring, or why it cannot be imported."""
    is_ours = name in kind.built_in
    origin = OURS if is_ours else _package(next(iter(entry_points(group=kind.group, name=name))))
    try:
        what = _first_sentence(kind.factory(name))
    # A plugin may fail in any way when it is imported; the others are listed all the same.
    except Exception as error:  # noqa: BLE001
        what = f"cannot be imported: {error_text(error)}"
    return Listed(name=name, what=what, origin=origin)


def _first_sentence(part: object) -> str:
    return first_sentence(inspect.getdoc(part) or "")


def _package(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _datasets() -> list[Listed]:
    return [
        Listed(
            name=get_args(section.model_fields["kind"].annotation)[0],
            what=_first_sentence(section),
            origin=OURS,
        )
        for section in models_in(Config.model_fields["dataset"].annotation)
    ]


def _strategies() -> list[Listed]:
    """The keys of `strategy` that decide how samples are drawn, and the searches."""
    keys = [
        Listed(
            name=name,
            what=" ".join((StrategySection.model_fields[name].description or "").split()),
            origin=OURS,
        )
        for name in STRATEGIES
        if name in StrategySection.model_fields
    ]
    searches = [_part(PLANS, name) for name in PLANS.names()]
    return [
        *keys,
        *(Listed(name=f"search: {s.name}", what=s.what, origin=s.origin) for s in searches),
    ]


def _plugins() -> list[Listed]:
    """Every entry point of a package that adds a name to nbest."""
    groups = sorted({kind.group for kinds in _PARTS.values() for kind in kinds} | {PLANS.group})
    return [
        Listed(name=entry.name, what=f"{group}: {entry.value}", origin=_package(entry))
        for group in groups
        for entry in entry_points(group=group)
    ]


def _tasks() -> list[Listed]:
    return [Listed(name=name, what=what, origin=OURS) for name, what in TASKS.items()]


_LISTS: Mapping[str, Callable[[], list[Listed]]] = {
    **{name: partial(_parts, kinds) for name, kinds in _PARTS.items()},
    "datasets": _datasets,
    "strategies": _strategies,
    "tasks": _tasks,
    "plugins": _plugins,
}
KINDS = tuple(_LISTS)
