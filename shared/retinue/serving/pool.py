"""The threads that handlers run in: a pool that knows when it is full."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class HandlerPool(ThreadPoolExecutor):
    """A thread pool that counts what it was given and has not finished.

    gRPC hands it one task per RPC from a single polling thread. A plain pool queues without bound what it cannot run,
    out of sight of every deadline; this one lets the interceptor see that no thread is free and refuse the call
    instead.

    Args:
        thread_count: how many tasks run at once, at least 1.
    """

    def __init__(self, thread_count: int) -> None:
        super().__init__(thread_count, thread_name_prefix="handler")
        self._thread_count = thread_count
        # One item per task under way: list append and pop are atomic, an integer's += is not.
        self._under_way: list[None] = []

    @property
    def in_flight(self) -> int:
        """How many tasks are queued or running."""
        return len(self._under_way)

    @property
    def is_full(self) -> bool:
        """Whether another task would have to wait for a thread."""
        return len(self._under_way) >= self._thread_count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a task in a thread of the pool."""
        future = super().submit(fn, *args, **kwargs)
        self._under_way.append(None)
        future.add_done_callback(self._finished)
        return future

    def hold(self) -> None:
        """Count a task that is to come as under way; `submit_held` must follow."""
        self._under_way.append(None)

    def submit_held(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the task that was counted ahead."""
        future = self.submit(fn, *args, **kwargs)
        self._under_way.pop()
        return future

    def _finished(self, _: Future[Any]) -> None:
        self._under_way.pop()
