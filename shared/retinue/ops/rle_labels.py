"""Label maps as runs: classes of pixels, or instances."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native, whole_number
from retinue.ops._kernel import kernel
from retinue.ops._rle_scan import Places, Runs, flagged, in_column_order, shift_of, with_room
from retinue.ops.rle import Rle, canvas_sizes, trusted


def rle_encode_labels(
    label_map: NDArray[np.integer[Any]], *, background: int | None = 0
) -> tuple[NDArray[np.int64], list[Rle]]:
    """Return the labels of a map and the runs of each, found in one pass for all.

    Args:
        label_map: (H, W) integers or bool: classes, or instances.
        background: the label that is left out; None leaves out none.

    Returns:
        The labels that occur, ascending, (n,) int64, and as many masks, which do not overlap.

    Raises:
        ValueError: the map is of another shape or dtype, has 2**32 pixels or more, or labels that do not fit int64; or
            `background` is no whole number.

    >>> labels, rles = rle_encode_labels(np.array([[7, 7, 0], [7, 2, 2]]))
    >>> labels.tolist(), [rle.counts.tolist() for rle in rles]
    ([2, 7], [[3, 1, 1, 1], [0, 3, 3]])
    """
    array = np.asarray(label_map)
    if array.ndim != 2 or array.dtype.kind not in "biu":
        raise ValueError(f"label_map: must be (H, W) integers, got {array.shape} {array.dtype}")
    height, width = canvas_sizes(*array.shape)
    if array.size == 0:
        return np.empty(0, np.int64), []
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError("label_map: labels must fit int64")
    kept_as = next((kind for kind in (np.uint8, np.int32) if np.can_cast(array.dtype, kind)), np.int64)
    events, begun = _events(native(array.astype(kept_as, copy=False)))
    labels, places = np.unique(begun, return_inverse=True)
    runs, starts = _runs_of_labels(events, places, len(labels), height * width)
    rles = [trusted(height, width, runs[i:j].copy()) for i, j in pairwise(starts)]
    if background is not None and whole_number(background, "background", at_least=-(2**63)) in (
        known := labels.tolist()
    ):
        place = known.index(background)
        del rles[place]
        labels = np.delete(labels, place)
    return labels, rles


@kernel("(u1[:,::1],)", "(i4[:,::1],)", "(i8[:,::1],)")
def _events(labels: NDArray[np.signedinteger]) -> tuple[Places, NDArray[np.int64]]:
    """Return where another label begins, in column-major order from place 0, and which."""
    height, width = labels.shape
    shift = shift_of(width)
    flags = np.zeros((width + 63) // 64 * 64, np.uint8)
    places = np.empty(4 * width + 1, np.int64)
    used = 0
    for y in range(height):
        if y == 0:
            flags[0] = 1
            for x in range(1, width):
                flags[x] = labels[0, x] != labels[height - 1, x - 1]
        else:
            row, above = labels[y], labels[y - 1]
            for x in range(width):
                flags[x] = row[x] != above[x]
        places = with_room(places, used, width + 1)
        used = flagged(flags, y << shift, places, used)
    events = in_column_order(places, used, shift, width)[:used]
    begun = np.empty(used, np.int64)
    for i in range(used):
        y = events[i] >> shift
        x = events[i] - (y << shift)
        begun[i] = labels[y, x]
        events[i] = x * height + y
    return events, begun


@kernel("(i8[::1], i8[::1], i8, i8)")
def _runs_of_labels(events: Places, begun: NDArray[np.int64], count: int, total: int) -> tuple[Runs, Places]:
    """Return the runs of each label 0 … count - 1, one label after the other, and where each label's runs begin."""
    starts = np.zeros(count + 1, np.int64)
    for i in range(begun.size):
        starts[begun[i] + 1] += 2  # each stretch begins and ends, so that one label has twice as many runs, and a last
    starts[begun[-1] + 1] -= 1  # but the last stretch ends with the map
    for label in range(count):
        starts[label + 1] += starts[label] + 1
    runs = np.empty(starts[count], np.uint32)
    used = starts[:count].copy()
    before = np.zeros(count, np.int64)
    for i in range(begun.size):
        label = begun[i]
        runs[used[label]] = events[i] - before[label]
        before[label] = events[i]
        used[label] += 1
        if i + 1 < begun.size:
            runs[used[label]] = events[i + 1] - events[i]
            before[label] = events[i + 1]
            used[label] += 1
    for label in range(count):
        runs[used[label]] = total - before[label]
    return runs, starts
