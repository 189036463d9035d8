"""The batcher: a bounded queue from which idle workers pull batches.

Work-conserving: a worker that asks while something waits gets it at once, unless a delay is allowed for batches to
fill. Batches form because items arrive while all workers are busy. An item whose caller is gone or late, or cannot be
answered in time any more, is dropped when its turn comes, so no worker spends time on it; one that could not be
answered in time after all that waits before it is refused at once.

Source:
    The pull model is that of text-embeddings-inference's queue and mosec's puller; delay 0 is Triton's default;
    refusing by predicted time is Clockwork's (OSDI'20) and BentoML's, dropping early Nexus's (SOSP'19).
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic

from retinue.runtime.backlog import Backlog, Entry
from retinue.runtime.batch_sizes import BatchSizes
from retinue.runtime.caller import Caller, Priority
from retinue.runtime.cost_model import CostModel, Line
from retinue.runtime.engine_size import EngineSize
from retinue.runtime.errors import ModelNotReady, Overloaded, late_answer
from retinue.runtime.foresight import Foresight
from retinue.runtime.ticket import Answer, Item, Ticket

_UNKNOWN_RETRY_S = 0.1  # when to come back while nothing is known of what batches cost
_LEAST_RETRY_S = 0.01
_COMING_S = 0.1  # one who was expected and has not come by then had nothing to submit


class Batcher(Generic[Item, Answer]):
    """Tickets wait here, one line per bucket and priority; items of one bucket may share a batch.

    Args:
        size: how many workers pull, how much may wait, and for how long.
        sizes: how many items a batch may hold.
        costs: what batches cost; workers teach it.
        on_drop: told the reason whenever an item is refused or, while it waits, dropped; it must not raise.
        clock: monotonic seconds; tests give their own.
        wait: waits for a condition, seconds or for as long as it takes; tests give their own.
    """

    def __init__(
        self,
        size: EngineSize,
        *,
        sizes: BatchSizes | None = None,
        costs: CostModel | None = None,
        on_drop: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Condition, float | None], object] = threading.Condition.wait,
    ) -> None:
        self.sizes = sizes or BatchSizes(size.max_batch_size)
        self.costs = costs or CostModel(clock)
        self._size = size
        self._on_drop = on_drop
        self._clock = clock
        self._wait = wait
        self._arrival = threading.Condition(threading.Lock())
        self._backlog: Backlog[Item, Answer] = Backlog()
        self._idle_workers = 0
        self._ends: dict[Hashable, float] = {}  # when each busy worker is expected to come back
        self._coming: deque[float] = deque()  # when those came who were told that they would be in time
        self._foresight = Foresight()
        # Of what each worker is busy with: when it was queued, and how long it was expected to take from then on.
        self._taken: dict[Hashable, list[tuple[float, float]]] = {}
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._backlog.item_count

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
            Overloaded: the queue is full, or the answer would come after the deadline.
            ModelNotReady: the batcher is closed.
        """
        now_s = self._clock()
        ticket: Ticket[Item, Answer] = Ticket(item, caller, now_s)
        with self._arrival:
            if self._is_closed:
                raise ModelNotReady("the model is being unloaded or the server is stopping")
            if self._coming:
                self._coming.popleft()
            line = self.costs.line(bucket)
            wait_s = self._wait_s(caller.priority, now_s)
            batch_s = 0.0 if line is None else self._batch_s(caller, bucket, line, now_s)
            refusal = self._refusal(caller, bucket, byte_count, line, now_s, wait_s, batch_s)
            if refusal is None:
                if line is not None and wait_s:
                    ticket.expected_s = wait_s + batch_s
                caller.on_cancel(ticket.cancel)  # before a worker can settle the ticket, which forgets it again
                begins_batch = self._backlog.count(bucket) % self.sizes.largest(bucket) == 0
                work_s = 0.0 if line is None else line.per_item_s + line.per_batch_s * begins_batch
                self._backlog.append(bucket, ticket, byte_count, work_s)
                self._arrival.notify()
                caller.follow(now_s, ticket.timings)
                return ticket
        if not is_patient:
            self._on_drop(refusal.cause)
        raise refusal

    def late_s(self, patience_s: float, priority: Priority) -> float:
        """Return how much too late an item would be answered that came now, of which the bucket is not known yet.

        0 or less stands for in time, or unknown: only where all items have been of one bucket can it be told. One that
        is in time is expected to be submitted soon, and until then counts for those who ask after it.
        """
        lone = self.costs.lone()
        if lone is None:
            return 0.0
        now_s = self._clock()
        with self._arrival:
            while self._coming and now_s - self._coming[0] > _COMING_S:
                self._coming.popleft()
            coming_s = len(self._coming) * lone[1].per_item_s / self._size.workers
            caller, wait_s = Caller(now_s + patience_s, priority), coming_s + self._wait_s(priority, now_s)
            late_s = self._late_s(caller, now_s, wait_s, self._batch_s(caller, *lone, now_s))
            if late_s <= 0:
                self._coming.append(now_s)
            return late_s

    def take(self, seat: Hashable = None) -> list[Ticket[Item, Answer]] | None:
        """Return the next batch; wait for one; None once the batcher is closed and empty.

        All items are of one bucket, that of the oldest item of the priority whose turn it is. While other workers are
        idle too, the waiting items are shared out among them rather than put into one batch; not where batch sizes are
        rounded, as on a GPU, which all workers share, nor where a delay is allowed, which says that batches matter.

        Args:
            seat: who asks; what they took before is then known to be done.
        """
        while True:
            with self._arrival:
                self._idle_workers += 1
                self._ends.pop(seat, None)
                self._learn(self._taken.pop(seat, ()), self._clock())
                turn = self._turn()
                if turn is None:
                    self._idle_workers -= 1
                    return None
                is_shared_out = not (self.sizes.is_rounded or self._size.max_delay_s)
                share = -(-len(self) // self._idle_workers) if is_shared_out else len(self)
                self._idle_workers -= 1
                batch, dropped = self._pop(*turn, share, seat)
                if self._backlog.item_count and self._size.max_delay_s:
                    self._arrival.notify()  # what is left has perhaps nobody who looks at the clock for it
            for reason in dropped:
                self._on_drop(reason)
            if batch:
                return batch

    def close(self) -> None:
        """Refuse new items; those that wait are still handed out, then every worker gets None."""
        with self._arrival:
            self._is_closed = True
            self._arrival.notify_all()

    def _refusal(
        self,
        caller: Caller,
        bucket: Hashable,
        byte_count: int,
        line: Line | None,
        now_s: float,
        wait_s: float,
        batch_s: float,
    ) -> Overloaded | None:
        """Return why an item cannot be let in, and when to come back; None where it can."""
        backlog, size = self._backlog, self._size
        if backlog.item_count >= size.max_queue_items:
            limit, share = f"{size.max_queue_items} items", 1 / backlog.item_count
        elif backlog.item_count and backlog.byte_count + byte_count > size.max_queue_bytes:
            excess = backlog.byte_count + byte_count - size.max_queue_bytes
            limit, share = f"{size.max_queue_bytes} bytes", min(1.0, excess / max(1, backlog.byte_count))
        else:
            late_s = 0.0 if line is None else self._late_s(caller, now_s, wait_s, batch_s)
            if late_s <= 0:
                return None
            return late_answer(late_s)
        if line is None:
            retry_after_s = _UNKNOWN_RETRY_S
        else:  # until so much of the queue is done, and a batch at least, since places come free by the batch
            batch_s = line.seconds(self.sizes.largest(bucket)) / size.workers
            retry_after_s = max(self._wait_s("normal", now_s) * share, batch_s, _LEAST_RETRY_S)
        return Overloaded(f"the queue is full ({limit})", retry_after_s=retry_after_s, cause="queue_full")

    def _late_s(self, caller: Caller, now_s: float, wait_s: float, batch_s: float) -> float:
        """Return how long after its deadline an item might be answered that comes now; 0 or less where in time.

        One that is late already is let in, and told so when its turn comes: that is no matter of overload. Caution is
        for waiting only: where a worker is idle, or a deadline shorter than a batch, there is nothing to be lost.
        """
        if caller.deadline_s is None or caller.deadline_s <= now_s:
            return 0.0
        return now_s + wait_s * self._foresight.caution + batch_s - caller.deadline_s

    def _batch_s(self, caller: Caller, bucket: Hashable, line: Line, now_s: float) -> float:
        """Return how long the batch will take of an item that comes now."""
        patience_s = math.inf if caller.deadline_s is None else caller.deadline_s - now_s
        affordable = self.sizes.affordable(line, patience_s, bucket)
        return line.seconds(min(self._backlog.count(bucket) + 1, affordable))

    def _learn(self, done: Iterable[tuple[float, float]], now_s: float) -> None:
        """Compare what was expected of items with what it came to, now that they are done."""
        for enqueued_s, expected_s in done:
            if expected_s:
                self._foresight.learn(expected_s, now_s - enqueued_s)

    def _wait_s(self, priority: Priority, now_s: float) -> float:
        """Return how long an item that comes now is expected to wait for a worker."""
        if self._idle_workers > self._backlog.item_count:
            return 0.0
        running_s = sum(max(0.0, end_s - now_s) for end_s in self._ends.values())
        return (running_s + self._backlog.work_before_s(priority)) / self._size.workers

    def _turn(self) -> tuple[Priority, Hashable] | None:
        """Wait until a batch may be made and return whose turn it is; None once closed and empty."""
        backlog = self._backlog
        while True:
            if not backlog.item_count:
                if self._is_closed:
                    return None
                self._wait(self._arrival, None)
                continue
            if not self._size.max_delay_s or self._is_closed:
                return backlog.lead()
            now_s = self._clock()
            ripe_s = {bucket: self._ripe_s(bucket) for bucket in backlog.buckets()}
            ripe = {bucket for bucket, when_s in ripe_s.items() if when_s <= now_s}
            if ripe:
                return backlog.lead(ripe)
            self._wait(self._arrival, min(ripe_s.values()) - now_s)

    def _ripe_s(self, bucket: Hashable) -> float:
        """Return until when a bucket may be held back to fill its batch: no deadline is missed for it."""
        largest, line = self.sizes.largest(bucket), self.costs.line(bucket)
        waiting = self._backlog.count(bucket)
        if waiting >= largest:
            return -math.inf
        when_s = math.inf
        for entry in self._backlog.entries(bucket):
            deadline_s = entry.ticket.caller.deadline_s
            when_s = min(when_s, entry.ticket.enqueued_s + self._size.max_delay_s)
            if deadline_s is not None:  # while nothing is known of what a batch takes, it had better begin
                when_s = min(when_s, -math.inf if line is None else deadline_s - line.seconds(waiting + 1))
        return when_s

    def _pop(
        self, priority: Priority, bucket: Hashable, share: int, seat: Hashable
    ) -> tuple[list[Ticket[Item, Answer]], list[str]]:
        """Remove the next batch of a bucket, of ``share`` items at most, and say why others were dropped."""
        backlog, line, now_s = self._backlog, self.costs.line(bucket), self._clock()
        most = min(share, self.sizes.largest(bucket))
        batch: list[Entry[Item, Answer]] = []
        dropped: list[str] = []
        due_s = math.inf  # the first deadline in the batch
        is_behind = backlog.count(bucket) > self.sizes.largest(bucket)
        for level in backlog.turns(priority, bucket):
            if len(batch) == most:
                break
            ticket = backlog.head(level, bucket).ticket
            reason: str | None = ticket.drop(now_s)
            if reason is None and self._is_hopeless(ticket, bucket, now_s, is_behind=is_behind):
                ticket.give_up()
                reason = "deadline"
            if reason is not None:
                backlog.pop(level, bucket)
                dropped.append(reason)
                if line is not None and reason == "deadline":
                    # The soonest that it could have been done.
                    self._learn([(ticket.enqueued_s, ticket.expected_s)], now_s + line.seconds(1))
                continue
            due_s = min(due_s, math.inf if ticket.caller.deadline_s is None else ticket.caller.deadline_s)
            if batch and line is not None and now_s + line.seconds(len(batch) + 1) > due_s:
                break  # in a larger batch, one of them would be late
            batch.append(backlog.pop(level, bucket))
        if batch:  # it may be empty where nobody waited any more
            size = self.sizes.rounded(len(batch), bucket)
            for entry in reversed(batch[size:]):
                backlog.put_back(bucket, entry)
            del batch[size:]
            self._ends[seat] = now_s if line is None else now_s + line.seconds(size)
            self._taken[seat] = [(entry.ticket.enqueued_s, entry.ticket.expected_s) for entry in batch]
        return [entry.ticket for entry in batch], dropped

    def _is_hopeless(self, ticket: Ticket[Item, Answer], bucket: Hashable, now_s: float, *, is_behind: bool) -> bool:
        """Say whether an item cannot be answered in time: alone or, where more waits than a batch holds, in a full one.

        When the queue is behind, small batches for those who are nearly late would soon make everybody late.
        """
        deadline_s, line = ticket.caller.deadline_s, self.costs.line(bucket)
        if deadline_s is None or line is None:
            return False
        size = self.sizes.affordable(line, deadline_s - ticket.enqueued_s, bucket) if is_behind else 1
        return now_s + line.seconds(size) > deadline_s
