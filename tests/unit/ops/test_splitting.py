"""Maps of a model become instances."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import split_instances

ROW = np.full((1, 7), 0.9)
RIDGE = np.array([[0.0, 0.1, 0.2, 0.8, 0.2, 0.1, 0.0]])
SMALL: dict[str, Any] = {"min_marker_area": 1, "min_area": 1}


def two_discs(gap: int) -> NDArray[np.float64]:
    y, x = np.indices((30, 50))
    return ((np.hypot(y - 15, x - 15) < 10) | (np.hypot(y - 15, x - 15 - gap) < 10)).astype(float)


def test_a_boundary_parts_two_instances() -> None:
    assert split_instances(ROW, RIDGE, method="boundary", **SMALL).tolist() == [[1, 1, 1, 1, 2, 2, 2]]


def test_the_threshold_of_the_interior_is_inclusive() -> None:
    interior = np.array([[0.5, 0.49]])
    assert split_instances(interior, np.zeros((1, 2)), method="boundary", **SMALL).tolist() == [[1, 0]]


def test_the_threshold_of_the_boundary_is_inclusive() -> None:
    boundary = np.array([[0.5, 0.0, 0.0]])
    marked = split_instances(ROW[:, :3], boundary, method="boundary", min_marker_area=3, min_area=1)
    assert not marked.any()


def test_small_components_markers_and_instances_are_dropped() -> None:
    assert not split_instances(ROW, RIDGE, method="boundary", min_marker_area=1, min_area=8).any()
    assert not split_instances(ROW, RIDGE, method="boundary", min_marker_area=4, min_area=1).any()
    assert split_instances(ROW, RIDGE, method="boundary", min_marker_area=3, min_area=4).tolist() == [
        [1, 1, 1, 1, 0, 0, 0]
    ]


def test_a_component_without_a_marker_is_dropped() -> None:
    interior = np.array([[0.9, 0.0, 0.9]])
    boundary = np.array([[0.9, 0.0, 0.0]])
    assert split_instances(interior, boundary, method="boundary", **SMALL).tolist() == [[0, 0, 1]]


def test_a_boundary_within_an_instance_does_not_make_two_of_it() -> None:
    """The spot inside the ring is enclosed by the marker, and so belongs to it."""
    boundary = np.zeros((7, 7))
    boundary[2:5, 2:5] = 0.9
    boundary[3, 3] = 0
    assert (split_instances(np.ones((7, 7)), boundary, method="boundary", **SMALL) == 1).all()


def test_a_hole_in_an_instance_is_filled() -> None:
    interior = np.ones((5, 5))
    interior[2, 2] = 0
    assert (split_instances(interior, np.zeros((5, 5)), method="boundary", **SMALL) == 1).all()


def test_touching_discs_are_parted_by_their_distance() -> None:
    discs = two_discs(17)
    labels = split_instances(discs, method="distance")
    assert labels.max() == 2
    assert labels[15, 15] == 1
    assert labels[15, 32] == 2
    assert ((labels > 0) == (discs > 0)).all()


def test_discs_that_hardly_narrow_are_one() -> None:
    assert split_instances(two_discs(3), method="distance").max() == 1


def test_a_peak_counts_from_the_height_that_is_asked_for() -> None:
    height = np.array([[3.0, 1.0, 2.0]])
    assert split_instances(np.ones((1, 3)), height, method="distance", guide_threshold=1.0, min_area=1).max() == 2
    assert split_instances(np.ones((1, 3)), height, method="distance", guide_threshold=1.1, min_area=1).max() == 1


def test_a_picture_that_is_all_foreground_is_one_instance() -> None:
    assert (split_instances(np.ones((9, 9)), method="distance") == 1).all()


def test_constant_hover_maps_show_no_instance() -> None:
    assert not split_instances(np.ones((40, 40)), np.zeros((2, 40, 40)), method="hover").any()


@pytest.mark.parametrize("method", ["boundary", "distance", "hover"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_empty_picture_has_no_instances(method: Any, dtype: type[np.floating[Any]]) -> None:
    guide = np.zeros((2, 0, 4) if method == "hover" else (0, 4), dtype=dtype)
    assert split_instances(np.zeros((0, 4), dtype=dtype), guide, method=method).shape == (0, 4)


@pytest.mark.parametrize("method", ["boundary", "distance", "hover"])
@pytest.mark.parametrize("size", [1, 2, 30])
def test_a_picture_without_foreground_has_no_instances(method: Any, size: int) -> None:
    guide = np.zeros((2, size, size) if method == "hover" else (size, size))
    assert not split_instances(np.zeros((size, size)), guide, method=method).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interior": np.array([[np.inf]])}, "interior: must be finite"),
        ({"interior": np.ones(7)}, r"interior: must be \(H, W\)"),
        ({"guide": None}, "guide: must be given for method 'boundary'"),
        ({"guide": RIDGE * np.nan}, "guide: must be finite"),
        ({"guide": RIDGE.T}, r"guide: must be \(1, 7\)"),
        ({"method": "hover"}, r"guide: must be \(2, 1, 7\)"),
        ({"method": "magic"}, r"method: must be one of \['boundary', 'distance', 'hover'\]"),
        ({"threshold": 1.1}, "threshold: must be"),
        ({"guide_threshold": -1}, "guide_threshold: must be"),
        ({"min_marker_area": -1}, "min_marker_area: must be"),
        ({"min_area": 0.5}, "min_area: must be"),
    ],
)
def test_a_bad_argument_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        split_instances(**{"interior": ROW, "guide": RIDGE, "method": "boundary", **arguments})
