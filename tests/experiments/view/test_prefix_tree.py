"""Where samples part: shares, probabilities, right ones, and what nobody drew."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.view.prefix_tree import Branch, Strand, prefix_tree
from nbest.experiments.view.token_texts import words_of


def said(parts: Sequence[Hashable]) -> str:
    return "".join(map(str, parts))


def strand(text: str, right: bool | None = None, p: Sequence[float] | None = None) -> Strand:
    logprobs = None if p is None else [math.log(value) for value in p]
    return Strand(parts=list(text), logprobs=logprobs, is_right=right)


def test_branches_say_who_takes_them_and_how_they_end() -> None:
    strands = [
        strand("abx", True, [0.9, 0.6, 0.5]),
        strand("abx", True, [0.9, 0.6, 0.5]),
        strand("aby", False, [0.9, 0.6, 0.25]),
        strand("ac", False, [0.9, 0.3]),
        strand("a", None, [0.9]),
    ]
    root = prefix_tree(strands, said)
    assert (root.text, root.samples, root.right, root.ended) == ("a", (0, 1, 2, 3, 4), 2, (4,))
    assert math.isnan(root.p)
    first, second = root.branches
    assert (first.text, first.samples, first.right) == ("b", (0, 1, 2), 2)
    assert (first.p, second.p) == (pytest.approx(0.6), pytest.approx(0.3))
    assert root.rest == pytest.approx(0.1)
    assert [(leaf.text, leaf.ended, leaf.right) for leaf in first.branches] == [
        ("x", (0, 1), 2),
        ("y", (2,), 0),
    ]
    assert first.rest == pytest.approx(0.25)


def test_samples_may_part_at_once_and_all_may_say_the_same() -> None:
    parted = prefix_tree([strand("x", p=[0.7]), strand("y", p=[0.2])], said)
    assert (parted.text, [branch.p for branch in parted.branches]) == (
        "",
        [pytest.approx(0.7), pytest.approx(0.2)],
    )
    same = prefix_tree([strand("abc"), strand("abc")], said)
    assert (same.text, same.branches, same.ended) == ("abc", (), (0, 1))
    assert same.right is None


def test_branches_beyond_the_most_are_counted() -> None:
    strands = [strand(f"a{letter}") for letter in "bbbcdefg"]
    root = prefix_tree(strands, said, most=2)
    assert [branch.samples for branch in root.branches] == [(0, 1, 2), (3,)]
    assert root.left_out == 4
    assert math.isnan(root.rest)


@given(st.lists(st.text("ab", max_size=6), min_size=1, max_size=12))
def test_every_sample_ends_once_and_its_texts_join_to_what_it_says(texts: list[str]) -> None:
    ended: dict[int, str] = {}

    def walk(branch: Branch, before: str) -> None:
        whole = before + branch.text
        ended.update(dict.fromkeys(branch.ended, whole))
        assert len(branch.samples) == len(branch.ended) + sum(
            len(child.samples) for child in branch.branches
        )
        for child in branch.branches:
            walk(child, whole)

    walk(prefix_tree([strand(text) for text in texts], said, most=10_000), "")
    assert ended == dict(enumerate(texts))


@given(st.text(max_size=60))
def test_words_join_to_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text
