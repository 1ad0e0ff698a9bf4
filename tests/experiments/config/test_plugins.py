"""Names and what they stand for: the built-in table, and packages of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbest.experiments.config.plugins import (
    BACKENDS,
    EXTRACTORS,
    GRADERS,
    SELECTORS,
    PluginKind,
    build_backend,
    build_extractor,
    build_grader,
    build_scorer,
)
from nbest.orchestrator.errors import InputError

KINDS = (SELECTORS, EXTRACTORS, GRADERS, BACKENDS)

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar, TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from nowhere import Unknown

@dataclass(frozen=True)
class Mine:
    weight: float = 1.0
    names: "tuple[str, ...]" = ()
    needs_logprobs: ClassVar[bool] = False

    async def __call__(self, query, candidates): ...

@dataclass(frozen=True)
class Hidden:
    what: "Unknown" = None
    needs_logprobs: ClassVar[bool] = False

    async def __call__(self, query, candidates): ...

class Broken:
    def __init__(self, depth: int = 0):
        raise RuntimeError("no\\x1b[31m weights\\nat all")

class NoScorer:
    pass

NUMBER = 3
"""

ENTRIES = """
[nbest.scorers]
mine = plugin_of_others:Mine
hidden = plugin_of_others:Hidden
broken = plugin_of_others:Broken
no_scorer = plugin_of_others:NoScorer
number = plugin_of_others:NUMBER
absent = plugin_of_others:Absent
vote = plugin_of_others:Mine
"""


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else, installed on the path."""
    (tmp_path / "plugin_of_others.py").write_text(PLUGIN)
    info = tmp_path / "plugin_of_others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        build_scorer(text)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.noun for kind in KINDS])
def test_every_built_in_name_leads_to_something(kind: PluginKind) -> None:
    assert set(kind.built_in) <= set(kind.names())
    for name in kind.built_in:
        assert callable(kind.factory(name))


def test_settings_arrive() -> None:
    assert repr(build_scorer("random(seed=7)")) == "Random(seed=7)"
    assert build_extractor('regex(pattern=r"x=(\\d)", group=1)')("x=5") == "5"
    assert repr(build_grader("number(tolerance=1)")) == "Number(tolerance=1.0)"
    fake = build_backend("fake", {"answers": ["1", "2"], "weights": [1, 3], "max_concurrency": 9})
    assert fake.max_concurrency == 9


def test_an_unknown_name_gets_the_nearest_one() -> None:
    assert refusal("votes") == "no selector named 'votes'; did you mean 'vote'?"
    assert refusal("zzz").startswith("no selector named 'zzz'; it is one of: ")
    assert refusal("random(sede=1)") == "random: sede: no such key; did you mean 'seed'?"
    assert refusal("random(x=1)") == "random: x: no such key; it is one of: seed"
    assert refusal("random(seed=1.5)") == "random: seed must be a whole number, got 1.5"


@pytest.mark.usefixtures("others")
def test_a_package_adds_a_name() -> None:
    assert "mine" in SELECTORS.names()
    assert repr(build_scorer("mine(weight=2, names=['a'])")) == "Mine(weight=2.0, names=('a',))"
    assert refusal("mnie") == "no selector named 'mnie'; did you mean 'mine'?"
    assert refusal("mine(names=[1])") == "mine: names must be text, got [1]"
    assert repr(build_scorer("hidden(what=3)")) == "Hidden(what=3)"  # its type cannot be read


@pytest.mark.usefixtures("others")
def test_a_package_takes_no_built_in_name() -> None:
    assert repr(build_scorer("vote")) == "MajorityVote()"


@pytest.mark.usefixtures("others")
def test_a_broken_package_is_one_line() -> None:
    broken = "broken: failed to start: RuntimeError: no?[31m weights"
    assert refusal("broken") == broken
    assert refusal("broken(depth=x)") == "broken: depth must be a plain value, got 'x'"
    assert refusal("no_scorer") == "no_scorer: a selector must have __call__, got NoScorer"
    assert refusal("number") == "selector 'number' must be a class, got int"
    assert refusal("absent").startswith(
        "selector 'absent' (plugin_of_others:Absent) cannot be loaded: AttributeError: "
    )


@pytest.mark.usefixtures("others")
def test_two_packages_with_one_name_are_refused(tmp_path: Path) -> None:
    info = tmp_path / "third-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nbest.scorers]\nmine = third:Other\n")
    message = refusal("mine")
    assert message.endswith("must come from one package, got plugin_of_others:Mine, third:Other")


def test_a_setting_that_is_inherited_from_another_module_is_read_by_its_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "their_base.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from nbest import Scorer\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class ByAnother:\n    by: Scorer\n"
    )
    (tmp_path / "their_scorer.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from their_base import ByAnother\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Heir(ByAnother):\n"
        "    depth: int = 1\n"
        "    needs_logprobs = None\n"
        "    async def __call__(self, query, candidates): ...\n"
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nbest.scorers]\nheir = their_scorer:Heir\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert repr(build_scorer("heir(by=vote, depth=2)")) == "Heir(by=MajorityVote(), depth=2)"
    assert refusal("heir(by=3)") == "heir: by must name a selector, got 3"
