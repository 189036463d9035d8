"""How much of the machine one engine takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSize:
    """Workers, batches and queue of one engine.

    Args:
        workers: threads that answer batches, at least 1.
        max_batch_size: most items of a batch, at least 1.
        max_queue_items: most items that may wait, at least 1; more are refused.
        max_queue_bytes: most bytes that waiting items may hold together, at least 1; an item is always let into an
            empty queue.
        max_batch_pixels: most input pixels of a batch; None for no such limit.
        max_delay_s: how long an item may be held back for its batch to fill; 0 holds back nothing.
    """

    workers: int
    max_batch_size: int
    max_queue_items: int
    max_queue_bytes: int
    max_batch_pixels: int | None = None
    max_delay_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse limits that would let nothing through."""
        limits = (self.workers, self.max_batch_size, self.max_queue_items, self.max_queue_bytes)
        if min(*limits, 1 if self.max_batch_pixels is None else self.max_batch_pixels) < 1 or self.max_delay_s < 0:
            raise ValueError("workers and limits must be at least 1, the delay at least 0")
