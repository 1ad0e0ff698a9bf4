"""Names of classes in files, texts from files, and names of one's own for expressions."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbest.experiments.config.plugins import (
    SELECTORS,
    build_equivalence,
    build_extractor,
    build_grader,
    build_scorer,
)
from nbest.experiments.language.code_files import names_code_file, refuse_code_files
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
    assert type(build_scorer(f"{mine}:FewestWords")).__name__ == "FewestWords"
    assert getattr(build_scorer(f"{mine}:FewestWords(weight=2.0)"), "weight") == 2.0  # noqa: B009
    assert callable(build_extractor(f"{mine}:Lower"))
    assert callable(build_grader(f"{mine}:Equal"))
    nested = build_scorer(f"weighted_vote(by={mine}:FewestWords(3.0))")
    assert isinstance(nested, WeightedVote)
    assert getattr(nested.by, "weight") == 3.0  # noqa: B009
    whole = f"{Path.cwd() / mine}:FewestWords"
    assert build_scorer(whole) == build_scorer(f"{mine}:FewestWords")


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
        build_scorer(name)
    assert why in str(caught.value)


def test_names_in_stored_settings_are_refused_and_not_run(mine: str) -> None:
    Path("evil.py").write_text("open('ran', 'w')\nclass Evil: pass")
    for value in ("evil.py:Evil", ["vote", "evil.py:Evil(a=1)"], {"race": "all_of([evil.py:E])"}):
        with pytest.raises(InputError, match="nbest runs it only if you name it yourself"):
            refuse_code_files("select", value)
    refuse_code_files("select", ["vote", 'regex(pattern="evil.py:Evil")', 3, None])
    assert not Path("ran").exists()


def test_a_quoted_text_is_no_name() -> None:
    assert names_code_file("a.py:B")
    assert not names_code_file("regex(pattern='a.py:B')")
    assert not names_code_file("vote")


def test_files_stand_for_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '{"type": "object",\n "title": "it\'s \\"q\\""}'
    Path("schema.json").write_text(f"{text}\n")
    expression = parse_expression("json(schema=@schema.json, of=answer)")
    assert expression.arguments["schema"] == text
    assert parse_expression('regex("@schema.json")').positional == ("@schema.json",)
    assert "@" not in with_files("json(schema=@schema.json)")
    Path("large.sql").write_text("-- " + "x" * 50_000)
    assert len(str(parse_expression("sql(schema=@large.sql)").arguments["schema"])) == 50_003
    with pytest.raises(InputError, match=r"@nowhere\.json must be a file of text that can be read"):
        parse_expression("json(schema=@nowhere.json)")
    Path("huge.txt").write_text("x" * 1_000_001)
    with pytest.raises(InputError, match=r"@huge\.txt must hold at most 1,000,000 characters"):
        parse_expression("json(schema=@huge.txt)")


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
