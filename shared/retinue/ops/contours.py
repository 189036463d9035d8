"""The outlines of the instances of a label map."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops.label_maps import label_map_to_instances


def instance_contours(label_map: ArrayLike, *, is_simplified: bool = True) -> list[list[NDArray[np.int32]]]:
    """Return the outer contours of every instance, in ascending order of ids.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background.
        is_simplified: leave out points on a straight line between two others, at multiples of 45 degrees.

    Returns:
        For each instance, as in the rows of `instance_properties`, one contour for each of its parts that do not even
        touch by corners; parts in raster order of their first pixel. A contour is (n, 2) int32 points ``x, y`` in
        pixels of the picture: the *centres* of the outermost pixels, in turn, so that it runs half a pixel inside the
        instance's edge. A single pixel has a contour of one point, a line of pixels may have two: nothing vanishes.

    Raises:
        ValueError: label_map is no such map.

    Notes:
        Holes have no contours. Drop what has fewer than three points if you need polygons with an area.

    Source:
        Suzuki and Abe, 1985, as in `cv2.findContours` with ``RETR_EXTERNAL``. HoVer-Net's post-processing drops an
        instance whose contour has fewer than three points, although it stays in the map; here it is kept.

    >>> instance_contours(np.array([[5, 5, 5, 0], [5, 5, 5, 2]]))
    [[array([[3, 1]], dtype=int32)], [array([[0, 0], [0, 1], [2, 1], [2, 0]], dtype=int32)]]
    """
    method = cv2.CHAIN_APPROX_SIMPLE if is_simplified else cv2.CHAIN_APPROX_NONE
    outlines = []
    for _, (y, x, mask) in label_map_to_instances(label_map):
        found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, method, offset=(x, y))
        parts = [np.asarray(points, dtype=np.int32).reshape(-1, 2) for points in found]
        # OpenCV promises no order. A contour begins at its part's first pixel.
        outlines.append(sorted(parts, key=_first_pixel) if len(parts) > 1 else parts)
    return outlines


def _first_pixel(points: NDArray[np.int32]) -> tuple[int, int]:
    return int(points[0, 1]), int(points[0, 0])
