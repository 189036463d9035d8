"""The batcher: a bounded queue from which idle workers pull batches.

Work-conserving: a worker that asks while something waits gets it at once; nothing is held back to fill a batch. Batches
form because items arrive while all workers are busy. An item whose caller is gone or late is dropped when its turn
comes, so no worker spends time on it.

Source:
    The pull model is that of text-embeddings-inference's queue and mosec's puller; delay 0 is Triton's default.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic

from retinue.runtime.caller import Caller
from retinue.runtime.errors import ModelNotReady, Overloaded
from retinue.runtime.ticket import Answer, DropReason, Item, Ticket

_RETRY_AFTER_S = 0.1  # a first guess at when a place is free; the learned cost model will know better


class Batcher(Generic[Item, Answer]):
    """Tickets wait here, one queue per bucket; items of one bucket may share a batch.

    Args:
        max_batch_size: most items a batch may hold, at least 1.
        max_queue_items: most items that may wait, at least 1; more are refused.
        max_queue_bytes: most bytes that waiting items may hold together; an item is always let into an empty queue.
        on_drop: told the reason whenever an item is refused or, while it waits, dropped; it must not raise.
        clock: monotonic seconds; tests give their own.
    """

    def __init__(
        self,
        *,
        max_batch_size: int,
        max_queue_items: int,
        max_queue_bytes: int,
        on_drop: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(max_batch_size, max_queue_items, max_queue_bytes) < 1:
            raise ValueError("max_batch_size, max_queue_items and max_queue_bytes must be at least 1")
        self._max_batch_size = max_batch_size
        self._max_queue_items = max_queue_items
        self._max_queue_bytes = max_queue_bytes
        self._on_drop = on_drop
        self._clock = clock
        self._lock = threading.Lock()
        self._arrival = threading.Condition(self._lock)
        self._queues: dict[Hashable, deque[tuple[int, int, Ticket[Item, Answer]]]] = {}
        self._arrivals = 0
        self._items = 0
        self._bytes = 0
        self._idle_workers = 0
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._items

    def submit(
        self,
        item: Item,
        caller: Caller,
        *,
        bucket: Hashable = None,
        byte_count: int = 0,
        is_patient: bool = False,
    ) -> Ticket[Item, Answer]:
        """Queue an item and return its ticket.

        Args:
            item: what is to be answered.
            caller: who waits for it.
            bucket: items of one bucket may share a batch.
            byte_count: what it takes of the bytes that may wait.
            is_patient: whether a refusal ends nothing, since the item will be brought again; it is not counted.

        Raises:
            Overloaded: the queue is full.
            ModelNotReady: the batcher is closed.
        """
        ticket: Ticket[Item, Answer] = Ticket(item, caller, self._clock())
        with self._lock:
            if self._is_closed:
                raise ModelNotReady("the model is being unloaded or the server is stopping")
            is_full = self._items >= self._max_queue_items
            if is_full or (self._items and self._bytes + byte_count > self._max_queue_bytes):
                limit = f"{self._max_queue_items} items" if is_full else f"{self._max_queue_bytes} bytes"
                if not is_patient:
                    self._on_drop("queue_full")
                raise Overloaded(f"the queue is full ({limit})", retry_after_s=_RETRY_AFTER_S, cause="queue_full")
            caller.on_cancel(ticket.cancel)  # before a worker can settle the ticket, which forgets it again
            self._arrivals += 1
            self._items += 1
            self._bytes += byte_count
            self._queues.setdefault(bucket, deque()).append((self._arrivals, byte_count, ticket))
            self._arrival.notify()
        return ticket

    def take(self) -> list[Ticket[Item, Answer]] | None:
        """Return the next batch, oldest item first; wait for one; None once the batcher is closed and empty.

        All items are of the oldest item's bucket. While other workers are idle too, the waiting items are shared out
        among them rather than put into one batch.
        """
        while True:
            with self._lock:
                self._idle_workers += 1
                while not self._items:
                    if self._is_closed:
                        self._idle_workers -= 1
                        return None
                    self._arrival.wait()
                share = -(-self._items // self._idle_workers)
                self._idle_workers -= 1
                batch, dropped = self._pop_oldest(min(self._max_batch_size, share))
            for reason in dropped:
                self._on_drop(reason)
            if batch:
                return batch

    def close(self) -> None:
        """Refuse new items; those that wait are still handed out, then every worker gets None."""
        with self._lock:
            self._is_closed = True
            self._arrival.notify_all()

    def _pop_oldest(self, count: int) -> tuple[list[Ticket[Item, Answer]], list[DropReason]]:
        """Remove up to ``count`` tickets of the bucket whose head came first, and say why others were dropped."""
        bucket = min(self._queues, key=lambda key: self._queues[key][0][0])
        queue = self._queues[bucket]
        batch: list[Ticket[Item, Answer]] = []
        dropped: list[DropReason] = []
        now_s = self._clock()
        while queue and len(batch) < count:
            _, byte_count, ticket = queue.popleft()
            self._items -= 1
            self._bytes -= byte_count
            if (reason := ticket.drop(now_s)) is None:
                batch.append(ticket)
            else:
                dropped.append(reason)
        if not queue:
            del self._queues[bucket]
        return batch, dropped
