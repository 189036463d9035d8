"""A batcher under load on a clock of its own: arrivals and batches are events, workers have no threads."""

import heapq
import itertools
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from retinue.runtime.batch_sizes import BatchSizes
from retinue.runtime.batcher import Batcher
from retinue.runtime.caller import Caller, Priority
from retinue.runtime.cost_model import Line
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import Overloaded
from retinue.runtime.ticket import Ticket
from tests.unit.runtime.numbers_read import Clock


@dataclass
class Outcome:
    """What came of the items, in the order of their arrival; seconds."""

    waits: dict[Priority, list[float]] = field(default_factory=lambda: {"high": [], "normal": []})
    answered_in_time: int = 0
    answered_late: int = 0
    refused: int = 0
    retry_after_s: list[float] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def goodput(self) -> float:
        """Answers in time per second."""
        return self.answered_in_time / self.seconds


@dataclass
class Load:
    """Poisson arrivals for so many seconds at a rate; each item with that much patience, None for endless."""

    rate: float
    seconds: float
    patience_s: float | None = None
    seed: int = 0
    high_share: float = 0.0
    bucket: Callable[[np.random.Generator], Hashable] = lambda _: None

    def arrivals(self) -> Iterator[tuple[float, Priority, Hashable]]:
        """Yield when each item comes, and what it is."""
        generator = np.random.default_rng(self.seed)
        when_s = 0.0
        while True:
            when_s += generator.exponential(1 / self.rate)
            if when_s > self.seconds:
                return
            yield when_s, "high" if generator.random() < self.high_share else "normal", self.bucket(generator)


def simulated(
    load: Load,
    line: Line,
    *,
    workers: int = 2,
    max_batch_size: int = 4,
    noise: float = 0.0,
    hindrance: float = 1.0,
    sizes: BatchSizes | None = None,
) -> Outcome:
    """Return what a batcher makes of a load whose batches truly cost ``line``, more or less ``noise`` of it.

    In 80 of each 200 ms a neighbour makes them cost ``hindrance`` times as much.
    """
    clock, outcome = Clock(0.0), Outcome(seconds=load.seconds)
    generator = np.random.default_rng(load.seed + 1)
    batcher: Batcher[int, int] = Batcher(
        EngineSize(workers, max_batch_size, 100_000, 100_000), sizes=sizes, on_drop=outcome.drops.append, clock=clock
    )
    order = itertools.count()  # of events at one instant
    events: list[tuple[float, int, int | None, list[Ticket[int, int]], float]] = []
    idle = set(range(workers))
    arrivals = load.arrivals()
    coming = next(arrivals, None)

    def begin() -> None:
        """Let every idle worker take what waits."""
        while idle and len(batcher):
            worker = idle.pop()
            batcher._idle_workers = len(idle)  # they wait beside the one that takes
            batcher.close()  # so that a queue of nothing but the dead is no reason to wait
            batch = batcher.take(worker)
            batcher._is_closed = False
            if batch is None:
                idle.add(worker)
                continue
            for ticket in batch:
                outcome.waits[ticket.caller.priority].append(clock.now_s - ticket.enqueued_s)
            outcome.batch_sizes.append(len(batch))
            taken_s = line.seconds(len(batch)) * float(generator.uniform(1 - noise, 1 + noise))
            taken_s *= hindrance if clock.now_s % 0.2 < 0.08 else 1.0
            heapq.heappush(events, (clock.now_s + taken_s, next(order), worker, batch, taken_s))
        batcher._idle_workers = len(idle)

    while coming is not None or events:
        if coming is not None and (not events or coming[0] <= events[0][0]):
            clock.now_s, priority, bucket = coming
            deadline_s = None if load.patience_s is None else clock.now_s + load.patience_s
            try:
                batcher.submit(0, Caller(deadline_s, priority), bucket=bucket)
            except Overloaded as error:
                outcome.refused += 1
                outcome.retry_after_s.append(error.retry_after_s)
            coming = next(arrivals, None)
        else:
            clock.now_s, _, worker, batch, taken_s = heapq.heappop(events)
            batcher.costs.observe(None, len(batch), taken_s)
            for ticket in batch:
                deadline_s = ticket.caller.deadline_s
                is_late = deadline_s is not None and clock.now_s > deadline_s
                outcome.answered_late += is_late
                outcome.answered_in_time += not is_late
                ticket.resolve(0)
            assert worker is not None
            idle.add(worker)
            batcher._ends.pop(worker, None)
        begin()
    return outcome
