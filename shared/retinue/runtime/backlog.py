"""What waits for a worker: items of two priorities, in the order of their arrival, one line for each bucket.

High goes before normal, with one exception that keeps normal from starving: after three batches in a row that were led
by high items while normal ones waited, the next is led by the oldest normal item.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterator
from typing import Generic, NamedTuple

from retinue.runtime.caller import Priority
from retinue.runtime.ticket import Answer, Item, Ticket

_HIGH_TURNS = 3
_OTHER: dict[Priority, Priority] = {"high": "normal", "normal": "high"}


class Entry(NamedTuple, Generic[Item, Answer]):
    """One item that waits.

    ``work_s`` is what it adds to the work that waits, seconds of one worker; 0 where that is not known.
    """

    arrival: int
    byte_count: int
    work_s: float
    ticket: Ticket[Item, Answer]


class Backlog(Generic[Item, Answer]):
    """The lines and their sums; not safe for threads, its batcher holds the lock."""

    def __init__(self) -> None:
        self.item_count = 0
        self.byte_count = 0
        self._lines: dict[Priority, dict[Hashable, deque[Entry[Item, Answer]]]] = {"high": {}, "normal": {}}
        self._work_s: dict[Priority, float] = {"high": 0.0, "normal": 0.0}
        self._arrivals = 0
        self._high_turns = 0

    def count(self, bucket: Hashable) -> int:
        """Return how many items of a bucket wait."""
        return sum(len(lines[bucket]) for lines in self._lines.values() if bucket in lines)

    def work_before_s(self, priority: Priority) -> float:
        """Return the seconds of one worker that go before an item that comes now."""
        high_s, normal_s = self._work_s["high"], self._work_s["normal"]
        return high_s + (normal_s if priority == "normal" else min(normal_s, high_s / _HIGH_TURNS))

    def append(self, bucket: Hashable, ticket: Ticket[Item, Answer], byte_count: int, work_s: float) -> None:
        """Add an item at the end of its line."""
        self._arrivals += 1
        priority = ticket.caller.priority
        self._lines[priority].setdefault(bucket, deque()).append(Entry(self._arrivals, byte_count, work_s, ticket))
        self._count(priority, byte_count, work_s, 1)

    def buckets(self) -> set[Hashable]:
        """Return the buckets of which something waits."""
        return {bucket for lines in self._lines.values() for bucket in lines}

    def entries(self, bucket: Hashable) -> Iterator[Entry[Item, Answer]]:
        """Yield what waits of a bucket, high first, in order."""
        for lines in self._lines.values():
            yield from lines.get(bucket, ())

    def lead(self, among: Collection[Hashable] | None = None) -> tuple[Priority, Hashable]:
        """Return whose turn it is: priority and bucket of the item that leads the next batch.

        Args:
            among: the buckets to choose from, of which something waits; None for all.
        """
        oldest: dict[Priority, Hashable] = {}
        for priority, lines in self._lines.items():
            allowed = lines if among is None else [bucket for bucket in lines if bucket in among]
            if allowed:
                oldest[priority] = min(allowed, key=lambda bucket: lines[bucket][0].arrival)
        if len(oldest) == 1:
            self._high_turns = 0
            return next(iter(oldest.items()))
        priority = "high" if self._high_turns < _HIGH_TURNS else "normal"
        self._high_turns = self._high_turns + 1 if priority == "high" else 0
        return priority, oldest[priority]

    def turns(self, priority: Priority, bucket: Hashable) -> Iterator[Priority]:
        """Yield the priority of the item that is next in a batch, as long as there is one."""
        for level in (priority, _OTHER[priority]):
            while bucket in self._lines[level]:
                yield level

    def head(self, priority: Priority, bucket: Hashable) -> Entry[Item, Answer]:
        """Return the first of a line, which stays where it is."""
        return self._lines[priority][bucket][0]

    def pop(self, priority: Priority, bucket: Hashable) -> Entry[Item, Answer]:
        """Remove the first of a line and return it."""
        lines = self._lines[priority]
        entry = lines[bucket].popleft()
        if not lines[bucket]:  # buckets are shapes that callers choose: a server meets ever new ones
            del lines[bucket]
        self._count(priority, entry.byte_count, entry.work_s, -1)
        return entry

    def put_back(self, bucket: Hashable, entry: Entry[Item, Answer]) -> None:
        """Make an item the first of its line again."""
        priority = entry.ticket.caller.priority
        self._lines[priority].setdefault(bucket, deque()).appendleft(entry)
        self._count(priority, entry.byte_count, entry.work_s, 1)

    def _count(self, priority: Priority, byte_count: int, work_s: float, sign: int) -> None:
        self.item_count += sign
        self.byte_count += sign * byte_count
        # Floats that come and go leave crumbs behind; an empty line sweeps them up.
        self._work_s[priority] = self._work_s[priority] + sign * work_s if self._lines[priority] else 0.0
