"""Runs: a picture cut where a value differs from the one to its left, which is how kernels here walk over pictures.

A picture of instances has some hundred times fewer runs than pixels. Finding them is a comparison of neighbours, which
numpy does by vector instructions, and a walk over the bits that are set.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel

MOST_PIXELS = 2**31 - 1  # so that a place in a picture, and a count of its parts, fit int32


def run_starts(values: NDArray[Any]) -> NDArray[np.int32]:
    """Return where the runs of equal values begin in reading order, and the number of pixels after the last.

    Args:
        values: (H, W) in C order, at most `MOST_PIXELS`; each row begins a run.
    """
    size = values.size
    if size == 0:
        return np.zeros(1, np.int32)
    is_start = np.zeros((size + 63) // 64 * 64, np.bool_)
    flat = values.ravel()
    np.not_equal(flat[1:], flat[:-1], out=is_start[1:size])
    is_start[: size : values.shape[1]] = True
    words = np.packbits(is_start, bitorder="little").view("<u8").astype(np.uint64, copy=False)
    starts = np.empty(int(np.bitwise_count(words).sum()) + 1, np.int32)
    starts[-1] = size
    _write_places(words, _BIT_PLACES, starts)
    return starts


_MAGIC = 0x03F79D71B4CB0A89  # a De Bruijn sequence: each shift of it begins with six other bits
_BIT_PLACES = np.argsort([(_MAGIC << place & 2**64 - 1) >> 58 for place in range(64)]).astype(np.int32)


@kernel("(u8[::1], i4[::1], i4[::1])")
def _write_places(words: NDArray[np.uint64], bit_places: NDArray[np.int32], places: NDArray[np.int32]) -> None:
    """Write the places of all set bits, the lowest first."""
    count = 0
    for at in range(words.size):
        word = words[at]
        while word != 0:
            lowest = word & (~word + np.uint64(1))
            places[count] = at * 64 + bit_places[(lowest * np.uint64(_MAGIC)) >> np.uint64(58)]
            count += 1
            word ^= lowest


@kernel()
def root(parents: NDArray[np.int32], node: int) -> int:
    """Return the first member of the set that a node is in, and shorten the way there for those who follow."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@kernel()
def joined_runs(pixels: NDArray[Any], starts: NDArray[np.int32], width: int, reach: int) -> NDArray[np.int32]:
    """Return the sets of runs that touch and have the same value other than 0: for each run an earlier one, or itself.

    Args:
        pixels: (H * W,) values.
        starts: where their runs start, see `run_starts`.
        width: of a row.
        reach: 0 joins by sides, 1 by corners too.

    Returns:
        (runs + 1,) a forest. The first run of a set is its root, so that roots come in raster order.
    """
    parents = np.empty(starts.size, np.int32)
    above = begin = 0  # the row above has the runs from the one to the other
    row_end = 0
    for run in range(starts.size - 1):
        start, end = starts[run], starts[run + 1]
        if start == row_end:
            above, begin = begin, run
            row_end += width
        parents[run] = run
        if pixels[start] == 0:
            continue
        # What ends above before this run begins cannot meet a later one of this row either.
        while above < begin and starts[above + 1] + width + reach <= start:
            above += 1
        own = run
        other = above
        while other < begin and starts[other] + width < end + reach:
            if pixels[starts[other]] == pixels[start]:
                met = root(parents, other)
                if met < own:
                    parents[own] = met
                    own = met
                else:
                    parents[met] = own
            other += 1
    return parents
