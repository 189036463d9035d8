"""Open-loop load on a virtual clock: what is answered in time when more comes than can be done."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.runtime.batch_sizes import BatchSizes
from retinue.runtime.cost_model import Line
from tests.unit.runtime.simulated_load import Load, Outcome, simulated

PATIENCE_S = 0.1
CPU: dict[str, Any] = {"line": Line(0.004, 0.001), "workers": 2, "max_batch_size": 4}
GPU: dict[str, Any] = {
    "line": Line(0.0002, 0.005),
    "workers": 2,
    "max_batch_size": 64,
    "sizes": BatchSizes(64, is_rounded=True),
}
LAUNCHES: dict[str, Any] = {"line": Line(0.0, 0.01), "workers": 1, "max_batch_size": 8}
MACHINES = pytest.mark.parametrize("machine", [CPU, GPU, LAUNCHES], ids=["cpu", "gpu", "launches"])


def capacity_of(machine: dict[str, Any]) -> float:
    """Return the answers per second of full batches."""
    most: int = machine["max_batch_size"]
    line: Line = machine["line"]
    workers: int = machine["workers"]
    return workers * most / line.seconds(most)


def under(machine: dict[str, Any], factor: float, noise: float = 0.3, **load: Any) -> Outcome:
    """Return what comes of a load of so many times the capacity."""
    capacity = capacity_of(machine)
    return simulated(Load(capacity * factor, 10_000 / capacity, **load), noise=noise, **machine)


@MACHINES
@pytest.mark.parametrize(("factor", "share"), [(0.5, 0.49), (0.8, 0.78), (1.5, 0.95), (2.0, 0.95), (3.0, 0.95)])
def test_goodput_stays_near_capacity_however_much_comes(machine: dict[str, Any], factor: float, share: float) -> None:
    """Batches take up to 30 % more or less than they cost, so not every promise can be kept."""
    outcome = under(machine, factor, patience_s=PATIENCE_S)
    assert outcome.goodput / capacity_of(machine) > share


@MACHINES
def test_hardly_anybody_is_refused_while_there_is_room(machine: dict[str, Any]) -> None:
    outcome = under(machine, 0.8, patience_s=PATIENCE_S)
    assert outcome.refused + len(outcome.drops) <= 0.01 * outcome.answered_in_time


@MACHINES
def test_nearly_all_that_is_let_in_is_answered_in_time(machine: dict[str, Any]) -> None:
    """But at the start, when nothing is refused yet."""
    outcome = under(machine, 3.0, patience_s=PATIENCE_S)
    dropped = outcome.drops.count("deadline")
    assert outcome.answered_late + dropped < 0.15 * outcome.answered_in_time


@pytest.mark.parametrize(("hindrance", "share"), [(2.0, 0.1), (3.0, 0.2)])
def test_a_neighbour_who_takes_the_cores_now_and_then_makes_promises_cautious(hindrance: float, share: float) -> None:
    """Without caution a fifth to a quarter of what is let in is answered late or dropped."""
    load = Load(2 * capacity_of(CPU), 10, patience_s=PATIENCE_S)
    outcome = simulated(load, noise=0.3, hindrance=hindrance, **CPU)
    broken = outcome.answered_late + outcome.drops.count("deadline")
    assert broken < share * outcome.answered_in_time


def test_without_noise_no_promise_is_broken() -> None:
    outcome = under(CPU, 2.0, noise=0.0, patience_s=PATIENCE_S)
    assert outcome.answered_late == 0
    assert outcome.drops.count("deadline") <= 0.01 * outcome.answered_in_time


def test_batches_stay_full_under_overload() -> None:
    """What saves one who is nearly late with a small batch makes ten others late: goodput fell to a third."""
    assert np.mean(under(GPU, 1.5, patience_s=PATIENCE_S).batch_sizes) > 50


def test_patience_too_short_for_a_full_batch_is_served_in_smaller_ones() -> None:
    """A full batch takes 130 ms; alone an item takes 40."""
    machine = {"line": Line(0.03, 0.01), "workers": 16, "max_batch_size": 4}
    outcome = under(machine, 2.0, patience_s=PATIENCE_S)
    assert outcome.goodput > 0.95 * 16 / 0.04


def test_coming_back_when_told_is_soon_and_never_at_once() -> None:
    """At twice the capacity the queue is as long as the deadline allows, so it fits again quickly."""
    outcome = under(CPU, 2.0, patience_s=PATIENCE_S)
    assert min(outcome.retry_after_s) >= 0.01
    assert np.median(outcome.retry_after_s) < PATIENCE_S


def test_high_waits_less_and_normal_does_not_starve() -> None:
    """More high items come than can be done: normal ones have a quarter of the turns all the same."""
    outcome = under(CPU, 2.0, high_share=0.75, patience_s=None)
    early = {priority: np.array(waits[:200]) for priority, waits in outcome.waits.items()}
    assert np.median(early["high"]) < np.median(early["normal"])
    busy = under(CPU, 2.0, high_share=0.9, patience_s=PATIENCE_S)
    assert len(busy.waits["normal"]) > 0.1 * len(busy.waits["high"])


@given(
    per_item_ms=st.floats(0.05, 20),
    per_batch_ms=st.floats(0, 20),
    workers=st.integers(1, 4),
    max_batch_size=st.integers(1, 16),
    factor=st.floats(0.3, 4),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_whatever_the_machine_goodput_does_not_collapse(
    per_item_ms: float, per_batch_ms: float, workers: int, max_batch_size: int, factor: float, seed: int
) -> None:
    """Callers wait for at least four full batches; goodput is nine tenths of what is asked or can be done."""
    line = Line(per_item_ms / 1e3, per_batch_ms / 1e3)
    batch_s = line.seconds(max_batch_size)
    capacity = workers * max_batch_size / batch_s
    load = Load(capacity * factor, 3000 / capacity, patience_s=4 * batch_s + 0.001, seed=seed)
    outcome = simulated(load, line, workers=workers, max_batch_size=max_batch_size, noise=0.1)
    assert outcome.goodput > 0.85 * capacity * min(1.0, factor)
