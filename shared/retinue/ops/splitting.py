"""From the maps of a segmentation model to single instances: what touches is taken apart."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import finite_floats, native, number, whole_number
from retinue.ops._distance import write_distances
from retinue.ops.components import connected_components
from retinue.ops.flooding import deep_minima, watershed
from retinue.ops.instances import fill_holes, remove_small
from retinue.ops.label_maps import relabel_sequential

_GUIDE_THRESHOLDS = {"boundary": 0.5, "distance": 1.0, "hover": 0.4}
_SOBEL_SIZE = 21
_OPENING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


def split_instances(
    interior: NDArray[Any],
    guide: NDArray[Any] | None = None,
    *,
    method: Literal["boundary", "distance", "hover"],
    threshold: float = 0.5,
    guide_threshold: float | None = None,
    min_marker_area: int = 10,
    min_area: int = 10,
) -> NDArray[np.int32]:
    """Return a label map of instances, found in the maps that a segmentation model gives.

    Foreground is where the interior reaches its threshold, less components below ``min_area``. Markers are found in it
    as the method says, and a watershed gives the foreground to them. A component without a marker is dropped.

    - ``"boundary"``: the guide is the probability of a boundary. Markers are the components of foreground where it
      stays below ``guide_threshold`` (default 0.5), holes filled, of at least ``min_marker_area``. The flood rises
      over the guide.
    - ``"distance"``: the guide is the distance to the background or any map that peaks inside each instance; None
      measures the foreground's own Euclidean distance, in pixels. Markers are the peaks that rise by at least
      ``guide_threshold`` (default 1.0, in units of the guide) above the saddle to a higher peak, and the highest of
      each component; ``min_marker_area`` does not apply. The flood comes down from the peaks.
    - ``"hover"``: the guide is HoVer-Net's pair of maps (2, H, W), horizontal and vertical distance to the centre.
      Boundaries are where one of them drops steeply: 21 x 21 Sobel responses, stretched over the picture to [0, 1], of
      at least ``guide_threshold`` (default 0.4).

    Args:
        interior: (H, W) float probabilities in [0, 1]; for a model that has boundary as a class of its own, the sum of
            interior and boundary.
        guide: as the method says, (H, W) or (2, H, W).
        method: see above.
        threshold: pixels of at least so much interior are foreground. In [0, 1].
        guide_threshold: see above; at least 0.
        min_marker_area: pixels, at least 0.
        min_area: pixels, at least 0; of a component of the foreground, and of an instance (but "hover", see there).

    Returns:
        (H, W) int32 with ids 1 to n, in raster order of the markers. For "boundary" and "distance", holes that one
        single instance encloses are its own.

    Raises:
        ValueError: a map is NaN, infinite or no real numbers, the shapes do not fit, the guide is missing, or an option
            is out of its range.

    Notes:
        Deterministic. "boundary" and "distance" look only at a component's own pixels, so that a tile says the same as
        the picture wherever it shows a component whole. "hover" stretches its responses over all it is given and so
        depends on the tile. A constant map has no boundary to stretch: as with HoVer-Net, all is boundary then, and no
        instance is found.

    Source:
        "hover": Graham et al., Medical Image Analysis 2019, arXiv:1812.06499, post-processing of the published code,
        step by step; ids are renumbered without gaps. The other two: Meyer and Beucher, 1990; peaks by their dynamics.

    >>> interior = np.array([[0.9, 0.9, 0.9, 0.9, 0.9]])
    >>> boundary = np.array([[0.0, 0.1, 0.8, 0.1, 0.0]])
    >>> split_instances(interior, boundary, method="boundary", min_marker_area=1, min_area=1)
    array([[1, 1, 1, 2, 2]], dtype=int32)
    """
    if method not in _GUIDE_THRESHOLDS:
        raise ValueError(f"method: must be one of {sorted(_GUIDE_THRESHOLDS)}, got {method!r}")
    inside, guide = _checked_maps(interior, guide, method)
    threshold = number(threshold, "threshold", at_least=0, at_most=1)
    if guide_threshold is None:
        guide_threshold = _GUIDE_THRESHOLDS[method]
    guide_threshold = number(guide_threshold, "guide_threshold", at_least=0)
    min_marker_area = whole_number(min_marker_area, "min_marker_area", at_least=0)
    min_area = whole_number(min_area, "min_area", at_least=0)
    if inside.size == 0:
        return np.zeros(inside.shape, np.int32)
    foreground = _components(inside >= threshold, min_area) > 0
    elevation: NDArray[Any]
    if method == "hover":
        elevation, sure = _hover(foreground, guide, guide_threshold)
        return relabel_sequential(watershed(elevation, _components(sure, min_marker_area), mask=foreground))[0]
    if method == "boundary":
        elevation = guide
        sure = fill_holes(foreground & (guide < guide_threshold)) > 0
        markers = _components(sure, min_marker_area)
    else:
        elevation = -guide if guide is not None else -_distance(foreground)
        markers = deep_minima(elevation, foreground, guide_threshold)
    labels = fill_holes(watershed(elevation, markers, mask=foreground))
    return relabel_sequential(remove_small(labels, min_area))[0]


def _checked_maps(interior: NDArray[Any], guide: NDArray[Any] | None, method: str) -> tuple[NDArray[Any], Any]:
    """Return both maps as floats in C order, if their shapes are what the method asks for."""
    inside = native(finite_floats(interior, "interior"))
    if inside.ndim != 2:
        raise ValueError(f"interior: must be (H, W), got {inside.shape}")
    if guide is None:
        if method != "distance":
            raise ValueError(f"guide: must be given for method {method!r}")
        return inside, None
    shape = (2, *inside.shape) if method == "hover" else inside.shape
    maps = native(finite_floats(guide, "guide"))
    if maps.shape != shape:
        raise ValueError(f"guide: must be {shape} for method {method!r} and interior {inside.shape}, got {maps.shape}")
    return inside, maps


def _components(mask: NDArray[np.bool_], min_area: int) -> NDArray[np.int32]:
    return remove_small(connected_components(mask, connectivity=4)[0], min_area)


def _distance(foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how far each pixel is from the nearest background, centre to centre; 0 where there is none at all."""
    distances = np.zeros(foreground.shape, np.float32)
    if not foreground.all():
        write_distances(foreground.view(np.uint8), distances)
    return distances


def _hover(
    foreground: NDArray[np.bool_], maps: NDArray[Any], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return HoVer-Net's elevation, and the pixels that its markers are made of."""
    responses = []
    for axis, values in enumerate(maps):
        gradient = cv2.Sobel(_stretched(values.astype(np.float32)), cv2.CV_64F, 1 - axis, axis, ksize=_SOBEL_SIZE)
        responses.append(1 - _stretched(gradient))
    # Where a map falls steeply its gradient is lowest, and the response highest. Nothing is left of it outside.
    edges = np.maximum(*responses).astype(np.float64) - ~foreground
    edges[edges < 0] = 0
    elevation = -np.asarray(cv2.GaussianBlur((1 - edges) * foreground, (3, 3), 0), np.float64)
    sure = fill_holes(foreground & (edges < threshold)) > 0
    return elevation, cv2.morphologyEx(sure.view(np.uint8), cv2.MORPH_OPEN, _OPENING) > 0


def _stretched(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values stretched to [0, 1]; all 0 where they are all the same."""
    stretched = np.empty(values.shape, np.float32)
    cv2.normalize(values, stretched, alpha=0, beta=1, norm_type=cv2.NORM_MINMAX, dtype=cv2.CV_32F)
    return stretched
