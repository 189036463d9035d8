"""Scaling pictures of bytes to floats, without rounding in between: what detectors were trained on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native, whole_number
from retinue.ops._kernel import kernel


def resize_bilinear(
    picture: NDArray[np.uint8], height: int, width: int, *, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return a picture scaled to another size, bilinear, from pixel centre to pixel centre, without antialiasing.

    Args:
        picture: (h, w, c) uint8, at least one pixel and one channel.
        height: of the result, at least 1.
        width: of the result, at least 1.
        out: (at least height, at least width, c) float32, C-contiguous, aligned and writeable: the result is written
            into its upper left corner and the rest is left as it is. None: a new array.

    Returns:
        (height, width, c) float32, 0 to 255 up to two roundings, a view of `out` where that is given.

    Raises:
        ValueError: an argument is of another shape or dtype, or a size is below 1.

    Notes:
        No float copy of the picture is made: memory is that of the result and of two of its rows.

    Source:
        torch's `interpolate(mode="bilinear", align_corners=False)` of a float picture, operation for operation, which
        is how torchvision's detectors scale theirs.

    >>> resize_bilinear(np.array([[[0], [100]]], np.uint8), 1, 4)[..., 0]
    array([[  0.,  25.,  75., 100.]], dtype=float32)
    """
    source: NDArray[np.uint8] = native(np.asarray(picture))
    if source.dtype != np.uint8 or source.ndim != 3 or not source.size:
        raise ValueError(f"picture: must be (h, w, c) uint8 and not empty, got {source.dtype} {source.shape}")
    rows, columns = whole_number(height, "height", at_least=1), whole_number(width, "width", at_least=1)
    channels = source.shape[2]
    target = np.empty((rows, columns, channels), np.float32) if out is None else out
    if not isinstance(target, np.ndarray):
        raise ValueError(f"out: must be an array, got {type(target).__name__}")  # noqa: TRY004 - operations raise one kind
    fits = target.ndim == 3 and target.shape[0] >= rows and target.shape[1] >= columns and target.shape[2] == channels
    if not fits or target.dtype != np.float32 or not target.flags.carray:  # C-contiguous, aligned and writeable
        raise ValueError(
            f"out: must be float32, C-contiguous, aligned, writeable and at least {(rows, columns, channels)}, "
            f"got {target.dtype} {target.shape}"
        )
    _resize(source, rows, columns, target)
    return target[:rows, :columns]


@kernel("(u1[:,:,::1], i8, i8, f4[:,:,::1])")
def _resize(source: NDArray[np.uint8], height: int, width: int, target: NDArray[np.float32]) -> None:
    """Blend along rows first, as torch does; of the rows so made only two are kept."""
    channels = source.shape[2]
    tops, bottoms, fractions = _taps(source.shape[0], height)
    lefts, rights, shares = _taps(source.shape[1], width)
    rows, held = np.empty((2, width * channels), np.float32), np.full(2, -1, np.int64)
    for y in range(height):
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
        line = target[y].reshape(-1)
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
    source: NDArray[np.uint8],
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
