"""How many items a batch may hold: a matter of the bucket, since a large picture counts for many small ones."""

from collections.abc import Callable, Hashable

from retinue.runtime.cost_model import Line


def warmed_sizes(largest: int) -> tuple[int, ...]:
    """Return the sizes of batches to be ready for, ascending: powers of two, and the largest.

    >>> warmed_sizes(6)
    (1, 2, 4, 6)
    """
    return tuple(sorted({min(1 << power, largest) for power in range(largest.bit_length() + 1)}))


class BatchSizes:
    """The sizes that batches may have.

    Args:
        largest: most items of any batch, at least 1.
        max_pixels: most input pixels of a batch, at least 1; a single row may have more, and is then alone.
        row_pixels: pixels of one row of a bucket.
        is_rounded: whether only sizes that were warmed are used; a GPU's libraries choose kernels, and TensorRT its
            engine, for each size they meet.

    >>> sizes = BatchSizes(6, is_rounded=True)
    >>> sizes.warmed("any"), sizes.rounded(5, "any")
    ([1, 2, 4, 6], 4)
    """

    def __init__(
        self,
        largest: int,
        *,
        max_pixels: int | None = None,
        row_pixels: Callable[[Hashable], int] = lambda _: 1,
        is_rounded: bool = False,
    ) -> None:
        if largest < 1 or (max_pixels is not None and max_pixels < 1):
            raise ValueError("a batch must be allowed one item and one pixel at least")
        self._largest = largest
        self._max_pixels = max_pixels
        self._row_pixels = row_pixels
        self.is_rounded = is_rounded

    def largest(self, bucket: Hashable) -> int:
        """Return the most items of a batch of a bucket."""
        if self._max_pixels is None:
            return self._largest
        return max(1, min(self._largest, self._max_pixels // max(1, self._row_pixels(bucket))))

    def warmed(self, bucket: Hashable) -> list[int]:
        """Return the sizes to run before the first caller, ascending: powers of two, and the largest."""
        return list(warmed_sizes(self.largest(bucket)))

    def affordable(self, line: Line, patience_s: float, bucket: Hashable) -> int:
        """Return the largest size that takes no more than half of a caller's patience, 1 at least.

        The other half is for waiting.

        Args:
            line: what batches of the bucket cost.
            patience_s: from the item's arrival to its deadline.
            bucket: whose batches.
        """
        room_s = patience_s / 2 - line.per_batch_s
        largest = self.largest(bucket)
        if room_s >= line.per_item_s * largest:
            return largest
        # Where items cost nothing, there is either room for all of them or, as here, not even for the batch.
        return self.rounded(max(1, int(room_s / line.per_item_s)) if line.per_item_s else 1, bucket)

    def rounded(self, count: int, bucket: Hashable) -> int:
        """Return the largest size that may be used for a batch of no more than ``count`` items, at least 1."""
        count = min(count, self.largest(bucket))
        if not self.is_rounded or count == self.largest(bucket):
            return count
        return 1 << (count.bit_length() - 1)
