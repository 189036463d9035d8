"""An engine under steady load: so many callers that each ask again as soon as they are answered."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, RetinueError
from retinue.runtime.tuning_file import Figures

_RAMP_SHARE = 0.2  # of the time, at the beginning, that does not count: batches have not formed yet


def drive(engine: Engine[Any, Any], items: Sequence[Any], *, in_flight: int, seconds: float) -> Figures:
    """Return what an engine does under load.

    Args:
        engine: started; only this load is on it.
        items: asked about in turn, at least one.
        in_flight: callers, at least 1.
        seconds: how long they ask; what is under way then is waited for, and counts.

    Raises:
        RetinueError: an item was not answered; a fault of the model's own code is a BackendFailed.
    """
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    end_s = begin_s + seconds
    ends: list[list[tuple[float, float]]] = [[] for _ in range(in_flight)]
    problems: list[Exception] = []

    def ask(number: int) -> None:
        own, turn = ends[number], number
        before = time.perf_counter()
        while not problems:  # once at least, however short the time is
            try:
                engine.submit(items[turn % len(items)], Caller()).wait()
            except Exception as error:  # noqa: BLE001 - the edge of a thread: it would end, and the others go on as fewer
                problems.append(error)
                return
            after = time.perf_counter()
            own.append((after, after - before))
            if after >= end_s:
                return
            before, turn = after, turn + in_flight

    threads = [threading.Thread(target=ask, args=(number,), name=f"caller-{number}") for number in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_s = time.process_time() - begin_cpu_s
    for problem in problems:
        if isinstance(problem, RetinueError):
            raise problem
        raise BackendFailed(f"an item was not answered: {problem!r}") from problem
    return figures_of([one for own in ends for one in own], begin_s, seconds, cpu_s, in_flight)


def figures_of(
    ends: Sequence[tuple[float, float]], begin_s: float, seconds: float, cpu_s: float, in_flight: int
) -> Figures:
    """Return figures of answers.

    Args:
        ends: of each answer when it came, and after how long, seconds; at least one.
        begin_s: when asking began.
        seconds: how long was asked. The first fifth is left out where enough comes later.
        cpu_s: CPU time that all took together.
        in_flight: callers.

    >>> figures_of([(2.0, 1.0)], 0.0, 1.0, 3.0, 1).answers_per_s
    0.5
    """
    ordered = sorted(ends)
    ramp_s = begin_s + _RAMP_SHARE * seconds
    late = [one for one in ordered if one[0] > ramp_s]
    if len(late) < 2 * in_flight:  # of a slow model every answer counts
        late, ramp_s = ordered, begin_s
    taken_ms = 1e3 * np.array([taken_s for _, taken_s in late])
    p50_ms, p99_ms = np.quantile(taken_ms, [0.5, 0.99], method="higher")
    return Figures(
        answers_per_s=round(len(late) / (late[-1][0] - ramp_s), 2),
        p50_ms=round(float(p50_ms), 3),
        p99_ms=round(float(p99_ms), 3),
        cpu_ms=round(1e3 * cpu_s / len(ends), 3),
        in_flight=in_flight,
    )
