"""Loops between arrays of pixels and their runs: only the pixels of a crop are looked at, a row at a time.

A toggle is the column-major place of a pixel that differs from the one before it; runs are what lies between toggles.
Pixels are compared a whole row at a time, which compiles to vector instructions; the few that toggle are then found
eight flags at a time.
"""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel

Bytes = NDArray[np.uint8]
Runs = NDArray[np.uint32]
Places = NDArray[np.int64]

_AT_ONCE = 64  # pixels, or flags of them, are looked through so many at a time
_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH_BITS = np.uint64(0x8080808080808080)


@kernel()
def runs_of_toggles(toggles: Places, count: int, total: int) -> Runs:
    """Return the runs between the first `count` toggles, which ascend; a toggle at the end ends nothing."""
    if count and toggles[count - 1] == total:
        count -= 1
    runs = np.empty(count + 1, np.uint32)
    before = 0
    for i in range(count):
        runs[i] = toggles[i] - before
        before = toggles[i]
    runs[count] = total - before
    return runs


@kernel()
def with_room(places: Places, used: int, needed: int) -> Places:
    """Return the places, or a longer copy of the used ones, so that `needed` more fit."""
    if used + needed <= places.size:
        return places
    longer = np.empty(2 * (used + needed), np.int64)
    longer[:used] = places[:used]
    return longer


@kernel()
def flagged(flags: Bytes, base: int, places: Places, used: int) -> int:
    """Append ``base + i`` for each flag i that is 1 and not 0, and write one more; return how many there are then."""
    words = flags.view(np.uint64)
    for first in range(0, words.size, 8):
        some = np.uint64(0)
        for k in range(first, first + 8):
            some |= words[k]
        if some:
            for k in range(first, first + 8):
                if words[k]:
                    for i in range(8 * k, 8 * k + 8):  # no branches: which is set cannot be foretold
                        places[used] = base + i
                        used += flags[i]
    return used


@kernel()
def in_column_order(places: Places, count: int, shift: int, columns: int) -> Places:
    """Return the first `count` of ``(y << shift) + x``, which ascend, with the columns ascending first.

    A counting sort: within a column the rows ascend already.
    """
    starts = np.zeros(columns + 1, np.int64)
    mask = (1 << shift) - 1
    for i in range(count):
        starts[(places[i] & mask) + 1] += 1
    for x in range(columns):
        starts[x + 1] += starts[x]
    ordered = np.empty(count + 1, np.int64)  # and room for a last toggle
    for i in range(count):
        x = places[i] & mask
        ordered[starts[x]] = places[i]
        starts[x] += 1
    return ordered


@kernel()
def shift_of(columns: int) -> int:
    """Return by how many bits a row is shifted to leave room for a column."""
    shift = 6
    while (1 << shift) < columns:
        shift += 1
    return shift


@kernel("(u1[:,::1], i8, i8, i8, i8)")
def encode_rows(crop: Bytes, top: int, left: int, height: int, width: int) -> Runs:
    """Return the runs of a canvas that is zero but for a crop, which is given by rows."""
    rows, columns = crop.shape
    shift = shift_of(columns)
    is_full = rows == height  # then a run goes on from the foot of a column to the head of the next
    flags = np.zeros((columns + _AT_ONCE - 1) // _AT_ONCE * _AT_ONCE, np.uint8)
    places = np.empty(4 * columns + 1, np.int64)
    used = 0
    for y in range(rows if is_full else rows + 1):
        if 0 < y < rows:
            row, above = crop[y], crop[y - 1]
            for x in range(columns):
                flags[x] = (row[x] != 0) ^ (above[x] != 0)
        else:  # the first row, or what lies below the last
            for x in range(columns):
                flags[x] = crop[y - y // rows, x] != 0
            for x in range(1, columns if is_full else 0):
                flags[x] ^= crop[rows - 1, x - 1] != 0
        places = with_room(places, used, columns + 1)
        used = flagged(flags, y << shift, places, used)
    toggles = in_column_order(places, used, shift, columns)
    for i in range(used):
        y = toggles[i] >> shift
        toggles[i] = (left + toggles[i] - (y << shift)) * height + top + y
    if is_full and crop[rows - 1, columns - 1]:
        toggles[used] = (left + columns) * height
        used += 1
    return runs_of_toggles(toggles, used, height * width)


@kernel("(u1[:,::1], i8, i8, i8, i8)")
def encode_columns(crop: Bytes, top: int, left: int, height: int, width: int) -> Runs:
    """Return the runs of a canvas that is zero but for a crop, which is given transposed: by columns."""
    if crop.shape[1] == height:  # then a run goes on from the foot of a column to the head of the next: all are one
        crop = crop.reshape(1, crop.size)
    columns, rows = crop.shape
    places = np.empty(1024, np.int64)
    used = 0
    for x in range(columns):
        column = crop[x]
        base = (left + x) * height + top
        words = column[: rows // _AT_ONCE * _AT_ONCE].view(np.uint64)
        is_set = False
        for first in range(0, words.size, 8):
            some, every = np.uint64(0), _HIGH_BITS
            for k in range(first, first + 8):
                bits = _set_bytes(words[k])
                some |= bits
                every &= bits
            if (every == _HIGH_BITS) if is_set else (some == 0):
                continue
            places = with_room(places, used, _AT_ONCE + 1)
            for k in range(first, first + 8):
                if _set_bytes(words[k]) != (_HIGH_BITS if is_set else np.uint64(0)):
                    used, is_set = _scanned(column, 8 * k, 8 * k + 8, base, is_set, places, used)
        places = with_room(places, used, _AT_ONCE + 2)
        used, is_set = _scanned(column, 8 * words.size, rows, base, is_set, places, used)
        if is_set:
            places[used] = base + rows
            used += 1
    return runs_of_toggles(places, used, height * width)


@kernel()
def _set_bytes(word: np.uint64) -> np.uint64:
    """Return the high bit of each byte that is other than zero."""
    return ((word & _LOW_BITS) + _LOW_BITS | word) & _HIGH_BITS


@kernel()
def _scanned(
    column: Bytes,
    begin: int,
    end: int,
    base: int,
    is_set: bool,
    places: Places,
    used: int,
) -> tuple[int, bool]:
    """Append the toggles among pixels [begin, end), and write one more; return how many there are, and the state."""
    for y in range(begin, end):  # no branches: where pixels toggle cannot be foretold
        places[used] = base + y
        used += (column[y] != 0) != is_set
        is_set = column[y] != 0
    return used, is_set


@kernel("(Array(u4, 1, 'C', readonly=True), i8, u1[:,::1])")
def decode_rows(runs: Runs, height: int, out: Bytes) -> None:
    """Set the pixels of the runs in a canvas of zeros, given by rows.

    Only places where a column changes are marked; each row is then the one above it, with the marks applied.
    """
    place = 0
    first, last, top, foot = out.shape[1], -1, height, -1
    for i in range(1, runs.size, 2):
        place += runs[i - 1]
        begin, end = place, place + runs[i] - 1  # inclusive
        place = end + 1
        x, until = begin // height, end // height
        y, below = begin - x * height, end - until * height + 1
        first, last = min(first, x), until
        out[y, x] ^= 1
        top = 0 if x < until else min(top, y)
        foot = height - 1 if x < until else max(foot, below - 1)
        for column in range(x + 1, until + 1):
            out[0, column] ^= 1
        if below < height:
            out[below, until] ^= 1
    for y in range(top + 1, min(foot + 2, height)):
        row, above = out[y, first : last + 1], out[y - 1, first : last + 1]
        for x in range(row.size):
            row[x] ^= above[x]


@kernel("(Array(u4, 1, 'C', readonly=True), u1[::1])")
def decode_columns(runs: Runs, out: Bytes) -> None:
    """Set the pixels of the runs in a canvas of zeros, given as one row of columns."""
    place = 0
    for i in range(1, runs.size, 2):
        place += runs[i - 1]
        out[place : place + runs[i]] = 1
        place += runs[i]


@kernel("(Array(u4, 1, 'C', readonly=True), i8)")
def box_of_runs(runs: Runs, height: int) -> tuple[int, int, int, int]:
    """Return x, y, width and height of the box around the pixels set; zeros where none is."""
    if runs.size < 2:
        return 0, 0, 0, 0
    place = 0
    first, last, top, foot = -1, 0, height, 0
    for i in range(1, runs.size, 2):
        place += runs[i - 1]
        begin, end = place, place + runs[i] - 1
        place = end + 1
        x, last = begin // height, end // height
        if first < 0:
            first = x
        if x < last:
            top, foot = 0, height - 1
        else:
            top, foot = min(top, begin - x * height), max(foot, end - x * height)
    return first, top, last - first + 1, foot - top + 1
