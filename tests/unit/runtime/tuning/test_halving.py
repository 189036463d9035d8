"""Successive halving, measured by a clock that only measurements move."""

from collections.abc import Callable

import pytest

from retinue.runtime.tuning.halving import Trial, halve


class Lab:
    """Measures whole numbers as what they are, and notes who was measured for how long."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.seen: list[tuple[int, float]] = []
        self.cost: Callable[[int, float], float] = lambda _, seconds: seconds

    def clock(self) -> float:
        return self.now_s

    def measure(self, candidate: int, seconds: float) -> int | None:
        self.now_s += self.cost(candidate, seconds)
        self.seen.append((candidate, seconds))
        return None if candidate < 0 else candidate

    def halve(self, candidates: range | list[int], budget_s: float, least_s: float = 0.5) -> list[Trial[int, int]]:
        return halve(
            candidates,
            self.measure,
            key=lambda _, result: result,
            budget_s=budget_s,
            least_s=least_s,
            clock=self.clock,
        )


def test_the_best_is_found_and_measured_longest() -> None:
    lab = Lab()
    trials = lab.halve(range(27), 81.0)

    assert [trial.candidate for trial in trials[:3]] == [26, 25, 24]
    assert {trial.candidate for trial in trials} == set(range(27))
    assert [sum(one == candidate for one, _ in lab.seen) for candidate in (0, 20, 26)] == [1, 2, 3]
    assert lab.seen[0][1] < lab.seen[-1][1]


def test_each_round_takes_its_share_of_the_budget() -> None:
    lab = Lab()
    lab.halve(range(27), 81.0)

    assert lab.now_s == pytest.approx(181.0)
    assert [candidate for candidate, _ in lab.seen[:27]] == list(range(27))
    assert [seconds for _, seconds in lab.seen[:27]] == pytest.approx([1.0] * 27)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_are_measured_once(count: int) -> None:
    lab = Lab()
    assert [trial.candidate for trial in lab.halve(range(count), 10.0)] == list(reversed(range(count)))
    assert len(lab.seen) == count


def test_those_who_do_not_fit_into_the_budget_are_left_out_from_the_end() -> None:
    lab = Lab()
    trials = lab.halve(range(100), 20.0, 1.0)

    assert {trial.candidate for trial in trials} == set(range(13))  # 13, then 4, then 3 of a second each
    assert lab.now_s == pytest.approx(120.0)


def test_nothing_is_begun_when_the_budget_is_spent() -> None:
    lab = Lab()
    lab.cost = lambda _, seconds: 10 * seconds  # loading takes longer than measuring
    trials = lab.halve(range(27), 30.0)

    assert trials
    assert lab.now_s <= 100.0 + 30.0 + 10 * max(seconds for _, seconds in lab.seen)


def test_the_first_is_measured_whatever_the_budget() -> None:
    assert [trial.candidate for trial in Lab().halve(range(5), -1.0)] == [0]


def test_what_cannot_be_measured_is_out_and_is_not_tried_again() -> None:
    lab = Lab()
    trials = lab.halve([-1, 5, -2, 7, 6, 8, 9, 10, 11, 12], 30.0)

    assert min(trial.candidate for trial in trials) == 5
    assert sum(candidate == -1 for candidate, _ in lab.seen) == 1
    assert Lab().halve([-1, -2], 10.0) == []


def test_who_came_further_stands_before_who_once_looked_better() -> None:
    lab = Lab()
    fading = {20: [100, 1], 19: [90, 90], 18: [80, 80], 17: [70, 70]}

    def measure(candidate: int, seconds: float) -> int:
        lab.measure(candidate, seconds)
        return fading[candidate].pop(0) if fading.get(candidate) else candidate

    trials = halve(
        range(21), measure, key=lambda _, result: result, budget_s=60.0, least_s=0.5, clock=lab.clock, finalists=1
    )
    assert trials[0].candidate == 19
