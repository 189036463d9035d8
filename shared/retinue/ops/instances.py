"""The instances of a label map: how large they are, where they lie, and which of them are kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import whole_number
from retinue.ops._kernel import kernel
from retinue.ops._labels import instance_slots, label_runs, slot_ids, slot_of
from retinue.ops._runs import joined_runs, root


@dataclass(frozen=True, slots=True)
class InstanceProperties:
    """What is known of each instance of a label map, one row per instance, in ascending order of their ids.

    Args:
        labels: (n,) int64 ids, from the map.
        areas: (n,) int64 pixels.
        centroids: (n, 2) float64 ``x, y``: the mean of the pixels' indices, so that a pixel's centre has whole
            coordinates, as in scikit-image, scipy and OpenCV (there in the order y, x). Add 0.5 for the frame of the
            boxes, in which pixel i covers i to i + 1.
        boxes: (n, 4) int64 ``x1, y1, x2, y2`` pixels, half-open: ``label_map[y1:y2, x1:x2]`` holds the instance.
    """

    labels: NDArray[np.int64]
    areas: NDArray[np.int64]
    centroids: NDArray[np.float64]
    boxes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def instance_properties(label_map: ArrayLike) -> InstanceProperties:
    """Return the id, area, centroid and box of every instance of a label map.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background.

    Returns:
        One row per id that occurs, in ascending order; no rows where there is none.

    Raises:
        ValueError: label_map is no such map.

    Notes:
        Memory follows the picture and the number of ids, not the highest id. An instance need not be connected. Sums
        are whole numbers, so that a centroid is off by no more than one rounding.

    >>> found = instance_properties(np.array([[0, 7, 7], [0, 0, 7], [2, 0, 0]]))
    >>> found.labels, found.areas
    (array([2, 7]), array([1, 3]))
    >>> found.boxes
    array([[0, 2, 1, 3],
           [1, 0, 3, 2]])
    """
    pixels, starts = label_runs(label_map)
    count, ids = instance_slots(pixels, starts)
    sums = np.zeros((count, 3), np.int64)
    boxes = np.empty((count, 4), np.int64)
    _measure(pixels, starts, ids, sums, boxes)
    labels = slot_ids(count, ids)
    is_there = sums[:, 0] > 0
    if not is_there.all():
        labels, sums, boxes = labels[is_there], sums[is_there], boxes[is_there]
    return InstanceProperties(labels, sums[:, 0].copy(), sums[:, 1:] / sums[:, :1], boxes)


def remove_small(label_map: ArrayLike, min_area: int) -> NDArray[np.int32]:
    """Return the label map without the instances that are smaller than an area.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background.
        min_area: pixels; instances of at least so many stay. At least 0.

    Returns:
        (H, W) int32, a copy; what stays keeps its id.

    Raises:
        ValueError: label_map is no such map, or min_area is negative or no whole number.

    Notes:
        An instance counts as a whole, connected or not; `connected_components` parts it first where that is wanted.

    Source:
        `skimage.morphology.remove_small_objects` on a label map, with its ``min_size``.

    >>> remove_small(np.array([[1, 0, 2], [1, 0, 0]]), 2)
    array([[1, 0, 0], [1, 0, 0]], dtype=int32)
    """
    pixels, starts = label_runs(label_map)
    min_area = whole_number(min_area, "min_area", at_least=0)
    count, ids = instance_slots(pixels, starts)
    areas = np.zeros(count, np.int64)
    _count(pixels, starts, ids, areas)
    kept = np.where(areas >= min_area, slot_ids(count, ids), 0).astype(np.int32)
    return replaced_ids(pixels, starts, ids, kept)


def fill_holes(label_map: ArrayLike) -> NDArray[np.int32]:
    """Return the label map with the holes of each instance given to it.

    A hole is background, joined by sides, that touches one single instance and not the picture's edge. What several
    instances enclose together stays background: between nuclei of a ring there is tissue.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background.

    Returns:
        (H, W) int32, a copy.

    Raises:
        ValueError: label_map is no such map.

    Source:
        `scipy.ndimage.binary_fill_holes` for a mask; the rule for several instances is ours.

    >>> fill_holes(np.array([[3, 3, 3, 4], [3, 0, 3, 0], [3, 3, 3, 4]]))
    array([[3, 3, 3, 4],
           [3, 3, 3, 0],
           [3, 3, 3, 4]], dtype=int32)
    """
    pixels, starts = label_runs(label_map)
    filled = pixels.copy()
    _fill((pixels == 0).view(np.uint8), starts, filled)
    return filled


def replaced_ids(
    pixels: NDArray[np.int32], starts: NDArray[np.int32], ids: NDArray[np.int32], new_ids: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return a label map in which each instance has the new id of its slot."""
    replaced = np.zeros(pixels.shape, np.int32)
    _replace(pixels, starts, ids, new_ids, replaced)
    return replaced


@kernel("(i4[:,::1], i4[::1], i4[::1], i8[:,::1], i8[:,::1])")
def _measure(
    pixels: NDArray[np.int32],
    starts: NDArray[np.int32],
    ids: NDArray[np.int32],
    sums: NDArray[np.int64],
    boxes: NDArray[np.int64],
) -> None:
    """Add up area, x and y of each instance, and write its box."""
    flat = pixels.ravel()
    width = pixels.shape[1]
    row, row_start = -1, -width
    for run in range(starts.size - 1):
        start = np.int64(starts[run])
        if start == row_start + width:
            row, row_start = row + 1, start
        label = flat[start]
        if label == 0:
            continue
        left, right = start - row_start, starts[run + 1] - row_start
        slot = slot_of(ids, label)
        if sums[slot, 0] == 0:
            boxes[slot, 0], boxes[slot, 1], boxes[slot, 2] = left, row, right
        boxes[slot, 0] = min(boxes[slot, 0], left)
        boxes[slot, 2] = max(boxes[slot, 2], right)
        boxes[slot, 3] = row + 1
        length = right - left
        sums[slot, 0] += length
        sums[slot, 1] += (left + right - 1) * length // 2
        sums[slot, 2] += row * length


@kernel("(i4[:,::1], i4[::1], i4[::1], i8[::1])")
def _count(
    pixels: NDArray[np.int32], starts: NDArray[np.int32], ids: NDArray[np.int32], areas: NDArray[np.int64]
) -> None:
    """Add up the area of each instance."""
    flat = pixels.ravel()
    for run in range(starts.size - 1):
        label = flat[starts[run]]
        if label != 0:
            areas[slot_of(ids, label)] += starts[run + 1] - starts[run]


@kernel("(i4[:,::1], i4[::1], i4[::1], i4[::1], i4[:,::1])")
def _replace(
    pixels: NDArray[np.int32],
    starts: NDArray[np.int32],
    ids: NDArray[np.int32],
    new_ids: NDArray[np.int32],
    replaced: NDArray[np.int32],
) -> None:
    """Write the new id of each instance into zeros."""
    flat, target = pixels.ravel(), replaced.ravel()
    for run in range(starts.size - 1):
        label = flat[starts[run]]
        if label != 0:
            new = new_ids[slot_of(ids, label)]
            if new != 0:
                for at in range(starts[run], starts[run + 1]):
                    target[at] = new


@kernel("(u1[:,::1], i4[::1], i4[:,::1])")
def _fill(  # noqa: C901, PLR0912 - one walk; calls from within it would cost more than they tell
    is_background: NDArray[np.uint8], starts: NDArray[np.int32], filled: NDArray[np.int32]
) -> None:
    """Find the only instance that each part of the background touches, if it is one, and write it there."""
    height, width = is_background.shape
    background, target = is_background.ravel(), filled.ravel()
    parents = joined_runs(background, starts, width, 0)
    owners = np.zeros(starts.size, np.int32)  # by root: 0 not known yet, -1 several, or the picture's edge
    for run in range(starts.size - 1):
        start, end = np.int64(starts[run]), np.int64(starts[run + 1])
        if not background[start]:
            continue
        part = root(parents, run)
        owner = owners[part]
        if owner < 0:
            continue
        row = start // width
        if row in (0, height - 1) or start == row * width or end == (row + 1) * width:
            owners[part] = -1
            continue
        if owner == 0:
            owner = target[start - 1]
        if owner != target[start - 1] or owner != target[end]:
            owner = -1
        for at in range(start, end):
            for beside in (target[at - width], target[at + width]):
                if beside not in (0, owner):
                    owner = -1
        owners[part] = owner
    for run in range(starts.size - 1):
        if background[starts[run]]:
            owner = owners[root(parents, run)]
            if owner > 0:
                for at in range(starts[run], starts[run + 1]):
                    target[at] = owner
