"""Anchor shapes learned from the boxes of a data set."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, finite_floats, native, whole_number
from retinue.ops._kernel import kernel

_SMALLEST, _LARGEST = 1e-100, 1e100  # between these the area of any two sides is a normal float64
_BLOCK = 1024  # boxes whose best overlaps stay in the nearest cache while all anchors pass by


def kmeans_anchors(
    wh: NDArray[Float],
    k: int,
    *,
    seed: int = 0,
    update: Literal["mean", "median"] = "mean",
    max_iterations: int = 300,
) -> NDArray[Float]:
    """Return k widths and heights that boxes of a data set overlap best, by k-means under the distance 1 - IoU.

    Args:
        wh: (n, 2) widths and heights in any unit, each in [1e-100, 1e100], float32 or float64; other real dtypes count
            as float64. The IoU of two is taken with both at the same corner.
        k: how many anchors, 1 to the number of distinct boxes.
        seed: at least 0; the same boxes and seed give the same anchors.
        update: what an anchor becomes: the mean of width and height of the boxes nearest to it, or their median, which
            a few outliers do not move.
        max_iterations: how often the anchors are moved at most, at least 0; none gives k of the boxes.

    Returns:
        (k, 2) widths and heights in the unit and dtype of `wh`, by growing area, equal areas by width.

    Raises:
        ValueError: the shape is another, a side is out of range or not finite, k is above the number of distinct boxes,
            or another argument is out of range.

    Notes:
        The anchors do not depend on the order of the boxes. A mean is not what minimises 1 - IoU, so that a move can
        make the mean IoU worse: the best anchors seen are returned, which more iterations never make worse. Where
        sizes are skewed, as in most data sets, medians give a higher IoU. An anchor that is nearest to no box moves to
        the box that is worst served.

    Source:
        Redmon and Farhadi, CVPR 2017, arXiv:1612.08242, section 2 (the distance); Arthur and Vassilvitskii, SODA 2007
        (k-means++, the first anchors). The paper does not say how anchors start or move.

    >>> kmeans_anchors(np.array([[10.0, 20], [11, 20], [12, 20], [100, 50], [100, 52], [100, 54]]), 2)
    array([[ 11.,  20.],
           [100.,  52.]])
    """
    array = finite_floats(wh, "wh")
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"wh: must be (n, 2), got {array.shape}")
    smallest, largest = (float(array.min()), float(array.max())) if array.size else (1.0, 1.0)
    if not _SMALLEST <= smallest <= largest <= _LARGEST:
        raise ValueError(f"wh: must be in [{_SMALLEST:g}, {_LARGEST:g}], got {smallest:g} to {largest:g}")
    if update not in ("mean", "median"):
        raise ValueError(f"update: must be 'mean' or 'median', got {update!r}")
    rng = np.random.default_rng(whole_number(seed, "seed", at_least=0))
    moves = whole_number(max_iterations, "max_iterations", at_least=0)
    # In an order of their own, so that neither sums nor random draws depend on the order they came in.
    sides = array[np.lexsort((array[:, 1], array[:, 0]))].astype(np.float64)
    distinct = 1 + int((np.diff(sides, axis=0) != 0).any(axis=1).sum()) if len(sides) else 0
    k = whole_number(k, "k", at_least=1)
    if k > distinct:
        raise ValueError(f"k: must be at most the number of distinct boxes, {distinct}, got {k}")
    anchors = _best_anchors(native(sides.T), _first_anchors(sides, k, rng), moves, is_median=update == "median")
    order = np.lexsort((anchors[:, 0], anchors.prod(axis=1)))
    return anchors[order].astype(array.dtype)


def _first_anchors(sides: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return k of the boxes, each drawn with the square of its distance to those before."""
    columns = native(sides.T)
    anchors = np.empty((k, 2))
    overlap = np.zeros(len(sides))
    for place in range(k):
        chances = np.cumsum((1 - overlap) ** 2)
        drawn = int(np.searchsorted(chances, rng.random() * chances[-1], side="right"))
        # Boxes that differ by rounding only have no distance left to be drawn by: then the last of them is.
        anchors[place] = sides[min(drawn, len(sides) - 1)]
        _assign(columns, anchors[: place + 1], overlap, np.empty(len(sides), np.int64))
    return anchors


def _best_anchors(
    columns: NDArray[np.float64], anchors: NDArray[np.float64], moves: int, *, is_median: bool
) -> NDArray[np.float64]:
    """Return the anchors of the highest mean IoU that k-means passes until it stands still."""
    count = columns.shape[1]
    overlap, owner, owner_before = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    best, best_overlap = anchors, -1.0
    for move in range(moves + 1):
        _assign(columns, anchors, overlap, owner)
        if overlap.sum() > best_overlap:
            best, best_overlap = anchors, overlap.sum()
        if move == moves or (move and np.array_equal(owner, owner_before)):
            break
        anchors = _moved(columns, owner, overlap, len(anchors), is_median=is_median)
        owner, owner_before = owner_before, owner
    return best


def _moved(
    columns: NDArray[np.float64],
    owner: NDArray[np.int64],
    overlap: NDArray[np.float64],
    k: int,
    *,
    is_median: bool,
) -> NDArray[np.float64]:
    """Return where each anchor goes: amid its boxes, or to the boxes that are worst served if it has none."""
    counts = np.bincount(owner, minlength=k)
    anchors = np.empty((k, 2))
    if is_median:
        for place in np.flatnonzero(counts):
            anchors[place] = np.median(columns[:, owner == place], axis=1)
    else:
        for side, values in enumerate(columns):
            anchors[:, side] = np.bincount(owner, weights=values, minlength=k) / np.maximum(counts, 1)
    idle = np.flatnonzero(counts == 0)
    if len(idle):
        anchors[idle] = columns[:, np.argsort(overlap, kind="stable")[: len(idle)]].T
    return anchors


@kernel("(f8[:,::1], f8[:,::1], f8[::1], i8[::1])")
def _assign(
    columns: NDArray[np.float64],
    anchors: NDArray[np.float64],
    overlap: NDArray[np.float64],
    owner: NDArray[np.int64],
) -> None:
    """Write for each box the IoU with the anchor nearest to it, and which that is; of equals the first."""
    count = columns.shape[1]
    for begin in range(0, count, _BLOCK):
        end = min(begin + _BLOCK, count)
        for box in range(begin, end):
            overlap[box] = -1.0
        # Anchor by anchor over many boxes, without a branch: the inner loop is one for vector units.
        for place in range(len(anchors)):
            width, height = anchors[place, 0], anchors[place, 1]
            area = width * height
            for box in range(begin, end):
                shared = min(columns[0, box], width) * min(columns[1, box], height)
                iou = shared / (columns[0, box] * columns[1, box] + area - shared)
                is_nearer = iou > overlap[box]
                overlap[box] = iou if is_nearer else overlap[box]
                owner[box] = place if is_nearer else owner[box]
