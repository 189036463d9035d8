"""Laws of polygons: pycocotools' own pixels, and masks that come back exactly."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy import ndimage

from retinue.ops import polygons_from_rle, rle_decode, rle_encode, rle_from_polygons, rle_to_string

no_deadline = settings(deadline=None)  # a kernel may be compiled in the first example


@st.composite
def polygons(draw: st.DrawFn) -> tuple[list[NDArray[np.float64]], int, int]:
    """Polygons over an image, inside and far outside, on whole numbers, halves and tenths, with points repeated."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reach = draw(st.sampled_from([0.3, 1, 3, 1000]))
    grid = draw(st.sampled_from([0, 1, 2, 5, 10]))
    drawn = []
    for count in draw(st.lists(st.integers(3, 12), min_size=1, max_size=3)):
        points = (rng.random((count, 2)) * (1 + reach) - reach / 2) * [width, height]
        points = np.round(points * grid) / grid if grid else points
        drawn.append(points[rng.integers(0, count, count + 2)] if draw(st.booleans()) else points)
    return drawn, height, width


@st.composite
def masks(draw: st.DrawFn) -> NDArray[np.bool_]:
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((height, width)) < draw(st.sampled_from([0, 0.2, 0.5, 0.7, 0.9, 1]))
    return mask.repeat(draw(st.integers(1, 3)), axis=0).repeat(draw(st.integers(1, 3)), axis=1)


def by_coco(drawn: list[NDArray[np.float64]], height: int, width: int) -> Any:
    return coco.merge(coco.frPyObjects([points.ravel().tolist() for points in drawn], height, width))["counts"]


@settings(max_examples=300, deadline=None)
@given(polygons())
def test_pixels_are_those_of_pycocotools(given_polygons: tuple[list[NDArray[np.float64]], int, int]) -> None:
    drawn, height, width = given_polygons
    assert rle_to_string(rle_from_polygons(drawn, height, width)) == by_coco(drawn, height, width)


@no_deadline
@given(polygons(), st.integers(0, 11))
def test_neither_the_first_point_nor_the_number_format_matters(
    given_polygons: tuple[list[NDArray[np.float64]], int, int], first: int
) -> None:
    drawn, height, width = given_polygons
    rle = rle_from_polygons(drawn, height, width)
    assert rle_from_polygons([np.roll(points, first, axis=0) for points in drawn], height, width) == rle
    assert rle_from_polygons([points.ravel().tolist() for points in drawn[::-1]], height, width) == rle


@no_deadline
@given(masks())
def test_with_bridges_every_mask_comes_back(mask: NDArray[np.bool_]) -> None:
    outlines = polygons_from_rle(rle_encode(mask), holes="bridge")
    assert rle_from_polygons(outlines, *mask.shape) == rle_encode(mask)
    assert not outlines or by_coco(outlines, *mask.shape) == rle_to_string(rle_encode(mask))
    assert len(outlines) == ndimage.label(mask)[1]


@no_deadline
@given(masks())
def test_without_bridges_every_mask_comes_back_with_its_holes_filled(mask: NDArray[np.bool_]) -> None:
    outlines = polygons_from_rle(rle_encode(mask))
    filled = ndimage.binary_fill_holes(mask, np.ones((3, 3), bool))
    assert (rle_decode(rle_from_polygons(outlines, *mask.shape)) == filled).all()


@no_deadline
@given(masks())
def test_rings_enclose_the_pixels_and_turn_at_every_point(mask: NDArray[np.bool_]) -> None:
    rle = rle_encode(mask)
    rings = polygons_from_rle(rle, holes="rings")
    areas = [(x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2 for x, y in (ring.T for ring in rings)]
    assert sum(areas) == mask.sum()
    outer = [ring.tolist() for ring, area in zip(rings, areas, strict=True) if area > 0]
    assert outer == [outline.tolist() for outline in polygons_from_rle(rle)]
    for ring in rings:
        steps = np.diff(ring, axis=0, append=ring[:1])
        assert (np.count_nonzero(steps, axis=1) == 1).all()
        assert ((steps[:, 0] == 0) != (np.roll(steps, 1, axis=0)[:, 0] == 0)).all()


@no_deadline
@given(masks())
def test_an_outline_starts_at_the_upper_one_of_its_leftmost_corners(mask: NDArray[np.bool_]) -> None:
    for outline in polygons_from_rle(rle_encode(mask)):
        assert outline[0].tolist() == min(outline.tolist())
