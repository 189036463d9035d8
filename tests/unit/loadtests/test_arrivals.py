import doctest
import random
from itertools import pairwise

import pytest

from loadtests.load import arrivals
from loadtests.load.arrivals import due_times
from loadtests.load.scenario import Stage

RAMP = (Stage(seconds=5.0, rate_hz=2.0, to_rate_hz=10.0), Stage(seconds=5.0, rate_hz=10.0, to_rate_hz=0.0))


def test_examples_hold() -> None:
    assert doctest.testmod(arrivals).failed == 0


def test_a_constant_rate_gives_evenly_spaced_calls_of_the_expected_number() -> None:
    due = list(due_times([Stage(seconds=10.0, rate_hz=30.0)], share=0.5))
    assert len(due) == 150
    assert [later - earlier for earlier, later in pairwise(due)] == pytest.approx([1 / 15] * 149)


def test_a_stage_without_calls_only_takes_its_time() -> None:
    stages = [Stage(seconds=3.0, rate_hz=0.0), Stage(seconds=1.0, rate_hz=2.0)]
    assert list(due_times(stages, share=1.0)) == [3.25, 3.75]


def test_a_ramp_gives_as_many_calls_as_its_rate_adds_up_to() -> None:
    """The middle of the up-going stage lies where the integral of the rate is half, which is not the middle in time."""
    due = list(due_times(RAMP, share=1.0))
    assert len(due) == 30 + 25
    assert sum(due_s < 2.5 for due_s in due) == 10  # 2·2.5 + 1.6·2.5²/2


@pytest.mark.parametrize("chance", [None, random.Random(4)])
def test_calls_are_due_in_order_and_within_the_stages(chance: random.Random | None) -> None:
    due = list(due_times(RAMP, share=1.0, chance=chance))
    assert due == sorted(due)
    assert 0 <= due[0] <= due[-1] <= 10


def test_chance_is_that_of_its_seed() -> None:
    runs = [list(due_times(RAMP, share=1.0, chance=random.Random(seed))) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_arrivals_by_chance_keep_the_rate_and_come_as_a_poisson_process_does() -> None:
    """Of 20 000 gaps the mean is 1/rate and the deviation as large as the mean, each within five standard errors."""
    due = list(due_times([Stage(seconds=2000.0, rate_hz=10.0)], share=1.0, chance=random.Random(7)))
    gaps = [later - earlier for earlier, later in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.1, abs=5 * 0.1 / len(gaps) ** 0.5)
    assert deviation == pytest.approx(0.1, rel=0.05)
