"""Timings of parts are added up."""

import dataclasses

from retinue.runtime.timings import Timings


def test_stages_add_up_and_the_largest_batch_counts() -> None:
    whole = Timings(1, 2, 3, 4, 5, 6)
    whole.add(Timings(10, 20, 30, 40, 50, 3))
    assert dataclasses.astuple(whole) == (11, 22, 33, 44, 55, 6, 0)
    whole.add(Timings(batch_size=9))
    assert dataclasses.astuple(whole) == (11, 22, 33, 44, 55, 9, 0)


def test_what_is_added_stays_as_it_is() -> None:
    part = Timings(1, 1, 1, 1, 1, 1)
    Timings().add(part)
    assert part == Timings(1, 1, 1, 1, 1, 1)
