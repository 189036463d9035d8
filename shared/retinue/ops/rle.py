"""Masks as runs: what a mask costs to keep, to send and to compare, without its pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import native, whole_number
from retinue.ops._rle_scan import (
    box_of_runs,
    decode_columns,
    decode_rows,
    encode_columns,
    encode_rows,
)

MOST_PIXELS = 2**32 - 1  # what a run of COCO's can count

Out = TypeVar("Out", np.uint8, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Rle:
    """A binary mask as COCO's runs: columns from left to right, each from top to bottom, zeros first.

    Args:
        height: of the mask in pixels, at least 0.
        width: of the mask in pixels, at least 0; a mask has at most 2**32 - 1 pixels.
        counts: lengths of the runs, of zeros and ones in turn, which sum to ``height * width``. Kept as (n,) uint32
            that cannot be written. Only the first may be 0: an empty run further in joins its neighbours, and an empty
            one at the end is dropped, so that each mask has one form.

    Raises:
        ValueError: a size or a run is no whole number or out of range, or the runs do not sum to the pixels.

    Notes:
        Equal where the masks are, and hashable. Mask and runs of no pixels are ``counts=[0]``.

    Source:
        Lin et al., COCO, and its mask API. There, runs that end early leave zeros; here they are an error.

    >>> Rle(2, 2, np.array([1, 2, 1]))
    Rle(height=2, width=2, counts=array([1, 2, 1], dtype=uint32))
    """

    height: int
    width: int
    counts: NDArray[np.uint32]

    def __post_init__(self) -> None:
        height, width = canvas_sizes(self.height, self.width)
        object.__setattr__(self, "height", height)
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "counts", _checked_counts(self.counts, height * width))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rle):
            return NotImplemented
        return (self.height, self.width) == (other.height, other.width) and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.height, self.width, self.counts.tobytes()))

    def __reduce__(self) -> tuple[type["Rle"], tuple[int, int, NDArray[np.uint32]]]:
        # What is unpickled is checked as any input, and cannot be written either.
        return Rle, (self.height, self.width, self.counts)


def rle_encode(mask: NDArray[Any]) -> Rle:
    """Return the runs of a mask.

    Args:
        mask: (H, W) bool or integers; what is not zero is set. A row-major mask costs no more than a column-major one.

    Returns:
        The mask, of the size of the array.

    Raises:
        ValueError: the mask is of another shape or dtype (scores want a threshold first), or has 2**32 pixels or more.

    >>> rle_encode(np.array([[0, 1], [0, 1], [0, 0]]))
    Rle(height=3, width=2, counts=array([3, 2, 1], dtype=uint32))
    """
    pixels = _pixels(mask)
    return _encoded(pixels, 0, 0, *canvas_sizes(*pixels.shape))


def rle_encode_batch(masks: Iterable[NDArray[Any]]) -> list[Rle]:
    """Return the runs of each mask: of (N, H, W), or of any iterable of masks, which may differ in size.

    Args:
        masks: what `rle_encode` takes, any number of them.

    Returns:
        As many masks.

    Raises:
        ValueError: as `rle_encode` does.

    >>> [rle.counts.tolist() for rle in rle_encode_batch(np.eye(2, dtype=bool)[:, None])]
    [[0, 1, 1], [1, 1]]
    """
    return [rle_encode(mask) for mask in masks]


def rle_encode_crop(mask: NDArray[Any], y: int, x: int, height: int, width: int) -> Rle:
    """Return the runs of a mask that lies somewhere in a larger one, which is zero elsewhere.

    Args:
        mask: (h, w) bool or integers; what is not zero is set.
        y: row of the larger mask that the first row of `mask` falls on, in pixels, from 0.
        x: the same of columns.
        height: of the larger mask in pixels; ``y + h`` at least.
        width: of the larger mask in pixels; ``x + w`` at least.

    Returns:
        The larger mask.

    Raises:
        ValueError: the mask is none, or does not lie within the larger one.

    Notes:
        Only the crop is looked at, so the size of the larger mask costs nothing.

    >>> rle_encode_crop(np.ones((1, 1), dtype=bool), 1, 1, 3000, 4000)
    Rle(height=3000, width=4000, counts=array([    3001,        1, 11996998], dtype=uint32))
    """
    pixels = _pixels(mask)
    height, width = canvas_sizes(height, width)
    top, left = whole_number(y, "y", at_least=0), whole_number(x, "x", at_least=0)
    rows, columns = pixels.shape
    if top + rows > height:
        raise ValueError(f"y: {rows} rows from {top} on must lie within a height of {height}")
    if left + columns > width:
        raise ValueError(f"x: {columns} columns from {left} on must lie within a width of {width}")
    return _encoded(pixels, top, left, height, width)


def rle_decode(rle: Rle, *, out: NDArray[Out] | None = None) -> NDArray[Any]:
    """Return the pixels of a mask.

    Args:
        rle: the mask.
        out: (H, W) bool or uint8 that can be written, of any layout, to fill with zeros and ones; None makes a new
            array.

    Returns:
        (H, W) bool by rows, or `out`.

    Raises:
        ValueError: `rle` is no `Rle`, or `out` is of another shape or dtype, or cannot be written.

    Notes:
        Takes a byte for each pixel that the mask claims to have: sizes from outside are to be bounded first.

    >>> rle_decode(Rle(2, 3, np.array([1, 3, 2]))).astype(int)
    array([[0, 1, 0],
           [1, 1, 0]])
    """
    checked(rle, "rle")
    if out is None:
        pixels = np.zeros((rle.height, rle.width), np.bool_)
        decode_rows(rle.counts, rle.height, pixels.view(np.uint8))
        return pixels
    if out.shape != (rle.height, rle.width) or out.dtype not in (np.bool_, np.uint8) or not out.flags.writeable:
        raise ValueError(
            f"out: must be a writeable ({rle.height}, {rle.width}) bool or uint8, got {out.shape} {out.dtype}"
        )
    if out.flags.c_contiguous:
        out.fill(0)
        decode_rows(rle.counts, rle.height, out.view(np.uint8))
    elif out.flags.f_contiguous:
        out.fill(0)
        decode_columns(rle.counts, out.T.reshape(-1).view(np.uint8))
    else:
        out[:] = rle_decode(rle)
    return out


def rle_area(rle: Rle) -> int:
    """Return how many pixels are set.

    Args:
        rle: the mask.

    Returns:
        Pixels, 0 to 2**32 - 1.

    Raises:
        ValueError: `rle` is no `Rle`.

    >>> rle_area(Rle(2, 3, np.array([1, 3, 2])))
    3
    """
    return int(checked(rle, "rle").counts[1::2].sum(dtype=np.int64))


def rle_bbox(rle: Rle) -> NDArray[np.float64]:
    """Return the box around the pixels set, as COCO has it.

    Args:
        rle: the mask.

    Returns:
        (4,) float64 ``x, y, width, height`` in pixels, exact: a single pixel has width and height 1. Zeros where no
        pixel is set.

    Raises:
        ValueError: `rle` is no `Rle`.

    >>> rle_bbox(Rle(3, 4, np.array([4, 1, 2, 1, 4])))
    array([1., 1., 2., 1.])
    """
    return np.array(box_of_runs(checked(rle, "rle").counts, rle.height), np.float64)


def checked(rle: Rle, name: str) -> Rle:
    """Return the mask.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(rle, Rle):
        raise ValueError(f"{name}: must be an Rle, got {type(rle).__name__}")  # noqa: TRY004, ops raise ValueError
    return rle


def trusted(height: int, width: int, counts: NDArray[np.uint32]) -> Rle:
    """Return a mask of runs that are known to be right; they are made unwriteable, not copied."""
    counts.flags.writeable = False
    rle = object.__new__(Rle)
    object.__setattr__(rle, "height", height)
    object.__setattr__(rle, "width", width)
    object.__setattr__(rle, "counts", counts)
    return rle


def canvas_sizes(height: int, width: int) -> tuple[int, int]:
    """Return the sizes of a mask.

    Raises:
        ValueError: one is no whole number or negative, or they make more pixels than COCO's runs can count.
    """
    sizes = whole_number(height, "height", at_least=0), whole_number(width, "width", at_least=0)
    if max(*sizes, sizes[0] * sizes[1]) > MOST_PIXELS:
        raise ValueError(f"height: by width must be at most {MOST_PIXELS} pixels, got {sizes[0]} by {sizes[1]}")
    return sizes


def _pixels(mask: NDArray[Any]) -> NDArray[Any]:
    """Return a mask as bytes: (H, W) uint8, in the layout it has."""
    array = np.asarray(mask)
    if array.ndim != 2 or array.dtype.kind not in "biu":
        raise ValueError(f"mask: must be (H, W) bool or integers, got {array.shape} {array.dtype}")
    return array.view(np.uint8) if array.dtype.itemsize == 1 else (array != 0).view(np.uint8)


def _encoded(pixels: NDArray[np.uint8], top: int, left: int, height: int, width: int) -> Rle:
    if pixels.size == 0:
        return trusted(height, width, np.array([height * width], np.uint32))
    if pixels.flags.f_contiguous and not pixels.flags.c_contiguous:
        return trusted(height, width, encode_columns(native(pixels.T), top, left, height, width))
    return trusted(height, width, encode_rows(native(pixels), top, left, height, width))


def _checked_counts(counts: NDArray[Any], total: int) -> NDArray[np.uint32]:
    """Return runs as a mask keeps them: a copy, in the one form of the mask, that cannot be written."""
    array = np.asarray(counts)
    if array.shape == (0,):
        array = array.astype(np.uint32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"counts: must be (n,) integers, got {array.shape} {array.dtype}")
    if array.size and (array.min() < 0 or array.max() > total):
        raise ValueError(f"counts: must be between 0 and the mask's {total} pixels, got {array.min()} to {array.max()}")
    runs = array.astype(np.uint32)
    if (claimed := int(runs.sum(dtype=np.uint64))) != total:
        raise ValueError(f"counts: must sum to the mask's {total} pixels, got {claimed}")
    if not (runs.size and runs[1:].all()):
        runs = _without_empty_runs(runs, total)
    runs.flags.writeable = False
    return runs


def _without_empty_runs(runs: NDArray[np.uint32], total: int) -> NDArray[np.uint32]:
    # A place where the pixels toggle twice, and so do not, is where an empty run was.
    toggles, times = np.unique(runs[:-1].cumsum(dtype=np.int64), return_counts=True)
    kept = toggles[(times % 2 == 1) & (toggles < total)]
    runs_left: NDArray[np.uint32] = np.diff(kept, prepend=0, append=total).astype(np.uint32)
    return runs_left
