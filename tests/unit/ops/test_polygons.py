"""Polygons become the masks that COCO makes of them, and masks become polygons that give them again."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import Rle, polygons_from_rle, rle_area, rle_decode, rle_encode, rle_from_polygons

SQUARE = [1, 1, 3, 1, 3, 3, 1, 3]
RING = np.ones((3, 3), bool)
RING[1, 1] = False


def test_a_polygon_along_edges_covers_its_pixels() -> None:
    expected = np.zeros((4, 5), bool)
    expected[1:3, 1:3] = True
    assert (rle_decode(rle_from_polygons([SQUARE], 4, 5)) == expected).all()


@pytest.mark.parametrize(
    "polygon",
    [
        SQUARE,
        np.array(SQUARE, np.float32),
        np.reshape(SQUARE, (4, 2)),
        [[1, 1], [3, 1], [3, 3], [1, 3]],
        np.asfortranarray(np.reshape(SQUARE, (4, 2))),
        np.repeat(np.reshape(SQUARE, (4, 2)), 2, axis=0)[::2],
        [*SQUARE, 1, 1],  # closed already
        [*SQUARE[:2], *SQUARE],  # a point twice
    ],
)
def test_polygons_are_flat_or_rows_of_any_layout(polygon: Any) -> None:
    assert rle_from_polygons([polygon], 4, 5) == rle_from_polygons([SQUARE], 4, 5)


def test_a_pixel_is_covered_if_its_centre_is() -> None:
    assert rle_area(rle_from_polygons([[0.2, 0.2, 0.8, 0.2, 0.8, 0.8, 0.2, 0.8]], 2, 2)) == 1
    assert rle_area(rle_from_polygons([[0.6, 0.6, 0.9, 0.6, 0.9, 0.9, 0.6, 0.9]], 2, 2)) == 0


def test_several_polygons_cover_what_any_does() -> None:
    other = [2, 2, 4, 2, 4, 4, 2, 4]
    both = rle_decode(rle_from_polygons([SQUARE], 5, 5)) | rle_decode(rle_from_polygons([other], 5, 5))
    assert rle_from_polygons([SQUARE, other], 5, 5) == rle_encode(both)


def test_twice_inside_is_outside() -> None:
    """A square walked around twice covers nothing, as every column toggles twice in the same places."""
    assert rle_area(rle_from_polygons([SQUARE * 2], 4, 5)) == 0


def test_no_polygon_covers_nothing() -> None:
    assert rle_from_polygons([], 4, 5) == Rle(4, 5, np.array([20]))


def test_a_polygon_outside_covers_nothing() -> None:
    for shift in (-10, 10):
        assert rle_area(rle_from_polygons([np.array(SQUARE) + shift], 4, 5)) == 0
        assert rle_area(rle_from_polygons([np.reshape(SQUARE, (4, 2)) + np.array([shift, 0])], 4, 5)) == 0


def test_a_polygon_around_the_image_covers_all_of_it() -> None:
    for reach in (10.0, 1e9, 2.0**32):
        around = [-reach, -reach, reach, -reach, reach, reach, -reach, reach]
        assert rle_from_polygons([around], 4, 5) == Rle(4, 5, np.array([0, 20]))


@pytest.mark.parametrize(("height", "width"), [(0, 0), (0, 5), (5, 0)])
def test_an_image_without_pixels_is_not_covered(height: int, width: int) -> None:
    assert rle_from_polygons([SQUARE, SQUARE], height, width) == Rle(height, width, np.array([0]))


def test_a_winding_polygon_is_drawn_a_few_columns_at_a_time() -> None:
    """More toggles than are sorted at once. Cut into pieces along chords, it is inside an odd number of them."""
    points = np.random.default_rng(7).uniform(-20, 900, (22_000, 2))
    expected = np.zeros((3, 700), bool)
    for first in range(0, 22_000, 5_000):
        piece = np.concatenate([points[first : first + 5_001], points[:1]])
        expected ^= rle_decode(rle_from_polygons([piece], 3, 700))
    assert (rle_decode(rle_from_polygons([points], 3, 700)) == expected).all()


@pytest.mark.parametrize(
    ("polygon", "match"),
    [
        ([1, 1, 3, 1], "at least 3 points"),
        ([1, 1, 3, 1, 3], "at least 3 points"),
        (np.zeros((2, 2)), "at least 3 points"),
        (np.zeros((4, 3)), "at least 3 points"),
        (np.zeros((1, 4, 2)), "at least 3 points"),
        (3.0, "at least 3 points"),
        ([], "at least 3 points"),
        ([[1, 1], [3]], "as many x as y"),
        (["a"] * 6, "real numbers"),
        ([1j] * 6, "real numbers"),
        ([1, 1, 3, np.nan, 3, 3], "finite"),
        ([1, np.inf, 3, 1, 3, 3], "finite"),
        ([1, 1, 3, 1, 3, 2.0**33], "within 2"),
    ],
)
def test_what_is_no_polygon_is_refused_by_name(polygon: Any, match: str) -> None:
    with pytest.raises(ValueError, match=rf"^polygons\[1\]: .*{match}"):
        rle_from_polygons([SQUARE, polygon], 4, 5)


def test_a_polygon_that_stands_for_a_list_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^polygons\[0\]: "):
        rle_from_polygons(np.reshape(SQUARE, (4, 2)), 4, 5)


@pytest.mark.parametrize(("height", "width", "name"), [(-1, 4, "height"), (3, 1.5, "width"), (2**16, 2**16, "height")])
def test_sizes_out_of_range_are_refused(height: Any, width: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        rle_from_polygons([SQUARE], height, width)


def test_an_outline_runs_clockwise_from_its_upper_left_corner() -> None:
    mask = np.array([[0, 0, 0], [1, 1, 0], [0, 1, 0]])
    [outline] = polygons_from_rle(rle_encode(mask))
    assert outline.tolist() == [[0, 1], [2, 1], [2, 3], [1, 3], [1, 2], [0, 2]]
    assert outline.dtype == np.float64


def test_holes_are_filled_unless_asked_for() -> None:
    [outline] = polygons_from_rle(rle_encode(RING))
    assert outline.tolist() == [[0, 0], [3, 0], [3, 3], [0, 3]]


def test_a_bridge_joins_a_hole_to_its_outline() -> None:
    [outline] = polygons_from_rle(rle_encode(RING), holes="bridge")
    assert rle_from_polygons([outline], 3, 3) == rle_encode(RING)
    steps = np.diff(outline, axis=0, append=outline[:1])
    assert (np.count_nonzero(steps, axis=1) == 1).all()  # along edges of pixels, and never on the spot


def test_rings_give_a_hole_an_outline_of_its_own_the_other_way_around() -> None:
    outline, hole = polygons_from_rle(rle_encode(RING), holes="rings")
    assert outline.tolist() == [[0, 0], [3, 0], [3, 3], [0, 3]]
    assert sorted(hole.tolist()) == [[1, 1], [1, 2], [2, 1], [2, 2]]
    x, y = hole.T
    assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2 == -1


def test_pixels_that_touch_at_a_corner_have_two_outlines() -> None:
    assert len(polygons_from_rle(rle_encode(np.eye(2, dtype=bool)))) == 2
    assert len(polygons_from_rle(rle_encode(np.eye(2, dtype=bool)[::-1].copy()))) == 2


def test_an_empty_mask_has_no_outline() -> None:
    assert polygons_from_rle(Rle(3, 4, np.array([12]))) == []
    assert polygons_from_rle(Rle(0, 4, np.array([0]))) == []


def test_the_largest_mask_costs_nothing() -> None:
    [outline] = polygons_from_rle(Rle(1, 2**32 - 1, np.array([0, 2**32 - 1])))
    assert outline.tolist() == [[0, 0], [2**32 - 1, 0], [2**32 - 1, 1], [0, 1]]


def test_holes_that_are_no_mode_are_refused() -> None:
    with pytest.raises(ValueError, match="holes: must be one of fill, bridge, rings"):
        polygons_from_rle(rle_encode(RING), holes="keep")  # type: ignore[arg-type] # that is what is refused


def test_what_is_no_rle_has_no_outline() -> None:
    with pytest.raises(ValueError, match="rle: must be an Rle"):
        polygons_from_rle(RING)  # type: ignore[arg-type] # that is what is refused
