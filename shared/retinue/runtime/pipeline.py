"""What a service says about its work: how an item becomes a row, and a row's output an answer."""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Item_contra = TypeVar("Item_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Pipeline(Protocol[Item_contra, Answer_co]):
    """One model's work, step by step. Called from several workers at once, so it holds no state of an item."""

    @property
    def provider(self) -> str:
        """What runs the model: ``cpu``, ``openvino``, ``cuda`` or ``tensorrt``."""
        ...

    def bucket(self, item: Item_contra) -> Hashable:
        """Return the key of the items that may share a batch with this one; it must not decode anything."""
        ...

    def warm_up_buckets(self) -> Sequence[Hashable]:
        """Return the buckets to run once before the first caller, so that no caller pays for first-run work."""
        ...

    def allocate(self, bucket: Hashable, row_count: int) -> Any:
        """Return a buffer of ``row_count`` blank rows for a bucket; each worker keeps and reuses its own."""
        ...

    def decode(self, item: Item_contra) -> NDArray[np.uint8]:
        """Return the item's pixels, uint8 [height, width, 3], upright RGB. Raises InvalidInput for a bad item."""
        ...

    def prepare(self, pixels: NDArray[np.uint8], rows: Any, index: int) -> None:
        """Write the pixels into one row of the buffer."""
        ...

    def run(self, rows: Any, count: int) -> Any:
        """Return the model's raw outputs for the first rows of a buffer, as `finish` takes them."""
        ...

    def finish(self, items: Sequence[Item_contra], outputs: Any) -> Sequence[Answer_co]:
        """Return one answer per item, in order, each with the item's own options.

        It sees the whole batch, so that array operations are paid for once and not once per item.
        """
        ...


@runtime_checkable
class RowPixels(Protocol):
    """What a pipeline says beside, if its buckets differ in size: batches are then bounded in pixels as well."""

    def row_pixels(self, bucket: Hashable) -> int:
        """Return how many pixels one row of a bucket's buffer has, at least 1."""
        ...


class Observer(Protocol):
    """Who is told what the engine does; called by workers, so it is quick, safe for threads and never raises."""

    def on_batch(self, batch_size: int, infer_s: float) -> None:
        """One run of the model ended."""
        ...

    def on_answer(self, timings: Any) -> None:
        """One item was answered; ``timings`` is a `retinue.runtime.timings.Timings`."""
        ...

    def on_failure(self) -> None:
        """One item failed."""
        ...

    def on_drop(self, reason: str) -> None:
        """One item was refused (``queue_full``) or dropped (``cancelled`` or ``deadline``), and so not answered."""
        ...
