"""video.prefetch with items that record when they are made."""

import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.video.prefetch import read_ahead


def counted(made: list[int], count: int) -> Iterator[int]:
    """0, 1, 2 …, each noted when it is made."""
    for number in range(count):
        made.append(number)
        yield number


def settled(made: list[int]) -> int:
    """How many were made once no more come."""
    before = -1
    while before != len(made):
        before = len(made)
        time.sleep(0.3)
    return before


def at_work() -> bool:
    return any(thread.name == "read-ahead" for thread in threading.enumerate())


def test_nothing_gives_nothing() -> None:
    assert list(read_ahead([])) == []
    assert not at_work()


@pytest.mark.parametrize("depth", [1, 3])
def test_items_are_the_same_in_the_same_order(depth: int) -> None:
    items = [object() for _ in range(50)]
    assert list(read_ahead(items, depth)) == items
    assert list(read_ahead(iter(items), depth)) == items


def test_nothing_is_taken_for_the_end() -> None:
    assert list(read_ahead([None, False, 0, ()])) == [None, False, 0, ()]


def test_nothing_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []
    read_ahead(counted(made, 5))
    time.sleep(0.2)
    assert made == []


@pytest.mark.parametrize("depth", [1, 3])
def test_the_next_are_made_meanwhile_and_no_more_than_that(depth: int) -> None:
    made: list[int] = []
    items = read_ahead(counted(made, 50), depth)
    for used in (1, 2, 3):
        next(items)
        # what is used, what is ready, and one that waits for its place
        assert settled(made) == used + depth + 1
    items.close()


def test_the_next_is_made_while_one_is_used() -> None:
    ready = [threading.Event() for _ in range(5)]

    def making() -> Iterator[int]:
        for number in range(5):
            ready[number].set()
            yield number

    for number in read_ahead(making()):
        assert ready[min(number + 1, 4)].wait(timeout=30)


def test_what_fails_is_raised_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield from (1, 2, 3)
        raise ValueError("the disk is gone")

    items = read_ahead(failing(), depth=2)
    assert [next(items) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="the disk is gone"):
        next(items)
    assert not at_work()


@pytest.mark.parametrize("used", [1, 3])
def test_whoever_stops_early_stops_the_thread(used: int) -> None:
    made: list[int] = []
    for number in read_ahead(counted(made, 10**6)):
        assert at_work()
        if number == used:
            break
    assert not at_work()
    assert settled(made) <= used + 3


def test_an_error_of_whoever_uses_them_stops_the_thread() -> None:
    items = read_ahead(counted([], 10**6))
    next(items)
    with pytest.raises(RuntimeError, match="enough"):
        items.throw(RuntimeError("enough"))
    assert not at_work()


def test_readers_do_not_take_from_one_another() -> None:
    one, other = read_ahead(range(10)), read_ahead(range(100, 110))
    assert list(zip(one, other, strict=True)) == list(zip(range(10), range(100, 110), strict=True))
