"""An engine: one model being served, with its queue, its workers and its totals."""

import threading
import time
from collections.abc import Hashable
from typing import Any, Generic

import structlog

from retinue.runtime.batch_sizes import BatchSizes
from retinue.runtime.batcher import Batcher
from retinue.runtime.caller import Caller, Priority
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import ModelNotReady
from retinue.runtime.manifest import Manifest
from retinue.runtime.pipeline import Observer, Pipeline, RowPixels
from retinue.runtime.provider import ON_CPU
from retinue.runtime.statistics import Statistics
from retinue.runtime.ticket import Answer, Item, Ticket
from retinue.runtime.timings import Timings
from retinue.runtime.worker import Worker

__all__ = ["Engine", "EngineSize"]

_log = structlog.get_logger(__name__)


class Engine(Generic[Item, Answer]):
    """Answers items with one model.

    Args:
        manifest: what is served.
        pipeline: how it is done; `pipeline.run` may be called from all workers at once.
        size: workers, batch and queue.
        observer: told of every batch, answer, failure and drop, besides the engine's own totals.
    """

    def __init__(
        self, manifest: Manifest, pipeline: Pipeline[Item, Answer], size: EngineSize, observer: Observer
    ) -> None:
        self.manifest = manifest
        self.pipeline = pipeline
        self.size = size
        self.statistics = Statistics()
        observers = _Both(self.statistics, observer)
        self._batcher: Batcher[Item, Answer] = Batcher(
            size, sizes=_batch_sizes(pipeline, size), on_drop=observers.on_drop
        )
        self._threads = [
            threading.Thread(
                target=Worker(pipeline, self._batcher, observers),
                name=f"{manifest.name}-{number}",
                daemon=True,  # a process that is told to end does not wait for a stuck run
            )
            for number in range(size.workers)
        ]

    @property
    def queue_length(self) -> int:
        """How many items wait."""
        return len(self._batcher)

    def start(self) -> None:
        """Run every warm-up bucket at every power of two up to its largest batch, then start the workers."""
        sizes = self._batcher.sizes
        for bucket in self.pipeline.warm_up_buckets():
            rows = self.pipeline.allocate(bucket, sizes.largest(bucket))
            for batch_size in sizes.warmed(bucket):
                self.pipeline.run(rows, batch_size)
        for thread in self._threads:
            thread.start()
        _log.info("model_ready", model=self.manifest.name, version=self.manifest.version, workers=self.size.workers)

    def submit(
        self, item: Item, caller: Caller, *, byte_count: int = 0, is_patient: bool = False
    ) -> Ticket[Item, Answer]:
        """Queue an item and return the ticket to wait on; see `Batcher.submit`.

        Raises:
            Overloaded: the queue is full, or the answer would come after the caller's deadline.
            ModelNotReady: the engine is closed.
        """
        bucket: Hashable = self.pipeline.bucket(item)
        return self._batcher.submit(item, caller, bucket=bucket, byte_count=byte_count, is_patient=is_patient)

    def late_s(self, patience_s: float, priority: Priority) -> float:
        """Return how much too late an item would be answered that came now; see `Batcher.late_s`."""
        return self._batcher.late_s(patience_s, priority)

    def close(self, timeout_s: float | None = None) -> bool:
        """Refuse new items, answer those that wait, end the workers; return whether all ended in time.

        Args:
            timeout_s: how long to wait for the workers, all together; None for as long as it takes.
        """
        self._batcher.close()
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        started = [thread for thread in self._threads if thread.ident is not None]
        for thread in started:
            thread.join(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        while not started and (batch := self._batcher.take()) is not None:
            for ticket in batch:
                ticket.fail(ModelNotReady("the model never started"))
        return not any(thread.is_alive() for thread in started)


def _batch_sizes(pipeline: Pipeline[Any, Any], size: EngineSize) -> BatchSizes:
    return BatchSizes(
        size.max_batch_size,
        max_pixels=size.max_batch_pixels if isinstance(pipeline, RowPixels) else None,
        row_pixels=pipeline.row_pixels if isinstance(pipeline, RowPixels) else lambda _: 1,
        is_rounded=pipeline.provider not in ON_CPU,
    )


class _Both:
    """Two observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_batch(self, batch_size: int, infer_s: float) -> None:
        for observer in self._observers:
            observer.on_batch(batch_size, infer_s)

    def on_answer(self, timings: Timings) -> None:
        for observer in self._observers:
            observer.on_answer(timings)

    def on_failure(self) -> None:
        for observer in self._observers:
            observer.on_failure()

    def on_drop(self, reason: str) -> None:
        for observer in self._observers:
            observer.on_drop(reason)
