"""Non-maximum suppression: the rule, ties, edges and what is refused."""

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import nms
from retinue.ops._suppression_order import descending_order

THREE = np.array([[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 0, 30, 10]])
SCORES = np.array([0.6, 0.9, 0.7])


def test_the_better_of_two_is_kept_and_the_best_comes_first() -> None:
    assert nms(THREE, SCORES, 0.5).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_box_at_exactly_the_threshold_is_kept(dtype: Any) -> None:
    """Intersection 1, union 3: the quotient is compared as the dtype rounds it, as torchvision does."""
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1]], dtype)
    third = float(dtype(1) / dtype(3))
    assert nms(boxes, np.array([0.5, 0.5]), third).tolist() == [0, 1]
    assert nms(boxes, np.array([0.5, 0.5]), np.nextafter(third, 0)).tolist() == [0]


def test_a_third_in_float32_is_above_a_third_in_float64() -> None:
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1]], np.float32)
    assert nms(boxes, np.array([0.5, 0.5]), 1 / 3).tolist() == [0]


def test_at_threshold_0_boxes_that_touch_are_kept() -> None:
    boxes = np.array([[0.0, 0, 1, 1], [1, 0, 2, 1], [1.5, 0, 3, 1]])
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), 0).tolist() == [0, 1]


def test_at_threshold_1_all_are_kept() -> None:
    assert nms(np.tile(THREE[:1], (40, 1)), np.zeros(40), 1).tolist() == list(range(40))


def test_equal_scores_come_by_lowest_index() -> None:
    boxes = np.array([[k, 0.0, k + 1, 1] for k in range(5)])
    assert nms(boxes, np.array([0.5, 0.7, 0.5, 0.7, 0.5]), 0.5).tolist() == [1, 3, 0, 2, 4]


def test_of_equal_boxes_with_equal_scores_the_first_is_kept() -> None:
    assert nms(np.tile(THREE[:1], (100, 1)), np.zeros(100), 0.5).tolist() == [0]


def test_what_a_dropped_box_overlaps_is_kept() -> None:
    chain = np.array([[0.0, 0, 10, 1], [4, 0, 14, 1], [8, 0, 18, 1]])
    assert nms(chain, np.array([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


def test_labels_keep_boxes_apart() -> None:
    assert nms(THREE, SCORES, 0.5, labels=[0, 1, 1]).tolist() == [1, 2, 0]


@pytest.mark.parametrize("labels", [[-5, 7, 7], [10**18, -(10**18), 0], np.array([0, 255, 255], np.uint8)])
def test_labels_may_be_any_integers(labels: Any) -> None:
    assert nms(THREE, SCORES, 0.5, labels=labels).tolist() == [1, 2, 0]


def test_labels_far_apart_still_group_equals() -> None:
    assert nms(THREE, SCORES, 0.5, labels=[10**15, 10**15, -(10**15)]).tolist() == [1, 2]


@pytest.mark.parametrize("offset", [-1e4, 0, 1e6])
def test_labels_are_exact_wherever_the_boxes_are(offset: float) -> None:
    """Shifting coordinates by label mixes labels at negative coordinates, and loses digits at large ones."""
    boxes = (np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]]) + offset).astype(np.float32)
    assert nms(boxes, SCORES, 0.5, labels=[0, 1, 0]).tolist() == [1, 2]


@pytest.mark.parametrize(("max_output", "expected"), [(0, []), (1, [1]), (2, [1, 2]), (99, [1, 2]), (None, [1, 2])])
def test_the_search_stops_at_max_output(max_output: int | None, expected: list[int]) -> None:
    assert nms(THREE, SCORES, 0.5, max_output=max_output).tolist() == expected


def test_the_smaller_area_drops_a_part_of_a_whole() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [2, 2, 4, 4]])
    assert nms(boxes, np.array([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert nms(boxes, np.array([0.9, 0.8]), 0.5, metric="ios").tolist() == [0]


def test_distance_spares_boxes_whose_centres_lie_apart() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [3, 0, 13, 10]])  # IoU 7 / 13, centres 9 / 269 of a diagonal apart
    assert nms(boxes, np.array([0.9, 0.8]), 0.52).tolist() == [0]
    assert nms(boxes, np.array([0.9, 0.8]), 0.52, metric="diou").tolist() == [0, 1]
    assert nms(boxes, np.array([0.9, 0.8]), 7 / 13 - 9 / 269 - 1e-6, metric="diou").tolist() == [0]


@pytest.mark.parametrize("metric", ["iou", "diou", "ios"])
def test_boxes_that_cover_nothing_are_always_kept(metric: Any) -> None:
    """Points, lines, and boxes reversed along one side or both, whose product of sides may be positive."""
    nothing = [[5.0, 5, 5, 5], [0, 5, 10, 5], [8, 0, 2, 10], [8, 8, 2, 2]]
    boxes = np.array([*nothing, *nothing, [0, 0, 10, 10]])
    assert nms(boxes, np.zeros(9), 0, metric=metric).tolist() == list(range(9))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_gives_nothing(dtype: Any) -> None:
    kept = nms(np.zeros((0, 4), dtype), np.zeros(0, dtype), 0.5, labels=[])
    assert kept.shape == (0,)
    assert kept.dtype == np.int64
    nothing: Any = []
    assert nms(nothing, nothing, 0.5).shape == (0,)


def test_indices_are_int64() -> None:
    assert nms(THREE, SCORES, 0.5).dtype == np.int64


@pytest.mark.parametrize("layout", ["fortran", "strided", "read-only", "big-endian"])
def test_the_layout_does_not_matter(layout: str) -> None:
    others: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
        "fortran": (np.asfortranarray(THREE), SCORES),
        "strided": (np.repeat(THREE, 2, axis=0)[::2], np.repeat(SCORES, 2)[::2]),
        "read-only": (THREE.copy(), SCORES.copy()),
        "big-endian": (THREE.astype(">f4"), SCORES.astype(">f8")),
    }
    boxes, scores = others[layout]
    boxes.flags.writeable = scores.flags.writeable = layout != "read-only"
    assert nms(boxes, scores, 0.5).tolist() == [1, 2]


@pytest.mark.parametrize(("box_dtype", "score_dtype"), [("f4", "f8"), ("f8", "f4"), ("i4", "i8"), ("u1", "f2")])
def test_dtypes_may_differ(box_dtype: str, score_dtype: str) -> None:
    boxes: Any = THREE.astype(box_dtype)
    scores: Any = (SCORES * 10).astype(score_dtype)
    assert nms(boxes, scores, 0.5).tolist() == [1, 2]


def test_arguments_are_left_as_they_were() -> None:
    boxes, scores = THREE.copy(), SCORES.copy()
    nms(boxes, scores, 0.5)
    assert boxes.tolist() == THREE.tolist()
    assert scores.tolist() == SCORES.tolist()


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-19, 1e18, 1e30, 3e38])
def test_tiny_and_huge_boxes_are_like_others(scale: float) -> None:
    """Equal boxes suppress each other whether or not their area fits float32; what has no area there is kept."""
    boxes: Any = np.tile(np.array([[-scale, -scale, scale / 2, scale / 2]], np.float32), (300, 1))
    kept = nms(boxes, np.zeros(300), 0.5)
    assert kept.tolist() == ([0] if scale > 1e-22 else list(range(300)))


def test_coordinates_at_both_ends_of_float64() -> None:
    most = np.finfo(np.float64).max
    boxes = np.array([[-most, -most, most, most], [-most, -most, most, most / 2], [0, 0, 1, 1]])
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]


HOSTILE: dict[str, NDArray[Any]] = {
    "all equal": np.tile([[0.0, 0, 10, 10]], (100_000, 1)),
    "all nested": np.arange(1.0, 100_001)[:, None] * [-1, -1, 1, 1],
    "all lines": np.arange(100_000.0)[:, None] * [1, 0, 1, 1],
    "far apart": np.arange(100_000.0)[:, None] * 1e25 + [0, 0, 1e25, 1e25],
}


@pytest.mark.parametrize("boxes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_boxes_take_no_time(boxes: NDArray[Any]) -> None:
    nms(boxes[:10], np.zeros(10), 0.5)  # compiles
    begin = time.perf_counter()
    nms(boxes, np.arange(len(boxes)) % 7.0, 0.5)
    assert time.perf_counter() - begin < 1  # about 0.01 s; all pairs would take several


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_finite_is_refused_by_name(bad: float, dtype: Any) -> None:
    boxes, scores = THREE.astype(dtype), SCORES.astype(dtype)
    boxes[1, 2] = scores[0] = bad
    with pytest.raises(ValueError, match=r"^boxes: must be finite"):
        nms(boxes, SCORES, 0.5)
    with pytest.raises(ValueError, match=r"^scores: must be finite"):
        nms(THREE, scores, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iou_threshold": -0.1}, r"^iou_threshold: must be finite and at least 0 and at most 1"),
        ({"iou_threshold": 1.1}, r"^iou_threshold"),
        ({"iou_threshold": np.nan}, r"^iou_threshold"),
        ({"iou_threshold": None}, r"^iou_threshold: must be a number"),
        ({"labels": [0, 1]}, r"^labels: must be \(3,\)"),
        ({"labels": [0.5, 1, 2]}, r"^labels: must be integers"),
        ({"max_output": -1}, r"^max_output: must be at least 0"),
        ({"max_output": 1.5}, r"^max_output: must be a whole number"),
        ({"metric": "giou"}, r"^metric: must be one of iou, diou, ios"),
        ({"scores": [0.1, 0.2]}, r"^scores: must be \(3,\)"),
        ({"scores": [[0.1], [0.2], [0.3]]}, r"^scores: must be \(3,\)"),
        ({"boxes": np.zeros((3, 5))}, r"^boxes: must be \(n, 4\)"),
        ({"boxes": np.array([["a"] * 4] * 3)}, r"^boxes: must be real numbers"),
    ],
)
def test_a_bad_argument_is_named(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"boxes": THREE, "scores": SCORES, "iou_threshold": 0.5} | options
    with pytest.raises(ValueError, match=message):
        nms(**arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 2, 48, 49, 500])
def test_the_order_is_a_stable_descending_sort(count: int, dtype: Any) -> None:
    """Few scores are inserted one by one, more are sorted by their bits."""
    rng = np.random.default_rng(count)
    for scores in (
        rng.normal(size=count),
        rng.integers(-2, 3, count) / 4 * rng.choice([-1.0, 1.0], count),  # with zeros of both signs
        10.0 ** rng.integers(-40, 38, count) * rng.choice([-1.0, 1.0], count),
        np.zeros(count),
    ):
        array = scores.astype(dtype)
        assert descending_order(array).tolist() == np.argsort(-array, kind="stable").tolist()
