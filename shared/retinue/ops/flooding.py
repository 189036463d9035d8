"""The watershed: a landscape flooded from marked places."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, finite_floats, native
from retinue.ops._flood import flood, mark_minima
from retinue.ops._labels import label_runs
from retinue.ops._runs import MOST_PIXELS, run_starts

_MOST_PIXELS = MOST_PIXELS // 2 - 2  # a place is kept beside a flag


def watershed(
    elevation: NDArray[Float], markers: ArrayLike, *, mask: ArrayLike | None = None, connectivity: Literal[4, 8] = 4
) -> NDArray[np.int32]:
    """Return to which marker each pixel belongs when a landscape is flooded from the markers, the lowest places first.

    Args:
        elevation: (H, W) float32 or float64; other real dtypes count as float64. Ridges part the basins.
        markers: (H, W) integers in [0, 2**31 - 1] or bool; 0 is no marker. A marker need not be connected.
        mask: (H, W) bool: where the flood may go; None means everywhere. Markers outside count for nothing.
        connectivity: 4 lets the flood pass sides, 8 also corners.

    Returns:
        (H, W) int32 labels of the markers; 0 outside the mask, and where no marker reaches.

    Raises:
        ValueError: an elevation is NaN, infinite or no real number, markers are no label map, mask is not bool, the
            shapes differ or exceed 2**30 - 3 pixels, or connectivity is neither 4 nor 8.

    Notes:
        Exact on the floats as given, and deterministic. A pixel's turn comes at its own height or at that of the flood
        which reaches it, whichever is higher; at equal heights first come, first served: markers in raster order, then
        neighbours by side before corners, each in raster order. So floods that enter a plateau share it.

    Source:
        The priority flood of `skimage.segmentation.watershed`, label for label; where several markers' pixels have the
        same height its heap takes them in an order of its own, ours is raster. `cv2.watershed` answers another
        question: it floods 8-bit colours and draws lines.

    >>> watershed(np.array([[1.0, 2.0, 9.0, 3.0, 1.0]]), np.array([[1, 0, 0, 0, 2]]))
    array([[1, 1, 1, 2, 2]], dtype=int32)
    """
    heights = native(finite_floats(elevation, "elevation"))
    markers_in, _ = label_runs(markers, "markers")
    if heights.shape != markers_in.shape:
        raise ValueError(f"elevation: must be (H, W) like markers, got {heights.shape} for markers {markers_in.shape}")
    inside = checked_mask(mask, heights.shape)
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity: must be 4 or 8, got {connectivity!r}")
    labels = markers_in.copy()
    bits, keys, lists = _rooms(heights)
    state = np.zeros((labels.shape[0] + 2) * (labels.shape[1] + 2), np.int32)
    flood(bits, inside.ravel().view(np.uint8), run_starts(inside), labels, state, keys, lists, connectivity == 8)
    return labels


def deep_minima(elevation: NDArray[Float], mask: NDArray[np.bool_], depth: float) -> NDArray[np.int32]:
    """Return a marker for each minimum of a landscape from which a flood rises so far before it meets a deeper one.

    Args:
        elevation: (H, W) finite float32 or float64 in C order.
        mask: (H, W) where the landscape is; its parts, joined by corners too, know nothing of each other.
        depth: in units of elevation, at least 0. The deepest place of each part is a minimum however shallow it is.

    Returns:
        (H, W) int32: one pixel per minimum, the first on its ground in raster order, numbered in raster order.

    Source:
        Dynamics of minima (Grimaud, 1992), which is the persistence of topology. Of two minima of the same height the
        first in raster order counts as the deeper.
    """
    markers = np.zeros(elevation.shape, np.int32)
    bits, keys, lists = _rooms(elevation)
    mark_minima(elevation, bits, native(mask).view(np.uint8), depth, markers, keys, lists)
    return markers


def checked_mask(mask: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of the shape in C order; everywhere for None.

    Raises:
        ValueError: it is not bool, the shape differs or has too many pixels.
    """
    if mask is None:
        inside = np.ones(shape, np.bool_)
    else:
        inside = np.asarray(mask)
        if inside.dtype != np.bool_:
            raise ValueError(f"mask: must be bool, got dtype {inside.dtype}")
        if inside.shape != shape:
            raise ValueError(f"mask: must be {shape} like the rest, got {inside.shape}")
    if inside.size > _MOST_PIXELS:
        raise ValueError(f"elevation: must have at most {_MOST_PIXELS} pixels, got {inside.size}")
    return native(inside)


def _rooms(heights: NDArray[np.floating[Any]]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int32]]:
    """Return the heights as bits, and room to sort them in: the system gives memory only for what is written."""
    bits = heights.ravel().view(np.uint32 if heights.dtype == np.float32 else np.uint64)
    return bits, np.empty((2, heights.size), bits.dtype), np.zeros((3, heights.size), np.int32)
