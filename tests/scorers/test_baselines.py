"""Length, position and chance: small scorers, each with one thing to get right."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nbest import First, Longest, Random, Shortest
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.baselines import uniform_hash

QUERY = Query(id="q1", prompt="?")


def pool(*samples: Sample) -> Candidates:
    return Candidates(samples=samples, answers=tuple(s.text for s in samples))


def sample(i: int, text: str, tokens: int) -> Sample:
    return Sample(id=f"r/q1/s{i}", text=text, generated_tokens=tokens)


async def test_tokens_decide_and_not_characters() -> None:
    candidates = pool(sample(0, "a" * 90, 3), sample(1, "b", 5))
    assert (await Shortest()(QUERY, candidates)).argmax() == 0
    assert (await Longest()(QUERY, candidates)).argmax() == 1


async def test_characters_stand_in_only_where_no_sample_has_a_count() -> None:
    uncounted = pool(sample(0, "a" * 90, 0), sample(1, "b", 0))
    assert (await Shortest()(QUERY, uncounted)).tolist() == [-90, -1]
    mixed = pool(sample(0, "a" * 90, 0), sample(1, "b", 5))
    np.testing.assert_array_equal(await Shortest()(QUERY, mixed), [np.nan, -5])
    np.testing.assert_array_equal(await Longest()(QUERY, mixed), [np.nan, 5])


async def test_first_ties_all() -> None:
    assert (await First()(QUERY, pool(sample(0, "a", 1), sample(1, "b", 2)))).tolist() == [0, 0]


@given(st.integers(), st.text(), st.text())
def test_hash_lies_in_the_unit_interval(seed: int, query_id: str, sample_id: str) -> None:
    assert 0.0 <= uniform_hash(seed, query_id, sample_id) < 1.0


def test_hash_is_the_same_on_every_machine() -> None:
    assert uniform_hash(0, "q1", "r/q1/s0") == 0.4177398783693086


def test_hash_turns_with_each_of_its_arguments() -> None:
    keys = [
        (0, "q", "s"),
        (1, "q", "s"),
        (0, "qs", ""),
        (0, "", "qs"),
        (0, "q", "t"),
        (0, "r", "s"),
    ]
    assert len({uniform_hash(*key) for key in keys}) == len(keys)


async def test_random_chooses_every_position_about_equally_often() -> None:
    candidates = pool(*(sample(i, str(i), 1) for i in range(4)))
    queries = [Query(id=f"q{q}", prompt="") for q in range(2000)]
    wins = Counter([int((await Random()(query, candidates)).argmax()) for query in queries])
    # Binomial(2000, 1/4) has a standard deviation of 19: five of them either way.
    assert all(405 < wins[i] < 595 for i in range(4))


async def test_random_seed_changes_the_choice() -> None:
    candidates = pool(*(sample(i, str(i), 1) for i in range(50)))
    choices = [int((await Random(seed=s)(QUERY, candidates)).argmax()) for s in range(10)]
    assert len(set(choices)) > 5
