"""Laws of splitting, and HoVer-Net's post-processing written out."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage import segmentation

from retinue.ops import split_instances

watershed: Callable[..., NDArray[Any]] = segmentation.watershed  # scikit-image has no types
renumbered: Callable[..., tuple[NDArray[Any], Any, Any]] = segmentation.relabel_sequential

seeds = st.integers(0, 2**32 - 1)


def nuclei(seed: int, size: int = 96) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the maps that a HoVer-Net would give for some overlapping ellipses: interior, and distances to centres."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((size, size), dtype=np.int32)
    maps = np.zeros((2, size, size))
    for label in range(1, 16):
        ellipse = np.zeros((size, size), dtype=np.uint8)
        x, y = (int(place) for place in rng.integers(0, size, 2))
        wide, high = (int(axis) for axis in rng.integers(6, 13, 2))
        cv2.ellipse(ellipse, (x, y), (wide, high), float(rng.uniform(0, 180)), 0, 360, 1, -1)
        own = (ellipse > 0) & (truth == 0)
        if own.any():
            truth[own] = label
            for axis, places in enumerate(own.nonzero()[::-1]):
                offsets = places - places.mean()
                maps[axis][own] = offsets / max(1, np.abs(offsets).max())
    interior = np.where(truth > 0, 0.9, 0.1) + rng.normal(0, 0.2, truth.shape)
    return interior.clip(0, 1).astype(np.float32), (maps + rng.normal(0, 0.02, maps.shape)).astype(np.float32)


def large(mask: NDArray[Any]) -> NDArray[Any]:
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    return np.where(sizes[labels] >= 10, labels, 0)


def hover_net(interior: NDArray[np.float32], maps: NDArray[np.float32]) -> NDArray[Any]:
    """The published steps, one after the other, on scipy, OpenCV and scikit-image."""
    normalize: Callable[..., NDArray[Any]] = cv2.normalize
    stretch = {"alpha": 0, "beta": 1, "norm_type": cv2.NORM_MINMAX, "dtype": cv2.CV_32F}
    blob = (large(interior >= 0.5) > 0).astype(np.int32)
    horizontal, vertical = (normalize(values, None, **stretch) for values in maps)
    across = 1 - normalize(cv2.Sobel(horizontal, cv2.CV_64F, 1, 0, ksize=21), None, **stretch)
    down = 1 - normalize(cv2.Sobel(vertical, cv2.CV_64F, 0, 1, ksize=21), None, **stretch)
    overall = np.maximum(across, down) - (1 - blob)
    overall[overall < 0] = 0
    elevation = -cv2.GaussianBlur((1.0 - overall) * blob, (3, 3), 0)
    marker = blob - (overall >= 0.4).astype(np.int32)
    marker[marker < 0] = 0
    marker = ndimage.binary_fill_holes(marker).astype(np.uint8)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    marker = large(cv2.morphologyEx(marker, cv2.MORPH_OPEN, ellipse))
    return renumbered(watershed(elevation, marker, mask=blob > 0))[0]


@given(seeds)
@settings(deadline=None, max_examples=25)
def test_hover_is_what_hover_net_does(seed: int) -> None:
    interior, maps = nuclei(seed)
    assert split_instances(interior, maps, method="hover").tolist() == hover_net(interior, maps).tolist()


@pytest.mark.parametrize("constant", [[0], [1], [0, 1]])
def test_hover_is_what_hover_net_does_with_constant_maps(constant: list[int]) -> None:
    interior, maps = nuclei(3)
    maps[constant] = 0.25
    assert split_instances(interior, maps, method="hover").tolist() == hover_net(interior, maps).tolist()


@given(seeds, st.sampled_from(["boundary", "distance"]), st.integers(0, 30))
@settings(deadline=None, max_examples=40)
def test_instances_are_numbered_without_gaps_and_none_is_small(seed: int, method: Any, min_area: int) -> None:
    interior, maps = nuclei(seed)
    guide = np.abs(maps).max(axis=0) if method == "boundary" else None
    labels = split_instances(interior, guide, method=method, min_area=min_area)
    areas = np.bincount(labels.ravel(), minlength=1)[1:]
    assert (areas >= max(1, min_area)).all()
    assert (split_instances(interior, guide, method=method, min_area=min_area) == labels).all()


@given(seeds)
@settings(deadline=None, max_examples=25)
def test_no_guide_is_the_exact_distance_to_the_background(seed: int) -> None:
    """That it is so to the last bit is what `test_distance_laws` says."""
    interior, _ = nuclei(seed)
    foreground = large(interior >= 0.5) > 0
    guide = ndimage.distance_transform_edt(foreground).astype(np.float32)
    of_guide = split_instances(interior, guide, method="distance")
    assert (split_instances(interior, method="distance") == of_guide).all()


@given(seeds, st.sampled_from(["boundary", "distance"]))
@settings(deadline=None, max_examples=25)
def test_a_window_around_all_foreground_shows_the_same_instances(seed: int, method: Any) -> None:
    interior, maps = nuclei(seed)
    interior[:8] = interior[-8:] = interior[:, :8] = interior[:, -8:] = 0
    guide = np.abs(maps).max(axis=0) if method == "boundary" else None
    whole = split_instances(interior, guide, method=method)
    window = (slice(5, -3), slice(2, -6))
    part = split_instances(interior[window], None if guide is None else guide[window], method=method)
    assert part.tolist() == whole[window].tolist()
