"""Names of classes in files, texts from files, and names of one's own for expressions."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbest.experiments.config import plugins
from nbest.experiments.config.plugins import SELECTORS, build_equivalence, build_scorer
from nbest.experiments.language.expressions import parse_expression, parse_expressions, with_files
from nbest.orchestrator.errors import InputError
from nbest.scorers.votes.weighted import WeightedVote

MINE = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class FewestWords:
    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    weight: float = 1.0

    async def __call__(self, query, candidates):
        return np.array([-self.weight * len(s.text.split()) for s in candidates.samples])


class Lower:
    def __call__(self, sample):
        return sample.text.lower()


class Equal:
    def __call__(self, answer, gold):
        return float(answer == gold.answer)


NUMBER = 3
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of one's own, named from the folder it is in."""
    (tmp_path / "my-own").mkdir()
    (tmp_path / "my-own" / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return "my-own/mine.py"


def test_a_class_in_a_file_is_a_name_wherever_one_is_taken(mine: str) -> None:
    assert type(build_scorer(f"{mine}:FewestWords", trusted=True)).__name__ == "FewestWords"
    assert getattr(build_scorer(f"{mine}:FewestWords(weight=2.0)", trusted=True), "weight") == 2.0  # noqa: B009
    assert callable(plugins.build_extractor(f"{mine}:Lower", trusted=True))
    assert callable(plugins.build_grader(f"{mine}:Equal", trusted=True))
    nested = build_scorer(f"weighted_vote(by={mine}:FewestWords(3.0))", trusted=True)
    assert isinstance(nested, WeightedVote)
    assert getattr(nested.by, "weight") == 3.0  # noqa: B009
    whole = f"{Path.cwd() / mine}:FewestWords"
    assert build_scorer(whole, trusted=True) == build_scorer(f"{mine}:FewestWords", trusted=True)


def test_several_are_split_as_they_were_written(mine: str) -> None:
    text = f'vote, {mine}:FewestWords(weight=2) , regex(pattern="a.py:B, c=d")'
    assert [one.text for one in parse_expressions(text)] == [
        "vote",
        f"{mine}:FewestWords(weight=2)",
        'regex(pattern="a.py:B, c=d")',
    ]
    assert [one.name for one in parse_expressions(text)] == ["vote", f"{mine}:FewestWords", "regex"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere.py:Mine", "selector 'nowhere.py:Mine': there is no file nowhere.py"),
        ("my-own/mine.py:Fewest", "has no class Fewest; it is one of: Equal, FewestWords, Lower"),
        ("my-own/mine.py:NUMBER", "has no class NUMBER"),
        ("bad.py:Mine", "cannot be loaded: ZeroDivisionError: division by zero"),
        ("my-own/mine.py:Lower", "a selector must have needs_logprobs, got Lower"),
        ("my-own/mine.py:FewestWords(no=1)", "no"),
    ],
)
def test_what_cannot_be_loaded_says_why(mine: str, name: str, why: str) -> None:
    Path("bad.py").write_text("1 / 0")
    with pytest.raises(InputError) as caught:
        build_scorer(name, trusted=True)
    assert why in str(caught.value)


NESTED = (
    "{}",
    "{}(a=1)",
    "weighted_vote(by={})",
    'first_valid(rule="{}")',
    'first_valid(rule="all_of(rules=[\\"{}\\"])")',
    'x=first_valid(rule="{}")',
    'ensemble(by=["{}", vote])',
)


@pytest.mark.parametrize("text", NESTED)
def test_what_is_not_trusted_runs_nothing_at_any_depth(mine: str, text: str) -> None:
    Path("evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Evil: pass")
    for name in ("evil.py:Evil", "\\x65vil.py:Evil", "evil\\x2epy:Evil"):
        with pytest.raises(InputError):
            build_scorer(text.replace("{}", name))
    assert not Path("ran").exists()
    with pytest.raises(InputError):
        build_scorer(text.replace("{}", "evil.py:Evil"), trusted=True)
    assert Path("ran").exists()  # so the same text does run it where the user has written it


@pytest.mark.parametrize("build", ["scorer", "extractor", "equivalence", "grader", "validator"])
def test_no_kind_reads_or_runs_files_unasked(build: str, tmp_path: Path) -> None:
    evil, secret, ran = (tmp_path / name for name in ("evil.py", "secret.txt", "ran"))
    evil.write_text(f"import pathlib\npathlib.Path({str(ran)!r}).touch()\nclass Evil: pass")
    secret.write_text("SECRET")
    for text in (f"{evil}:Evil", f"regex(pattern=@{secret})", f"sql_result(schema=@{secret})"):
        with pytest.raises(InputError) as caught:
            getattr(plugins, f"build_{build}")(text)
        assert "SECRET" not in str(caught.value)
    assert not ran.exists()


def test_a_device_is_no_file_of_text() -> None:
    with pytest.raises(InputError, match="@/dev/zero must be a file of text"):
        parse_expression("json(schema=@/dev/zero)", trusted=True)


def test_names_that_stand_in_for_others_are_nobodys(mine: str) -> None:
    text = f"f(x={mine}:A, y=f0____, z={{{mine}:B: 1}})"
    found = parse_expression(text).arguments
    assert [getattr(found[key], "name") for key in "xy"] == [f"{mine}:A", "f0____"]  # noqa: B009
    assert found["z"] == {f"{mine}:B": 1}


def test_code_that_ends_the_process_has_not_been_loaded(mine: str) -> None:
    Path("quits.py").write_text("import sys\nsys.exit(3)")
    for _ in range(2):
        with pytest.raises(InputError, match="cannot be loaded: SystemExit"):
            build_scorer("quits.py:Quits", trusted=True)


def test_files_stand_for_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '{"type": "object",\n "title": "it\'s \\"q\\""}'
    Path("schema.json").write_text(f"{text}\n")
    expression = parse_expression("json(schema=@schema.json, of=answer)", trusted=True)
    assert expression.arguments["schema"] == text
    assert parse_expression('regex("@schema.json")').positional == ("@schema.json",)
    assert "@" not in with_files("json(schema=@schema.json)")
    Path("large.sql").write_text("-- " + "x" * 50_000)
    assert (
        len(str(parse_expression("sql(schema=@large.sql)", trusted=True).arguments["schema"]))
        == 50_003
    )
    with pytest.raises(InputError, match=r"@nowhere\.json must be a file of text that can be read"):
        parse_expression("json(schema=@nowhere.json)", trusted=True)
    Path("huge.txt").write_text("x" * 1_000_001)
    with pytest.raises(
        InputError, match=r"@huge\.txt must hold at most 1,000,000 characters, got more"
    ):
        parse_expression("json(schema=@huge.txt)", trusted=True)


def test_expressions_have_names_of_their_own() -> None:
    one, other = parse_expressions("vote, mine = random(seed=3)")
    assert (one.label, one.shown) == ("", "vote")
    assert (other.label, other.name, other.shown) == ("mine", "random", "mine")
    assert other.text == "mine = random(seed=3)"
    assert SELECTORS.parse("mine=random(seed=3)") == SELECTORS.parse("random(seed=3)")
    assert build_equivalence("a=number") == build_equivalence("number")


@pytest.mark.parametrize("text", ["a=b=c", "=vote", "a=", "a.py:B=vote", "a @ b", "3=vote"])
def test_other_uses_of_the_sign_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="must look like"):
        parse_expressions(text)
