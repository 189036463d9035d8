"""Which cells of a map a box's bilinear samples touch along one axis, and with what weight.

The mean of a bin's samples is a product of both axes, so each axis is worked out by itself: for each bin a list of
cells and weights, the taps. Samples that share a cell are merged, and those beyond the map are passed over at once, so
that the lists are never longer than the axis, however large the box.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float
from retinue.ops._kernel import kernel

TAPS_AT_A_TIME = 4
"""A list is filled up to a multiple of these, with weights of 0 on its last cell."""

Taps: TypeAlias = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]
"""Cells (bins, room), weights (bins, room), and how many of both each bin has."""

_FAR = 2.0**22  # cells; from here on float32 cannot tell the samples of one cell apart
_SLACK = 8.0  # samples by which a range worked out in float64 may miss what float32 says, for boxes that are not far


@kernel()
def room_for_taps(bin_count: int, size: int, like: NDArray[Any]) -> Taps:
    """Return room for the taps of bins along an axis of so many cells."""
    most = size + 2 + TAPS_AT_A_TIME
    shape = (bin_count, most)
    return np.empty(shape, np.int64), np.empty(shape, like.dtype), np.empty(bin_count, np.int64)


@kernel()
def find_box_taps(
    box: NDArray[Any],
    scale: Any,
    is_aligned: bool,
    ratio: int,
    sizes: tuple[int, int],
    along_y: Taps,
    along_x: Taps,
) -> None:
    """Find the taps of a box along both axes. Every step is taken in the dtype of the box, as the peers do."""
    real = box.dtype.type
    shift = real(0.5) if is_aligned else real(0)
    left, top = box[0] * scale - shift, box[1] * scale - shift
    width, height = box[2] * scale - shift - left, box[3] * scale - shift - top
    if not is_aligned:
        width, height = max(width, real(1)), max(height, real(1))
    _find_taps(top, height, ratio, sizes[0], real, along_y)
    _find_taps(left, width, ratio, sizes[1], real, along_x)


@kernel()
def number_cells(taps: Taps, seen: NDArray[np.int64], cells: NDArray[np.int64]) -> int:
    """Name the cells of taps by the order they appear in, list them in `cells`, and return how many there are.

    `seen` has an entry of -1 for each cell of the axis, and has so again afterwards.
    """
    used, _, counts = taps
    found = 0
    for place in range(len(counts)):
        for i in range(counts[place]):
            cell = used[place, i]
            if seen[cell] < 0:
                seen[cell] = found
                cells[found] = cell
                found += 1
            used[place, i] = seen[cell]
    for i in range(found):
        seen[cells[i]] = -1
    return found


@kernel()
def _find_taps(start: Float, extent: Float, ratio: int, size: int, real: type[Float], taps: Taps) -> None:
    cells, weights, counts = taps
    counts[:] = 0
    if not (np.isfinite(start) and np.isfinite(extent)):  # the scale took it beyond the dtype's range
        return
    step = extent / real(len(counts))
    grid = real(ratio) if ratio > 0 else np.ceil(step)
    if grid <= 0:
        return
    is_far = abs(float(start)) + abs(float(extent)) > _FAR
    for place in range(len(counts)):
        base = start + real(place) * step
        first, samples = 0.0, ratio
        if ratio <= 0:
            first, samples = _samples_near(float(base), float(step) / float(grid), float(grid), size)
        count = 0
        for i in range(samples):
            if is_far:
                y = real(float(start) + place * float(step) + (first + i + 0.5) * float(step) / float(grid))
            else:
                y = base + (real(first + i) + real(0.5)) * step / grid
            if not (real(-1) <= y <= real(size)):
                continue
            y = max(y, real(0))
            low = min(int(y), size - 1)
            if low == size - 1:
                count = _add_tap(cells[place], weights[place], count, low, real(1) / grid)
            else:
                share = y - real(low)
                count = _add_tap(cells[place], weights[place], count, low, (real(1) - share) / grid)
                count = _add_tap(cells[place], weights[place], count, low + 1, share / grid)
        while count % TAPS_AT_A_TIME:
            cells[place, count] = cells[place, count - 1]
            weights[place, count] = real(0)
            count += 1
        counts[place] = count


@kernel()
def _samples_near(base: float, step: float, grid: float, size: int) -> tuple[float, int]:
    """Return the first sample of a bin that may lie on the axis, and how many may from there.

    Samples are more than half a cell apart, unless there is only one: there are but a few for each cell.
    """
    first = max(0.0, np.floor((-1 - base) / step) - _SLACK)
    last = min(grid - 1, np.ceil((size - base) / step) + _SLACK)
    return first, int(max(last - first + 1, 0.0))


@kernel()
def _add_tap(cells: NDArray[np.int64], weights: NDArray[Any], count: int, cell: int, weight: Any) -> int:
    """Add a weight to a cell and return how many there are.

    Samples run in one direction, so that a cell which is there already is one of the last three.
    """
    for i in range(count - 1, max(count - 4, -1), -1):
        if cells[i] == cell:
            weights[i] += weight
            return count
    cells[count], weights[count] = cell, weight
    return count + 1
