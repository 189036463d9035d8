"""Anchor shapes are learned from boxes by k-means under 1 - IoU."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import kmeans_anchors

TWO_GROUPS = np.array([[10.0, 20], [100, 52], [11, 20], [100, 50], [12, 20], [100, 57]])


def test_groups_far_apart_are_found_and_sorted_by_area() -> None:
    assert kmeans_anchors(TWO_GROUPS, 2).tolist() == [[11, 20], [100, 53]]


def test_medians_do_not_feel_an_outlier() -> None:
    assert kmeans_anchors(TWO_GROUPS, 2, update="median").tolist() == [[11, 20], [100, 52]]


def test_equal_areas_are_sorted_by_width() -> None:
    assert kmeans_anchors(np.array([[8.0, 1], [1, 8], [2, 4]]), 3).tolist() == [[1, 8], [2, 4], [8, 1]]


def test_one_anchor_is_the_mean() -> None:
    assert kmeans_anchors(np.array([[2.0, 2], [2.5, 3], [3, 4]]), 1).tolist() == [[2.5, 3]]


@pytest.mark.parametrize("update", ["mean", "median"])
def test_as_many_anchors_as_boxes_are_the_boxes(update: Any) -> None:
    boxes = np.array([[1.0, 2], [3, 4], [9, 1], [1, 2]])
    assert kmeans_anchors(boxes, 3, update=update).tolist() == [[1, 2], [9, 1], [3, 4]]


def test_no_iterations_give_boxes_of_the_input() -> None:
    start = kmeans_anchors(TWO_GROUPS, 2, max_iterations=0).tolist()
    assert all(anchor in TWO_GROUPS.tolist() for anchor in start)


def test_the_same_seed_gives_the_same_anchors_and_another_may_not() -> None:
    boxes = np.random.default_rng(0).uniform(1, 100, (200, 2))
    assert kmeans_anchors(boxes, 5, seed=1).tolist() == kmeans_anchors(boxes, 5, seed=1).tolist()
    assert kmeans_anchors(boxes, 5, seed=1).tolist() != kmeans_anchors(boxes, 5, seed=2).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_anchors_keep_the_dtype_of_floats(dtype: Any) -> None:
    assert kmeans_anchors(TWO_GROUPS.astype(dtype), 2).dtype == dtype


def test_whole_numbers_count_as_float64() -> None:
    assert kmeans_anchors(np.array([[1, 2], [3, 4]]), 1).dtype == np.float64


def test_boxes_may_lie_anyhow_in_memory_and_are_left_as_they_were() -> None:
    wide = np.asfortranarray(np.repeat(TWO_GROUPS, 2, axis=1))[:, ::2]
    wide.flags.writeable = False
    assert kmeans_anchors(wide, 2).tolist() == kmeans_anchors(TWO_GROUPS, 2).tolist()


def test_an_anchor_without_boxes_moves_to_the_box_that_is_worst_served() -> None:
    """The third of these anchors is nearest to no box; (1, 90) is what the others cover least."""
    from retinue.ops import anchor_clusters  # noqa: PLC0415, a look inside

    columns = np.array([[10.0, 11, 1], [10, 10, 90]])
    owner, overlap = np.array([0, 1, 1]), np.array([1.0, 1.0, 0.1])
    assert anchor_clusters._moved(columns, owner, overlap, 3, is_median=False).tolist() == [[10, 10], [6, 50], [1, 90]]


def test_boxes_that_differ_by_rounding_only_still_seed() -> None:
    one = np.array([1.0, 1.0])
    boxes = np.array([one, np.nextafter(one, 2), np.nextafter(np.nextafter(one, 2), 2)])
    np.testing.assert_allclose(kmeans_anchors(boxes, 3), 1, rtol=1e-15)


def test_sides_at_both_ends_of_the_range_do_not_overflow() -> None:
    boxes = np.array([[1e-100, 1e-100], [1e100, 1e100], [1e100, 1e-100]])
    assert kmeans_anchors(boxes, 3).tolist() == [[1e-100, 1e-100], [1e100, 1e-100], [1e100, 1e100]]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("wh", {"wh": np.zeros((3, 2))}),
        ("wh", {"wh": np.array([[1.0, -1.0]])}),
        ("wh", {"wh": np.array([[1.0, np.nan]])}),
        ("wh", {"wh": np.array([[1.0, 1e101]])}),
        ("wh", {"wh": np.array([1.0, 2.0])}),
        ("wh", {"wh": np.ones((2, 4))}),
        ("k", {"k": 0}),
        ("k", {"k": 7}),
        ("k", {"k": 1.5}),
        ("k", {"wh": np.zeros((0, 2)), "k": 1}),
        ("k", {"wh": np.ones((9, 2)), "k": 2}),
        ("seed", {"seed": -1}),
        ("update", {"update": "mode"}),
        ("max_iterations", {"max_iterations": -1}),
    ],
)
def test_a_bad_argument_is_refused_by_name(name: str, change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"wh": TWO_GROUPS, "k": 2}
    with pytest.raises(ValueError, match=f"^{name}: "):
        kmeans_anchors(**{**fine, **change})
