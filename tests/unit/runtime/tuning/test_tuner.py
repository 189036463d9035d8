"""The search on machines that are formulas: what is found, and that nothing worse than the default is ever taken."""

from collections.abc import Callable

import pytest

from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.setup import Setup, default_setup
from retinue.runtime.tuning.halving import Trial
from retinue.runtime.tuning.tuner import Tuned, best_first, rank, tune
from retinue.runtime.tuning_file import Figures

CORES = 2


class Machine:
    """Answers as fast as a formula says; by Little's law the rest follows. Its clock moves by what is measured."""

    def __init__(self, rate: Callable[[Setup, int, int], float], tail: float = 1.5) -> None:
        self._rate = rate
        self._tail = tail
        self.now_s = 0.0
        self.calls: list[tuple[Setup, int]] = []

    def measure(self, setup: Setup, in_flight: int, seconds: float) -> Figures:
        self.now_s += seconds
        self.calls.append((setup, in_flight))
        rate = self._rate(setup, in_flight, len(self.calls))
        p50_ms = 1e3 * in_flight / rate
        return Figures(answers_per_s=rate, p50_ms=p50_ms, p99_ms=self._tail * p50_ms, cpu_ms=1.0, in_flight=in_flight)

    def tune(self, slo_ms: float = 50.0, budget_s: float = 120.0) -> Tuned:
        return tune(
            self.measure,
            cores=CORES,
            providers=["cpu", "openvino"],
            slo_ms=slo_ms,
            budget_s=budget_s,
            clock=lambda: self.now_s,
        )


def openvino_wins(setup: Setup, in_flight: int, _: int) -> float:
    """Return 400/s, half as much again by OpenVINO, which does best in batches of 8."""
    rate = 400.0
    if setup.providers == ("openvino",):
        rate *= 1.5 if setup.max_batch_size == 8 else 1.3
    return rate * min(1.0, in_flight / 2)


def test_the_best_is_found_and_proved() -> None:
    found = Machine(openvino_wins).tune()

    assert (found.best.providers, found.best.max_batch_size) == (("openvino",), 8)
    assert found.best.max_delay_ms == 0
    mine, other = found.pair
    assert mine.answers_per_s / other.answers_per_s == pytest.approx(1.5)
    assert mine.in_flight == other.in_flight == found.in_flight == 10  # half of 50 ms at 400/s


def test_the_budget_is_kept() -> None:
    machine = Machine(openvino_wins)
    machine.tune(budget_s=120.0)
    assert 60.0 < machine.now_s <= 130.0


def test_every_setup_of_the_search_has_the_same_load() -> None:
    machine = Machine(openvino_wins)
    found = machine.tune()
    assert {one.result.in_flight for one in found.trials} == {found.in_flight}


def test_where_all_are_alike_the_default_stays() -> None:
    found = Machine(lambda _setup, in_flight, _: 400.0 * min(1.0, in_flight / 2)).tune()
    assert found.best == default_setup(CORES)
    assert found.pair[0] == found.pair[1]


def test_winner_by_luck_is_not_taken() -> None:
    """What looked twice as fast in the search, and is not in the proof."""
    proof_calls = 2 * 2 * 4  # two rounds, two setups, four loads
    searching = Machine(openvino_wins)
    searching.tune()
    calls = len(searching.calls)

    def lucky(setup: Setup, _in_flight: int, call: int) -> float:
        return 800.0 if setup.providers == ("openvino",) and call <= calls - proof_calls else 400.0

    machine = Machine(lucky)
    found = machine.tune()
    assert found.trials[0].candidate.providers == ("openvino",)
    assert found.unproved is not None
    assert found.unproved.providers == ("openvino",)
    assert found.best == default_setup(CORES)


def test_what_is_worse_for_a_single_caller_is_not_taken() -> None:
    def slow_alone(setup: Setup, in_flight: int, _: int) -> float:
        if setup == default_setup(CORES):
            return 400.0
        return 100.0 if in_flight == 1 else 600.0

    assert Machine(slow_alone).tune().best == default_setup(CORES)


def test_what_keeps_the_latency_is_better_than_what_answers_more_and_does_not() -> None:
    def rate(setup: Setup, _in_flight: int, _: int) -> float:
        return 400.0 if setup.max_batch_size == 4 else 395.0

    machine = Machine(rate)

    def measure(setup: Setup, in_flight: int, seconds: float) -> Figures:
        figures = machine.measure(setup, in_flight, seconds)
        late = setup.max_batch_size >= 4 and in_flight > 2
        return figures.model_copy(update={"p99_ms": 80.0 if late else 40.0})

    found = tune(measure, cores=CORES, providers=["cpu"], slo_ms=50.0, budget_s=60.0, clock=lambda: machine.now_s)
    assert found.best.max_batch_size < 4
    assert found.pair[0].p99_ms <= 50.0 < found.pair[1].p99_ms


def test_slow_model_is_measured_longer_and_with_fewer_candidates() -> None:
    machine = Machine(lambda setup, _in_flight, _: 0.6 if setup.providers == ("openvino",) else 0.4)
    found = machine.tune(budget_s=120.0)

    assert found.in_flight == CORES
    assert found.best.providers == ("openvino",)
    assert len(found.trials) < 20


@pytest.mark.parametrize(("slo_ms", "has_delays"), [(50.0, True), (1.0, False)])
def test_delays_are_tried_where_there_is_time_for_them(slo_ms: float, *, has_delays: bool) -> None:
    tried = Machine(openvino_wins).tune(slo_ms).trials
    assert any(one.candidate.max_delay_ms for one in tried) is has_delays


def test_setup_that_cannot_be_run_is_out_and_told() -> None:
    machine = Machine(openvino_wins)

    def measure(setup: Setup, in_flight: int, seconds: float) -> Figures:
        if setup.providers == ("openvino",):
            raise PackageInvalid("model.onnx cannot be loaded by OpenVINO")
        return machine.measure(setup, in_flight, seconds)

    found = tune(
        measure, cores=CORES, providers=["cpu", "openvino"], slo_ms=50.0, budget_s=60.0, clock=lambda: machine.now_s
    )
    assert found.best.providers == ("cpu",)
    assert set(found.refused.values()) == {"model.onnx cannot be loaded by OpenVINO"}


def test_model_that_cannot_be_run_at_all_is_an_error() -> None:
    def measure(_setup: Setup, _in_flight: int, _seconds: float) -> Figures:
        raise BackendFailed("the graph failed")

    with pytest.raises(BackendFailed):
        tune(measure, cores=CORES, providers=["cpu"], slo_ms=50.0, budget_s=60.0)


def figures(rate: float, p99_ms: float) -> Figures:
    return Figures(answers_per_s=rate, p50_ms=1, p99_ms=p99_ms, cpu_ms=1, in_flight=4)


def test_rank_is_by_answers_within_the_latency_and_by_latency_beyond() -> None:
    ordered = [figures(90, 10), figures(80, 50), figures(100, 51), figures(200, 60)]
    assert sorted(ordered, key=lambda one: rank(one, 50.0), reverse=True) == ordered


def test_of_equals_the_one_without_a_delay_comes_first_then_the_promptest() -> None:
    plain, prompt = Setup(workers=2), Setup(workers=1)
    waiting = Setup(workers=2, max_delay_ms=2)
    trials = [
        Trial(waiting, figures(101, 5), 0),
        Trial(plain, figures(100, 20), 0),
        Trial(prompt, figures(99, 10), 0),
        Trial(Setup(workers=3), figures(90, 1), 0),
    ]
    assert [one.candidate for one in best_first(trials, 50.0)][:3] == [prompt, plain, waiting]
    assert best_first([], 50.0) == []


def test_winner_that_does_not_run_at_another_load_is_not_taken() -> None:
    def rate(setup: Setup, in_flight: int, call: int) -> float:
        if setup.providers == ("openvino",) and in_flight == 20:
            raise BackendFailed("there is no room")
        return openvino_wins(setup, in_flight, call)

    found = Machine(rate).tune()

    assert found.best == default_setup(CORES)
    assert found.unproved is not None
    assert found.refused == {found.unproved.text: "there is no room"}
    assert [figures.in_flight for figures in found.figures] == [1, 2, 10, 20]
