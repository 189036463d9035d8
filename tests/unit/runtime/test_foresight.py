"""How far expectations can be trusted."""

import numpy as np
import pytest

from retinue.runtime.foresight import Foresight


def learnt(times: list[float]) -> Foresight:
    """Return a foresight that saw 10 ms come to so many times as much."""
    foresight = Foresight()
    for one in times:
        foresight.learn(0.01, 0.01 * one)
    return foresight


def test_who_has_seen_nothing_is_not_cautious() -> None:
    assert Foresight().caution == 1.0


def test_what_holds_each_time_needs_no_caution() -> None:
    assert learnt([1.0] * 50).caution == pytest.approx(1.0)


def test_what_takes_twice_as_long_each_time_is_doubled() -> None:
    assert learnt([2.0] * 2000).caution == pytest.approx(2.0, rel=0.01)


def test_what_takes_less_is_no_reason_for_boldness() -> None:
    assert learnt([0.5] * 50).caution == 1.0


def test_caution_covers_nearly_all_that_comes() -> None:
    times = np.random.default_rng(0).uniform(0.7, 1.5, 3000)
    caution = learnt(list(times[:2000])).caution
    assert np.mean(times[2000:] <= caution) > 0.99


def test_caution_has_a_bound() -> None:
    """One that is stuck for a minute must not close the door for long."""
    assert learnt([1e6] * 500).caution == 3.0


def test_caution_wears_off() -> None:
    assert learnt([3.0] * 500 + [1.0] * 2000).caution == pytest.approx(1.0, abs=0.01)


def test_long_waits_weigh_more_than_short_ones() -> None:
    foresight = Foresight()
    for _ in range(500):
        foresight.learn(0.001, 0.003)
        foresight.learn(0.1, 0.1)
    assert foresight.caution < 1.2
