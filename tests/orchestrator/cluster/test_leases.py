"""Tests of leases: batches, what a dead worker gives back, and queries that kill workers."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.cluster.leases import MIN_AHEAD, Lease, LeaseBook
from nbest.orchestrator.types import Outcome, Query, Record


def queries(count: int) -> list[Query]:
    return [Query(id=f"q{i}", prompt="?") for i in range(count)]


def ids(batch: Iterable[Query]) -> list[str]:
    return [query.id for query in batch]


def give(book: LeaseBook, lease: Lease) -> list[Query]:
    """Lease a batch that reaches its worker."""
    batch = book.next_for(lease)
    lease.has_taken = True
    return batch


def record(query_id: str) -> Record:
    return Record(query_id=query_id, strategy="", outcome=Outcome.ANSWERED)


def test_a_worker_gets_what_it_has_room_for_in_order() -> None:
    book, lease = LeaseBook(queries(20)), Lease()
    assert ids(book.next_for(lease)) == [f"q{i}" for i in range(MIN_AHEAD)]
    assert book.next_for(lease) == []
    book.answered(lease, [record("q0"), record("q1")], queued=0)
    assert ids(book.next_for(lease))[:2] == ["q8", "q9"]


def test_a_worker_that_answers_many_between_two_reports_gets_twice_as_many_ahead() -> None:
    book, lease = LeaseBook(queries(100)), Lease()
    lease.ahead = 30
    book.next_for(lease)
    book.answered(lease, [record(f"q{i}") for i in range(20)], queued=4)
    assert lease.ahead == (10 - 4) + 2 * 20


def test_what_a_dead_worker_had_is_leased_first_and_known_as_leased_before() -> None:
    book, dead, other = LeaseBook(queries(12)), Lease(), Lease()
    give(book, dead)
    assert book.take_back(dead) == []
    batch = book.next_for(other)
    assert ids(batch) == [f"q{i}" for i in range(MIN_AHEAD)]
    assert book.was_leased_before(batch)
    book.answered(other, [record(q) for q in ids(batch)], queued=0)
    assert not book.was_leased_before(book.next_for(other))


def test_a_query_of_two_dead_workers_is_leased_alone() -> None:
    book, first, second = LeaseBook(queries(3)), Lease(), Lease()
    for lease in (first, second):
        give(book, lease)
        book.take_back(lease)
    assert ids(give(book, first)) == ["q0"]
    assert ids(give(book, second)) == ["q1"]
    assert give(book, first) == []
    book.answered(first, [record("q0")], queued=0)
    assert ids(give(book, first)) == ["q2"]


def test_a_worker_ends_what_it_has_in_hand_before_it_gets_a_suspect() -> None:
    book, busy, dying = LeaseBook(queries(10)), Lease(), Lease()
    busy.ahead = 1
    give(book, busy)
    for _ in range(2):
        give(book, dying)
        book.take_back(dying)
    busy.ahead = 9
    assert give(book, busy) == []
    book.answered(busy, [record("q0")], queued=0)
    assert ids(give(book, busy)) == ["q1"]


@given(killer=st.integers(0, 29), workers=st.integers(1, 4))
def test_the_query_that_kills_workers_is_found_with_three_deaths(killer: int, workers: int) -> None:
    """Workers die as soon as they have the killer; all the others are answered."""
    book, leases = LeaseBook(queries(30)), [Lease() for _ in range(workers)]
    answered: list[str] = []
    deaths, killers = 0, []
    for _ in range(200):
        for lease in leases:
            give(book, lease)
            if f"q{killer}" in lease.queries:
                deaths += 1
                killers += ids(book.take_back(lease))
            else:
                answered += lease.queries
                book.answered(lease, [record(q) for q in lease.queries], queued=0)
    assert killers == [f"q{killer}"]
    assert deaths == 3
    assert sorted([*answered, *killers]) == sorted(ids(queries(30)))


def test_what_never_reached_a_worker_cannot_have_killed_it() -> None:
    book, lease = LeaseBook(queries(1)), Lease()
    for _ in range(5):
        assert ids(book.next_for(lease)) == ["q0"]
        assert book.take_back(lease) == []


def test_a_query_with_which_a_worker_was_silent_alone_is_the_killer_the_second_time() -> None:
    book, lease = LeaseBook(queries(1)), Lease()
    killers = []
    for _ in range(4):
        give(book, lease)
        killers.append(ids(book.take_back(lease, has_died=False)))
    assert killers == [[], [], [], ["q0"]]


def test_a_batch_is_one_lease_and_comes_back_whole() -> None:
    book, first, second = LeaseBook(queries(30), is_batch=True), Lease(), Lease()
    whole = book.next_for(first)
    assert len(whole) == 30
    first.has_taken = True
    assert book.next_for(second) == []
    for _ in range(4):  # each death of the worker would make a suspect of every one of them
        assert book.take_back(first) == []
        assert book.next_for(first) == whole
        first.has_taken = True
