"""Running totals of one model: what it answered, how long each stage took, how large its batches were."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from retinue.runtime.timings import Timings


@dataclass(slots=True)
class Total:
    """How often something happened and how long it took in all, seconds."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Count ``count`` more occurrences that took ``seconds`` together."""
        self.count += count
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The totals at one instant; they only ever grow."""

    success: Total
    failure: Total
    queue: Total
    input: Total
    infer: Total
    output: Total
    inference_count: int
    execution_count: int
    last_inference_s: float
    batches: Mapping[int, Total] = field(default_factory=dict)


class Statistics:
    """Counts what workers report; an `Observer`, safe for threads.

    Args:
        clock: seconds since the epoch; tests give their own.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._success, self._failure, self._queue = Total(), Total(), Total()
        self._input, self._infer, self._output = Total(), Total(), Total()
        self._last_inference_s = 0.0
        self._batches: dict[int, Total] = {}

    def on_batch(self, batch_size: int, infer_s: float) -> None:
        """Count one run of the model."""
        with self._lock:
            self._last_inference_s = self._clock()
            self._batches.setdefault(batch_size, Total()).add(infer_s)

    def on_answer(self, timings: Timings) -> None:
        """Count one answer and its stages."""
        input_s = timings.decode_s + timings.preprocess_s
        with self._lock:
            self._queue.add(timings.queue_s)
            self._input.add(input_s)
            self._infer.add(timings.infer_s)
            self._output.add(timings.postprocess_s)
            self._success.add(timings.queue_s + input_s + timings.infer_s + timings.postprocess_s)

    def on_failure(self) -> None:
        """Count one item that got no answer."""
        with self._lock:
            self._failure.add(0.0)

    def on_drop(self, reason: str) -> None:  # noqa: ARG002 - an Observer's signature
        """Count one item that was refused, or that nobody waited for any more."""
        self.on_failure()

    def snapshot(self) -> Snapshot:
        """Return the totals of this instant."""
        with self._lock:
            success, failure, queue = replace(self._success), replace(self._failure), replace(self._queue)
            input_, infer, output = replace(self._input), replace(self._infer), replace(self._output)
            batches = {size: replace(total) for size, total in sorted(self._batches.items())}
            last_inference_s = self._last_inference_s
        runs = sum(total.count for total in batches.values())
        items = sum(size * total.count for size, total in batches.items())
        return Snapshot(success, failure, queue, input_, infer, output, items, runs, last_inference_s, batches)
