"""A worker: one thread that pulls a batch and does all of it, from the encoded bytes to the answers.

On a CPU one worker per core, each decoding and resizing straight into its own reused buffer, measured best: pixels stay
in that core's cache and no thread waits for another.
"""

import time
from collections.abc import Callable, Hashable
from traceback import format_exc
from typing import Any, Generic

import structlog

from retinue.runtime.batcher import Batcher
from retinue.runtime.errors import BackendFailed, RetinueError
from retinue.runtime.pipeline import Observer, Pipeline
from retinue.runtime.ticket import Answer, Item, Ticket

_KEPT_BUFFERS = 4  # buckets whose buffers a worker keeps; a service with one input size has one
_log = structlog.get_logger(__name__)


class Worker(Generic[Item, Answer]):
    """Answers batches, one after the other, until its batcher is closed and empty; call it in a thread of its own."""

    def __init__(
        self,
        pipeline: Pipeline[Item, Answer],
        batcher: Batcher[Item, Answer],
        observer: Observer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline = pipeline
        self._batcher = batcher
        self._observer = observer
        self._clock = clock
        self._buffers: dict[Hashable, Any] = {}

    def __call__(self) -> None:
        """Work until there is no more."""
        while (batch := self._batcher.take(self)) is not None:
            self.answer(batch)
            del batch  # an idle worker keeps nobody's pictures

    def answer(self, batch: list[Ticket[Item, Answer]]) -> None:
        """Settle every ticket of a batch. If the batch fails as a whole, each item is tried once more, alone."""
        try:
            self._attempt(batch)
        except Exception as error:  # noqa: BLE001 - the edge of a thread: the error belongs to who waits
            if len(batch) == 1:
                error.add_note(format_exc())  # a fault is logged with its traceback, by whoever answers the caller
                self._fail(batch[0], error)
                return
            _log.warning("batch_retried", batch_size=len(batch), problem=repr(error))  # nobody else hears of it
        else:
            return
        for ticket in batch:
            if not ticket.is_settled:
                self.answer([ticket])

    def _attempt(self, batch: list[Ticket[Item, Answer]]) -> None:
        """Decode, prepare, run and finish; a RetinueError in one item fails that item only."""
        clock, pipeline = self._clock, self._pipeline
        bucket = pipeline.bucket(batch[0].item)
        rows = self._buffer(bucket)
        prepared: list[Ticket[Item, Answer]] = []
        began = before = clock()
        for ticket in batch:
            if self._is_dropped(ticket):  # since the batch was taken
                continue
            timings = ticket.timings
            timings.queue_s = before - ticket.enqueued_s
            try:
                pixels = pipeline.decode(ticket.item)
                decoded = clock()
                pipeline.prepare(pixels, rows, len(prepared))
            except RetinueError as error:
                self._fail(ticket, error)
                before = clock()
                continue
            prepared.append(ticket)
            now = clock()
            timings.decode_s, timings.preprocess_s = decoded - before, now - decoded
            before = now
        if not prepared:
            return
        outputs = pipeline.run(rows, len(prepared))
        after = clock()
        self._observer.on_batch(len(prepared), after - before)
        answers = pipeline.finish([ticket.item for ticket in prepared], outputs)
        if len(answers) != len(prepared):  # whose is whose is anybody's guess
            raise BackendFailed(f"the model gave {len(answers)} answers for {len(prepared)} rows")
        end = clock()
        infer_s, postprocess_s = after - before, end - after
        self._batcher.costs.observe(bucket, len(prepared), end - began)
        for ticket, answer in zip(prepared, answers, strict=True):
            timings = ticket.timings
            timings.infer_s, timings.postprocess_s, timings.batch_size = infer_s, postprocess_s, len(prepared)
            timings.infer_begin_s = before
            if ticket.resolve(answer):
                self._observer.on_answer(timings)
            else:
                self._is_dropped(ticket)

    def _buffer(self, bucket: Hashable) -> Any:
        """Return this worker's buffer for a bucket, made on first use; the one longest unused makes room."""
        rows = self._buffers.pop(bucket, None)
        if rows is None:
            rows = self._pipeline.allocate(bucket, self._batcher.sizes.largest(bucket))
        self._buffers[bucket] = rows
        if len(self._buffers) > _KEPT_BUFFERS:
            del self._buffers[next(iter(self._buffers))]
        return rows

    def _fail(self, ticket: Ticket[Item, Answer], error: BaseException) -> None:
        """Settle a ticket with an error, stripped of its traceback.

        A traceback holds its frames, a frame its callers and all their variables: the pictures of the whole batch, and
        the ticket that is to hold the error, a cycle.
        """
        error.__traceback__ = error.__cause__ = error.__context__ = None
        if ticket.fail(error):
            self._observer.on_failure()
        else:
            self._is_dropped(ticket)

    def _is_dropped(self, ticket: Ticket[Item, Answer]) -> bool:
        """Say whether nobody waits for a ticket any more, and report it."""
        reason = ticket.drop(self._clock())
        if reason is not None:
            self._observer.on_drop(reason)
        return reason is not None
