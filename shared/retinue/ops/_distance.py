"""How far each pixel of a mask is from what is outside: in whole numbers, which are the same wherever a window begins.

OpenCV's root differs in its last bit with the address of the picture in memory, and a flood goes another way where two
distances are no longer equal.

Source:
    Meijster, Roerdink and Hesselink, "A general algorithm for computing distance transforms in linear time", 2000.
"""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel


@kernel("(u1[:,::1], f4[:,::1])")
def write_distances(mask: NDArray[np.uint8], distances: NDArray[np.float32]) -> None:
    """Write the Euclidean distance of each pixel to the nearest zero of the mask, centre to centre.

    Args:
        mask: (H, W), with at least one zero.
        distances: (H, W), written; pixels, rounded once from the root of a whole number.
    """
    height, width = mask.shape
    gaps = _gaps(mask)
    columns, begins = np.empty(width, np.int64), np.empty(width, np.int64)
    for y in range(height):
        x = 0
        while x < width:
            distances[y, x] = 0
            end = x
            while end < width and gaps[y, end] != 0:
                end += 1
            if end > x:
                # What lies beyond the zeros at both ends of a run is farther than they are.
                _write_run(gaps[y], max(x - 1, 0), min(end, width - 1), columns, begins, distances[y])
            x = max(end, x + 1)


@kernel()
def _gaps(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return how far each pixel is from the nearest zero of its column; more than any distance where it has none."""
    height, width = mask.shape
    gaps = np.empty((height, width), np.int32)
    for x in range(width):
        gaps[0, x] = 0 if mask[0, x] == 0 else height + width
    for y in range(1, height):
        for x in range(width):
            gaps[y, x] = 0 if mask[y, x] == 0 else gaps[y - 1, x] + 1
    for y in range(height - 2, -1, -1):
        for x in range(width):
            gaps[y, x] = min(gaps[y, x], gaps[y + 1, x] + 1)
    return gaps


@kernel()
def _squared(gaps: NDArray[np.int32], x: int, column: int) -> int:
    """Return the squared distance from a pixel of the row to the nearest zero of a column."""
    gap = int(gaps[column])
    return (x - column) * (x - column) + gap * gap


@kernel()
def _write_run(
    gaps: NDArray[np.int32],
    first: int,
    last: int,
    columns: NDArray[np.int64],
    begins: NDArray[np.int64],
    distances: NDArray[np.float32],
) -> None:
    """Write the distances of a part of a row, both ends included, to the zeros of the columns of that part.

    ``columns`` are those that are nearest somewhere, from left to right, and ``begins`` where each begins to be.
    """
    top = 0
    columns[0], begins[0] = first, first
    for x in range(first + 1, last + 1):
        while top >= 0 and _squared(gaps, begins[top], columns[top]) > _squared(gaps, begins[top], x):
            top -= 1
        if top < 0:
            top = 0
            columns[0] = x
            continue
        column = columns[top]
        # Left of here the one column is nearer or as near, right of here the other.
        difference = _squared(gaps, 0, x) - _squared(gaps, 0, column)
        begin = difference // (2 * (x - column)) + 1
        if begin <= last:
            top += 1
            columns[top], begins[top] = x, begin
    for x in range(last, first - 1, -1):
        distances[x] = np.sqrt(np.float64(_squared(gaps, x, columns[top])))
        if x == begins[top]:
            top -= 1
