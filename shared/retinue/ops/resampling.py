"""Scaling pictures to floats without rounding in between: what detectors learned from, and what maps come back by."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native, whole_number
from retinue.ops._kernel import kernel

_MOST_A_SIDE = 1 << 24  # up to here float32 counts in ones


def resize_bilinear(
    picture: NDArray[Any],
    height: int,
    width: int,
    *,
    rows: tuple[int, int] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return a picture scaled to another size, bilinear, from pixel centre to pixel centre, without antialiasing.

    Args:
        picture: (h, w, c) uint8 or float32, at least one pixel and one channel.
        height: of the result, 1 to 2^24.
        width: of the result, 1 to 2^24.
        rows: which rows of the result are wanted, the first and the one after the last; None for all. A large result
            can be made in parts by that, each as it would be in the whole.
        out: (at least the rows, at least width, c) float32, C-contiguous, aligned and writeable: the result is written
            into its upper left corner and the rest is left as it is. None: a new array.

    Returns:
        (rows, width, c) float32, in the range of the picture up to two roundings; a view of `out` where that is given.

    Raises:
        ValueError: an argument is of another shape or dtype, a size is out of range, or rows are not of the result.

    Notes:
        No float copy of the picture is made: memory is that of the result and of two of its rows. NaN and infinity
        spread to what they are blended into.

    Source:
        torch's `interpolate(mode="bilinear", align_corners=False)` of a float picture, operation for operation, which
        is how torchvision's detectors scale theirs.

    >>> resize_bilinear(np.array([[[0], [100]]], np.uint8), 1, 4)[..., 0]
    array([[  0.,  25.,  75., 100.]], dtype=float32)
    """
    source: NDArray[Any] = native(np.asarray(picture))
    if source.dtype not in (np.uint8, np.float32) or source.ndim != 3 or not source.size:
        raise ValueError(f"picture: must be (h, w, c) uint8 or float32, not empty, got {source.dtype} {source.shape}")
    full, columns = _side(height, "height"), _side(width, "width")
    first, last = (0, full) if rows is None else _band(rows, full)
    shape = (last - first, columns, source.shape[2])
    target = np.empty(shape, np.float32) if out is None else out
    if not isinstance(target, np.ndarray):
        raise ValueError(f"out: must be an array, got {type(target).__name__}")  # noqa: TRY004 - operations raise one kind
    fits = target.ndim == 3 and target.shape[2] == shape[2] and all(np.greater_equal(target.shape[:2], shape[:2]))
    if not fits or target.dtype != np.float32 or not target.flags.carray:  # C-contiguous, aligned and writeable
        raise ValueError(
            f"out: must be float32, C-contiguous, aligned, writeable and at least {shape}, "
            f"got {target.dtype} {target.shape}"
        )
    _resize(source, full, columns, first, last, target)
    return target[: shape[0], :columns]


def _side(length: int, name: str) -> int:
    side = whole_number(length, name, at_least=1)
    if side > _MOST_A_SIDE:
        raise ValueError(f"{name}: must be at most {_MOST_A_SIDE}, got {length!r}")
    return side


def _band(rows: object, full: int) -> tuple[int, int]:
    if not isinstance(rows, (tuple, list)) or len(rows) != 2:
        raise ValueError(f"rows: must be two numbers, got {rows!r}")
    first, last = (whole_number(row, "rows", at_least=0) for row in rows)
    if not first <= last <= full:
        raise ValueError(f"rows: must be within {(0, full)} and in order, got {(first, last)}")
    return first, last


@kernel("(u1[:,:,::1], i8, i8, i8, i8, f4[:,:,::1])", "(f4[:,:,::1], i8, i8, i8, i8, f4[:,:,::1])")
def _resize(
    source: NDArray[Any], height: int, width: int, first_row: int, end_row: int, target: NDArray[np.float32]
) -> None:
    """Blend along rows first, as torch does; of the rows so made only two are kept."""
    channels = source.shape[2]
    tops, bottoms, fractions = _taps(source.shape[0], height)
    lefts, rights, shares = _taps(source.shape[1], width)
    rows, held = np.empty((2, width * channels), np.float32), np.full(2, -1, np.int64)
    for y in range(first_row, end_row):
        upper, lower = tops[y], bottoms[y]
        for row in (upper, lower):
            slot = row & 1  # two rows that follow each other never share a slot
            if held[slot] != row:
                # Said as a number, three channels are unrolled: a third of the whole time.
                if channels == 3:
                    _blend_row(source[row].reshape(-1), lefts, rights, shares, 3, rows[slot])
                else:
                    _blend_row(source[row].reshape(-1), lefts, rights, shares, channels, rows[slot])
                held[slot] = row
        above, below = rows[upper & 1], rows[lower & 1]
        share = fractions[y]
        rest = np.float32(1) - share
        line = target[y - first_row].reshape(-1)
        for k in range(width * channels):
            line[k] = rest * above[k] + share * below[k]


@kernel()
def _taps(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return for each place of the result the two of the source that it lies between, and the share of the second."""
    first, second = np.empty(target, np.int64), np.empty(target, np.int64)
    share = np.empty(target, np.float32)
    zero, one = np.float32(0), np.float32(1)
    step = np.float64(np.float32(source) / np.float32(target))
    for k in range(target):
        # torch multiplies and subtracts in one step, rounding once: products of float32 are exact in float64.
        place: Any = max(np.float32(step * np.float64(np.float32(k) + np.float32(0.5)) - 0.5), zero)
        first[k] = min(int(place), source - 1)
        second[k] = min(first[k] + 1, source - 1)
        share[k] = min(max(place - np.float32(first[k]), zero), one)
    return first, second, share


@kernel()
def _blend_row(
    source: NDArray[Any],
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
    shares: NDArray[Any],
    channels: int,
    row: NDArray[np.float32],
) -> None:
    for x in range(len(lefts)):
        left, right, place = channels * lefts[x], channels * rights[x], channels * x
        share = shares[x]
        rest = np.float32(1) - share
        for c in range(channels):
            row[place + c] = rest * np.float32(source[left + c]) + share * np.float32(source[right + c])
