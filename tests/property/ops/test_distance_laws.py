"""Distances to the background: exact, and the same wherever they lie in memory and in a picture."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage

from retinue.ops._distance import write_distances


@st.composite
def masks(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Masks with at least one zero, of every density."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = (rng.random((height, width)) < draw(st.sampled_from([0.1, 0.5, 0.9, 0.99, 1]))).astype(np.uint8)
    mask[rng.integers(height), rng.integers(width)] = 0
    return mask


def distances_of(mask: NDArray[np.uint8], offset: int = 0) -> NDArray[np.float32]:
    """Distances, written so many numbers after where an array would begin."""
    memory = np.full(mask.size + offset, np.nan, np.float32)
    distances = memory[offset:].reshape(mask.shape)
    write_distances(mask, distances)
    return distances


@given(masks())
@settings(deadline=None)
def test_distances_are_those_of_scipy_rounded_once(mask: NDArray[np.uint8]) -> None:
    assert_array_equal(distances_of(mask), ndimage.distance_transform_edt(mask).astype(np.float32))


@given(masks(), st.integers(1, 40))
@settings(deadline=None)
def test_distances_do_not_depend_on_where_they_lie_in_memory(mask: NDArray[np.uint8], offset: int) -> None:
    assert_array_equal(distances_of(mask, offset), distances_of(mask))


@given(masks(), st.integers(0, 20), st.integers(0, 20))
@settings(deadline=None)
def test_distances_do_not_depend_on_where_a_window_begins(mask: NDArray[np.uint8], left: int, top: int) -> None:
    """Where the window shows all there is, and its border."""
    framed = np.pad(mask, 1)
    moved = np.pad(framed, ((top, 3), (left, 5)))
    height, width = framed.shape
    assert_array_equal(distances_of(moved)[top : top + height, left : left + width], distances_of(framed))
