"""The order of a stream: whatever comes late, twice, overlapping or not at all, what leaves is contiguous."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from labctl.bus.codec import Batch
from labctl.reading import Event
from labctl.record.stream import MOST_WAITING, Stream

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"


def batch(first: int, last: int) -> Batch:
    return Batch(RUN, 0, first, [[number] for number in range(first, last + 1)], [])


def numbers(parts: list[Batch]) -> list[int | float | None]:
    return [row[0] for part in parts for row in part.readings]


def gap(first: int, last: int, at: int) -> Batch:
    return Batch(RUN, 0, at, [], [Event("gap", 0.0, 0.0, "", data={"first": first, "last": last})])


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12)), max_size=30), st.integers(0, 2**32))
def test_what_leaves_is_contiguous_and_whole(pieces: list[tuple[int, int]], order: int) -> None:
    stream, random = Stream(0), Random(order)
    offered = [batch(first, first + more) for first, more in pieces]
    out: list[int | float | None] = []
    for each in offered + random.sample(offered, len(offered)):
        _, fresh = stream.offer(each)
        out += numbers(fresh)
        assert out == list(range(1, stream.watermark + 1))
    covered = {number for each in offered for number in range(each.first, each.last + 1)}
    expected = 0
    while expected + 1 in covered:
        expected += 1
    assert stream.watermark == expected


def test_what_is_known_is_given_back_for_comparison() -> None:
    stream = Stream(10)
    known, fresh = stream.offer(batch(8, 12))
    assert (numbers(known), numbers(fresh)) == ([8, 9, 10], [11, 12])
    known, fresh = stream.offer(batch(3, 4))
    assert (numbers(known), numbers(fresh)) == ([3, 4], [])


def test_a_gap_stands_for_the_numbers_that_were_burnt() -> None:
    stream = Stream(4)
    assert stream.offer(gap(6, 8, at=9)) == ([], [])
    assert numbers(stream.offer(batch(5, 5))[1]) == [5]
    assert stream.watermark == 9


def test_a_gap_may_be_the_last_of_the_numbers_that_it_names() -> None:
    stream = Stream(4)
    [part] = stream.offer(gap(5, 9, at=9))[1]
    assert (part.first, part.last) == (9, 9)
    assert stream.watermark == 9


def test_a_gap_that_does_not_fit_its_own_number_is_no_bridge() -> None:
    stream = Stream(4)
    for wrong in (gap(5, 10, at=9), gap(5, 7, at=9), gap(9, 8, at=9)):
        stream.offer(wrong)
    malformed = Batch(RUN, 0, 9, [], [Event("gap", 0.0, 0.0, "", data={"first": "x"})])
    stream.offer(malformed)
    assert stream.watermark == 4


def test_a_flood_of_early_batches_is_bounded_and_does_not_keep_the_right_one_out() -> None:
    stream = Stream(0)
    for number in range(10, 10 + 2 * MOST_WAITING):
        stream.offer(batch(number, number))
    assert len(stream._waiting) == MOST_WAITING
    assert numbers(stream.offer(batch(1, 9))[1]) == list(range(1, 10 + MOST_WAITING))
