"""The search for the best setup of a model: one load for all, halving, delays, and the proof that it is no worse."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from retinue.runtime.errors import RetinueError
from retinue.runtime.provider import Provider
from retinue.runtime.setup import Setup, default_setup
from retinue.runtime.tuning.candidates import candidate_setups, delayed
from retinue.runtime.tuning.halving import Trial, halve
from retinue.runtime.tuning_file import Figures

Measure = Callable[[Setup, int, float], Figures]
"""Measures a setup with so many callers for about so many seconds; raises RetinueError where it does not run."""

_SEARCH_SHARE, _DELAY_SHARE = 0.55, 0.1  # of the budget; the rest is for the proof
_LEAST_S = 0.25  # of one measurement
_ANSWERS_EACH = 2.0  # and so many answers for each caller at least, of a slow model
_ROUNDS = 2
_MOST_IN_FLIGHT = 256
_EQUAL = 0.97  # throughput within 3 % is equal, and the better latency decides
_GAIN = 1.02  # what a setup must bring to take the place of the default
_NO_WORSE = 0.9  # at other loads, of which less is measured
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of a search.

    Args:
        best: the setup to take, which is the default where nothing was proved to be better.
        in_flight: the load of the search: how many callers.
        figures: what the best did in the proof, by load, ascending.
        default: what the default did in the same minutes, at the same loads.
        trials: all that was measured, the best first.
        refused: setups that could not be run, and why.
        unproved: the setup that won the search and was not better in the proof, if there is one.
    """

    best: Setup
    in_flight: int
    figures: Sequence[Figures]
    default: Sequence[Figures]
    trials: Sequence[Trial[Setup, Figures]]
    refused: dict[str, str]
    unproved: Setup | None = None

    @property
    def pair(self) -> tuple[Figures, Figures]:
        """The figures of the best and of the default at the load of the search."""
        [both] = [pair for pair in zip(self.figures, self.default, strict=True) if pair[0].in_flight == self.in_flight]
        return both


def tune(  # noqa: PLR0913 - all but one are named
    measure: Measure,
    *,
    cores: int,
    providers: Sequence[Provider],
    slo_ms: float,
    budget_s: float,
    most_batch_size: int = 32,
    on_step: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Return the setup that answers most within a latency, and the proof that it is no worse than the default.

    Args:
        measure: measures one setup.
        cores: that the process may use.
        providers: that are installed.
        slo_ms: what 99 % of the answers are to come within.
        budget_s: about how long all may take.
        most_batch_size: the largest batch to try.
        on_step: told what is done next.
        clock: monotonic seconds; tests give their own.

    Raises:
        RetinueError: not even the default can be run.

    Notes:
        Every setup is measured with as many callers as the default answers within half of the latency, and with one for
        each core at least. How many callers there are is no matter of the setup, so with other loads for each the one
        with the fewest callers would look the promptest.
    """
    begin_s = clock()
    default = default_setup(cores)
    on_step(f"default: {default.text}")
    measure(default, cores, _LEAST_S)  # which loads it
    # Of several short looks the best: what disturbs a machine only ever makes it slower.
    looks = [measure(default, 4 * cores, max(_LEAST_S, budget_s / 120)) for _ in range(3)]
    rate = max(1e-9, *(look.answers_per_s for look in looks))
    in_flight = min(_MOST_IN_FLIGHT, max(cores, round(rate * slo_ms / 2e3)))
    least_s = max(_LEAST_S, _ANSWERS_EACH * in_flight / rate)
    refused: dict[str, str] = {}

    def attempt(setup: Setup, seconds: float) -> Figures | None:
        on_step(setup.text)
        try:
            return measure(setup, in_flight, seconds)
        except RetinueError as error:
            refused[setup.text] = error.message
            return None

    setups = candidate_setups(cores, providers, most_batch_size=min(most_batch_size, max(4, in_flight)))
    search_s = _SEARCH_SHARE * budget_s - (clock() - begin_s)
    trials = halve(
        setups, attempt, key=lambda _, figures: rank(figures, slo_ms), budget_s=search_s, least_s=least_s, clock=clock
    )
    last = max((one.round for one in trials), default=0)
    leaders = best_first([one for one in trials if one.round == last], slo_ms)
    # What is late already gets no better by waiting.
    for setup in delayed(leaders[0].candidate) if leaders and leaders[0].result.p99_ms <= slo_ms else ():
        figures = attempt(setup, max(least_s, _DELAY_SHARE * budget_s / 2))
        if figures is not None:
            trials.append(Trial(setup, figures, last))
    leaders = best_first([one for one in trials if one.round == last], slo_ms)
    loads = sorted({1, max(1, in_flight // 4), in_flight, min(2 * in_flight, _MOST_IN_FLIGHT)})
    left_s = max(0.0, budget_s - (clock() - begin_s))
    seconds = max(_LEAST_S, left_s / (2 * _ROUNDS * len(loads)))
    proof = _Proof(measure, loads, in_flight, slo_ms, seconds, on_step)
    leader = leaders[0].candidate if leaders else default
    if leader == default:
        beside = proof.curve(default)
        return Tuned(default, in_flight, beside, beside, trials, refused)
    try:
        if proof.holds(leader, default):
            return Tuned(leader, in_flight, proof.figures, proof.beside, trials, refused)
        beside = proof.beside
    except RetinueError as error:  # at a load that the search did not try
        refused[leader.text] = error.message
        beside = proof.curve(default)
    return Tuned(default, in_flight, beside, beside, trials, refused, unproved=leader)


def rank(figures: Figures, slo_ms: float) -> tuple[bool, float]:
    """Return how good figures are, larger is better: within the latency by throughput, beyond it by latency.

    >>> figures = Figures(answers_per_s=90, p50_ms=5, p99_ms=20, cpu_ms=2, in_flight=4)
    >>> rank(figures, 50.0), rank(figures, 10.0)
    ((True, 90.0), (False, -20.0))
    """
    return (True, figures.answers_per_s) if figures.p99_ms <= slo_ms else (False, -figures.p99_ms)


def best_first(trials: Sequence[Trial[Setup, Figures]], slo_ms: float) -> list[Trial[Setup, Figures]]:
    """Return trials, the best first; of those within 3 % of the best the one without a delay, then the promptest."""
    ordered = sorted(trials, key=lambda one: rank(one.result, slo_ms), reverse=True)
    if not ordered or ordered[0].result.p99_ms > slo_ms:
        return ordered
    enough = (True, _EQUAL * ordered[0].result.answers_per_s)
    alike = [one for one in ordered if rank(one.result, slo_ms) >= enough]
    return sorted(alike, key=lambda one: (one.candidate.max_delay_ms, one.result.p99_ms)) + ordered[len(alike) :]


class _Proof:
    """A setup and the default, measured anew in turns: what won a search was also favoured by noise."""

    def __init__(
        self,
        measure: Measure,
        loads: Sequence[int],
        in_flight: int,
        slo_ms: float,
        seconds: float,
        on_step: Callable[[str], None],
    ) -> None:
        self._measure = measure
        self._loads = loads
        self._in_flight = in_flight
        self._slo_ms = slo_ms
        self._seconds = seconds
        self._on_step = on_step
        self.figures: list[Figures] = []
        self.beside: list[Figures] = []

    def holds(self, setup: Setup, default: Setup) -> bool:
        """Say whether a setup is better than the default at the load of the search, and no worse at the others.

        Better is: within the latency where the default is not, or as the default is and 2 % more answers. With one
        caller, answers per second are nothing but latency.
        """
        is_better = is_no_worse = True
        for load in self._loads:
            mine, other = self._in_turns(setup, default, load)
            self.figures.append(mine)
            self.beside.append(other)
            share = mine.answers_per_s / max(other.answers_per_s, 1e-9)
            is_within, is_other_within = mine.p99_ms <= self._slo_ms, other.p99_ms <= self._slo_ms
            if load == self._in_flight:
                is_better = (is_within and not is_other_within) or (is_within == is_other_within and share >= _GAIN)
            is_no_worse &= share >= _NO_WORSE
        if not (is_better and is_no_worse):
            _log.info("setup_not_proved", setup=setup.text, is_better=is_better, is_no_worse=is_no_worse)
        return is_better and is_no_worse

    def curve(self, setup: Setup) -> list[Figures]:
        """Return the figures of a setup by load."""
        self._on_step(f"proof: {setup.text}")
        return [self._measure(setup, load, self._seconds) for load in self._loads]

    def _in_turns(self, setup: Setup, default: Setup, load: int) -> tuple[Figures, Figures]:
        self._on_step(f"proof with {load} in flight: {setup.text}")
        turns = [
            (self._measure(default, load, self._seconds), self._measure(setup, load, self._seconds))
            for _ in range(_ROUNDS)
        ]
        return mean_of([mine for _, mine in turns]), mean_of([other for other, _ in turns])


def mean_of(figures: Sequence[Figures]) -> Figures:
    """Return the mean of each figure of one setup at one load."""

    def of(name: str) -> float:
        return round(statistics.fmean(getattr(one, name) for one in figures), 3)

    return Figures(
        answers_per_s=of("answers_per_s"),
        p50_ms=of("p50_ms"),
        p99_ms=of("p99_ms"),
        cpu_ms=of("cpu_ms"),
        in_flight=figures[0].in_flight,
    )
