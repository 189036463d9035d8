"""Polygons into masks as COCO does it, and masks into polygons without loss."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native
from retinue.ops._rle_polygons import outlines_of_runs, runs_of_polygon
from retinue.ops.rle import Rle, canvas_sizes, checked, trusted
from retinue.ops.rle_algebra import rle_merge

Holes = Literal["fill", "bridge", "rings"]


def rle_from_polygons(polygons: Iterable[ArrayLike], height: int, width: int) -> Rle:
    """Return the mask of the pixels that any of the polygons covers, exactly as COCO rasterises them.

    Args:
        polygons: each (n, 2) float ``x, y`` in pixels, or flat ``x1, y1, x2, y2, …`` as in COCO's JSON, of at least 3
            points; closed by itself. The corner of the image is 0, 0; the centre of its first pixel is 0.5, 0.5. Points
            may lie outside the image, up to 2**32 away.
        height: of the mask in pixels.
        width: of the mask in pixels.

    Returns:
        Their union.

    Raises:
        ValueError: a polygon is of another shape, has fewer points, or one that is not finite or too far away; or a
            size is out of range.

    Notes:
        A polygon that crosses itself covers what is inside an odd number of times; several cover what any of them does.
        No polygon gives an empty mask. Time is bounded by the points times the columns of the image that they span,
        memory by the result and some 64 MiB.

    Source:
        COCO's mask API, ``rleFrPoly`` and ``rleMerge``, with all of its roundings. There, points beyond 2**31 / 5
        overflow; here they are drawn.

    >>> rle_from_polygons([[1, 1, 3, 1, 3, 2, 1, 2]], 3, 4).counts
    array([4, 1, 2, 1, 4], dtype=uint32)
    """
    height, width = canvas_sizes(height, width)
    rles = [_drawn(polygon, f"polygons[{i}]", height, width) for i, polygon in enumerate(polygons)]
    if not rles:
        return trusted(height, width, np.array([height * width], np.uint32))
    return rles[0] if len(rles) == 1 else rle_merge(rles)


def polygons_from_rle(rle: Rle, *, holes: Holes = "fill") -> list[NDArray[np.float64]]:
    """Return the outlines of a mask along the edges of its pixels.

    Args:
        rle: the mask.
        holes: what becomes of holes. ``"fill"`` leaves them out: the polygons cover them too. ``"bridge"`` walks down
            to each hole, around it and back on the same line, so that a single polygon without holes covers just the
            pixels set. ``"rings"`` gives each hole a polygon of its own, which runs the other way around.

    Returns:
        A list of (n, 2) float64 ``x, y`` in pixels with whole numbers, n >= 4, by their first column and then row. The
        first point is the upper left one; they run clockwise as seen on a screen, holes of ``"rings"`` against it.

    Raises:
        ValueError: `rle` is no `Rle`, or `holes` none of these.

    Notes:
        `rle_from_polygons` gives exactly the mask again: with ``"bridge"`` always, with ``"fill"`` where there are no
        holes. Pixels that touch at a corner only are not joined: they make two polygons, and what they enclose together
        with others is no hole but open at that corner. The cost goes with the runs, never with the sizes.

    Source:
        Ours. ``cv2.findContours`` walks through the centres of pixels, and loses half a pixel on every side.

    >>> square = Rle(4, 4, np.array([5, 2, 2, 2, 5]))
    >>> polygons_from_rle(square)
    [array([[1., 1.],
           [3., 1.],
           [3., 3.],
           [1., 3.]])]
    >>> rle_from_polygons(polygons_from_rle(square), 4, 4) == square
    True
    """
    modes = get_args(Holes)
    if holes not in modes:
        raise ValueError(f"holes: must be one of {', '.join(modes)}, got {holes!r}")
    corners, starts = outlines_of_runs(checked(rle, "rle").counts, rle.height, modes.index(holes))
    return [corners[begin:end].copy() for begin, end in pairwise(starts)]


def _drawn(polygon: ArrayLike, name: str, height: int, width: int) -> Rle:
    try:
        points = np.asarray(polygon)
    except ValueError as error:
        raise ValueError(f"{name}: must be numbers, as many x as y") from error
    if points.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must be real numbers, got dtype {points.dtype}")
    shape = points.shape
    if points.ndim == 1 and points.size % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ValueError(f"{name}: must be (n, 2) or flat, with at least 3 points, got {shape}")
    runs = runs_of_polygon(native(points.astype(np.float64, copy=False)), height, width)
    if not runs.size:
        raise ValueError(f"{name}: must be finite and within 2**32 of the corner of the image")
    return trusted(height, width, runs)
