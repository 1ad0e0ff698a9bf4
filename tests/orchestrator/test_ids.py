"""Seeds: the same for the same sample everywhere, another one for any other sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.ids import sample_seed

# A change of these makes every stored run another run: no resumed sample would be the same again.
GOLDEN = {
    (0, "q0", 0): 2079484494005887,
    (0, "q0", 1): 8737403403084442,
    (1, "q0", 0): 1003109479972726,
    (2**53, "q17/x \u00e4", 10_000): 1921279837449580,
}

# Text that UTF-8 can spell: what a query id may be.
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.tuples(st.integers(-(2**70), 2**70), ids, st.integers(0, 2**40))


@pytest.mark.parametrize("key", GOLDEN, ids=str)
def test_seeds_are_what_they_have_always_been(key: tuple[int, str, int]) -> None:
    assert sample_seed(*key) == GOLDEN[key]


@given(key=keys)
def test_a_seed_is_a_whole_number_that_every_json_parser_keeps(key: tuple[int, str, int]) -> None:
    seed = sample_seed(*key)
    assert seed == sample_seed(*key)
    assert 0 <= seed < 2**53
    assert int(float(seed)) == seed


@given(one=keys, other=keys)
def test_other_samples_have_other_seeds(
    one: tuple[int, str, int], other: tuple[int, str, int]
) -> None:
    assert (sample_seed(*one) == sample_seed(*other)) == (one == other)


def test_a_slash_in_an_id_confuses_nothing() -> None:
    """`1/a/2/3` could be read in two ways if the parts were only put side by side."""
    assert sample_seed(1, "a/2", 3) != sample_seed(1, "a", 23)
    assert sample_seed(1, "2/a", 3) != sample_seed(12, "a", 3)
    assert sample_seed(11, "1", 1) != sample_seed(1, "11", 1) != sample_seed(1, "1", 11)


def test_the_seeds_of_a_large_run_are_all_different() -> None:
    seeds = {
        sample_seed(seed, f"q{q}", i) for seed in (0, 1) for q in range(100) for i in range(64)
    }
    assert len(seeds) == 2 * 100 * 64


def test_every_bit_of_a_seed_is_used() -> None:
    """Scripts and engines take a seed modulo something: low bits must be as good as high ones."""
    seeds = [sample_seed(0, "q", i) for i in range(4000)]
    for bit in range(53):
        ones = sum(seed >> bit & 1 for seed in seeds)
        assert 1800 < ones < 2200  # more than six standard deviations


def test_another_process_draws_the_same_seeds() -> None:
    """No hash of Python's own is in it: those differ from process to process."""
    program = (
        "from nbest.orchestrator.ids import sample_seed; print(sample_seed(7, 'frage \u00e4', 3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert int(done.stdout) == sample_seed(7, "frage \u00e4", 3)
