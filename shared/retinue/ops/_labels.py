"""What operations on label maps share: the check of the argument, and where the figures of an instance are kept."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native
from retinue.ops._kernel import kernel
from retinue.ops._runs import MOST_PIXELS, run_starts

_MOST_ID = 2**31 - 1
_FEW_IDS = 1024  # so many slots cost nothing
_PIXELS_PER_SLOT = 16  # slots for all ids up to the highest may take a small part of the picture's own memory


def label_runs(label_map: ArrayLike, name: str = "label_map") -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return a label map as int32 in C order, itself where it is so already, and where its runs start.

    Raises:
        ValueError: it is no bool or integers, not (H, W), above 2**31 - 1 pixels, or an id is not in [0, 2**31 - 1].
    """
    values: NDArray[Any] = np.asarray(label_map)
    if values.dtype.kind not in "biu":
        raise ValueError(f"{name}: must be integers, got dtype {values.dtype}")
    if values.ndim != 2:
        raise ValueError(f"{name}: must be (H, W), got {values.shape}")
    if values.size > MOST_PIXELS:
        raise ValueError(f"{name}: must have at most {MOST_PIXELS} pixels, got {values.size}")
    values = native(values)
    starts = run_starts(values)
    heads = values.ravel()[starts[:-1]]  # every value that occurs heads a run
    if heads.size and not 0 <= int(heads.min()) <= int(heads.max()) <= _MOST_ID:
        raise ValueError(f"{name}: ids must be in [0, {_MOST_ID}], got {heads.min()} to {heads.max()}")
    return values.astype(np.int32, copy=False), starts


def instance_slots(pixels: NDArray[np.int32], starts: NDArray[np.int32]) -> tuple[int, NDArray[np.int32]]:
    """Return how many slots hold the instances of a map in the order of their ids, and what `slot_of` finds them by.

    Ids that are few for the picture have the slot id - 1, which an empty array says, and some slots may stay without an
    instance. Others are listed in ascending order: memory then follows how many ids there are, not the highest of them.
    """
    heads = pixels.ravel()[starts[:-1]]
    highest = int(heads.max(initial=0))
    if highest <= max(_FEW_IDS, pixels.size // _PIXELS_PER_SLOT):
        return highest, np.empty(0, np.int32)
    ids = np.unique(heads)
    ids = ids[ids > 0]
    return len(ids), ids


def slot_ids(slot_count: int, ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the id that each slot stands for."""
    return ids.astype(np.int64) if ids.size else np.arange(1, slot_count + 1)


@kernel()
def slot_of(ids: NDArray[np.int32], label: int) -> int:
    """Return the slot of an id above 0 that is in the map."""
    if ids.size == 0:
        return label - 1
    low, high = 0, ids.size
    while low < high:
        middle = (low + high) // 2
        if ids[middle] < label:
            low = middle + 1
        else:
            high = middle
    return low
