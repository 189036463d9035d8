"""Pairs of boxes and how far they overlap."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import pairwise_iou
from retinue.ops.overlap import OverlapKind

KINDS: tuple[OverlapKind, ...] = ("iou", "giou", "diou", "ciou", "ios")
# torchvision's tables: of its tests for box_iou, generalized_box_iou and distance_box_iou.
TABLE = [[0.0, 0, 100, 100], [0, 0, 50, 50], [200, 200, 300, 300]]
WITH_ITSELF: dict[OverlapKind, list[list[float]]] = {
    "iou": [[1.0, 0.25, 0.0], [0.25, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "giou": [[1.0, 0.25, -0.7778], [0.25, 1.0, -0.8611], [-0.7778, -0.8611, 1.0]],
    "diou": [[1.0, 0.1875, -0.4444], [0.1875, 1.0, -0.5625], [-0.4444, -0.5625, 1.0]],
    "ciou": [[1.0, 0.1875, -0.4444], [0.1875, 1.0, -0.5625], [-0.4444, -0.5625, 1.0]],
    "ios": [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_published_tables(kind: OverlapKind, dtype: Any) -> None:
    boxes = np.array(TABLE, dtype)
    overlap = pairwise_iou(boxes, boxes, kind=kind)
    assert overlap.dtype == dtype
    np.testing.assert_allclose(overlap, WITH_ITSELF[kind], atol=5e-5)  # published with four digits


def test_ciou_is_less_than_diou_where_aspects_differ() -> None:
    wide, high = np.array([[0.0, 0, 4, 1]]), np.array([[0.0, 0, 1, 4]])
    turn = 4 / np.pi**2 * (np.arctan(4) - np.arctan(0.25)) ** 2
    iou = 1 / 7
    far = (1.5**2 + 1.5**2) / 32
    expected = iou - far - turn / (1 - iou + turn) * turn
    assert pairwise_iou(wide, high, kind="ciou")[0, 0] == pytest.approx(expected, abs=1e-6)  # 1e-7 is added below


def test_the_matrix_has_a_row_for_each_of_the_first_set() -> None:
    assert pairwise_iou(np.zeros((2, 4)), np.zeros((3, 4))).shape == (2, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 3), (2, 0)])
def test_empty_sets_give_an_empty_matrix(kind: OverlapKind, first: int, second: int) -> None:
    overlap = pairwise_iou(np.zeros((first, 4), np.float32), np.zeros((second, 4), np.float32), kind=kind)
    assert overlap.shape == (first, second)
    assert overlap.dtype == np.float32


def test_an_empty_list_is_an_empty_set() -> None:
    assert pairwise_iou(np.array([]), np.zeros((2, 4))).shape == (0, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_overlaps_nothing(kind: OverlapKind) -> None:
    """Two points, and a point with itself: 0 over 0 everywhere."""
    points = np.array([[3.0, 3, 3, 3], [3, 3, 3, 3]])
    assert pairwise_iou(points, points, kind=kind).tolist() == [[0, 0], [0, 0]]


def test_a_line_in_a_box_is_0_and_not_nan() -> None:
    line, box = np.array([[0.0, 0, 5, 0]]), np.array([[0.0, 0, 5, 5]])
    for kind in KINDS[:1] + KINDS[4:]:
        assert pairwise_iou(line, box, kind=kind).tolist() == [[0]]


@pytest.mark.parametrize("kind", ["iou", "ios"])
def test_a_reversed_box_covers_nothing(kind: OverlapKind) -> None:
    """Reversed along one side or along both, though the product of both sides is positive."""
    box = np.array([[0.0, 0, 10, 10]])
    backwards = np.array([[5.0, 0, 0, 5], [5, 5, 0, 0]])
    assert pairwise_iou(box, backwards, kind=kind).tolist() == [[0, 0]]
    assert pairwise_iou(backwards, backwards, kind=kind).tolist() == [[0, 0], [0, 0]]


def test_a_detection_inside_a_crowd_overlaps_it_fully() -> None:
    detection, crowd = np.array([[0.0, 0, 2, 2], [8, 0, 12, 2]]), np.array([[0.0, 0, 10, 10]])
    assert pairwise_iou(detection, crowd, is_crowd=[True]).tolist() == [[1.0], [0.5]]
    assert pairwise_iou(detection, crowd, is_crowd=[False])[0, 0] == pytest.approx(0.04)


def test_areas_beyond_float32_are_taken_in_float64() -> None:
    boxes = np.array([[0, 0, 2e30, 1e30], [0, 0, 1e30, 1e30]], np.float32)
    for kind in KINDS:
        overlap = pairwise_iou(boxes, boxes, kind=kind)
        assert overlap.dtype == np.float32
        assert np.isfinite(overlap).all()
    assert pairwise_iou(boxes, boxes)[0, 1] == np.float32(0.5)


def test_areas_beyond_float64_do_not_overflow() -> None:
    most = np.finfo(np.float64).max
    boxes = np.array([[-most, -most, most, most], [-most, -most, 0, most]])
    assert pairwise_iou(boxes, boxes) == pytest.approx(np.array([[1, 0.5], [0.5, 1]]))


def test_both_sets_are_scaled_alike() -> None:
    large = np.array([[0.0, 0, 1e200, 1e200]])
    assert pairwise_iou(large, np.array([[0.0, 0, 1, 1]])).tolist() == [[0]]
    assert pairwise_iou(large, np.array([[0.0, 0, 5e199, 1e200]]))[0, 0] == pytest.approx(0.5)


def test_different_dtypes_count_as_float64() -> None:
    single, double = np.array([[0, 0, 3, 3]], np.float32), np.array([[0.0, 0, 1, 3]])
    assert pairwise_iou(single, double).dtype == np.float64
    assert pairwise_iou(double, single)[0, 0] == 1 / 3


def test_integers_count_as_float64() -> None:
    assert pairwise_iou(np.array([[0, 0, 200, 200]], np.uint8), np.array([[0, 0, 100, 200]])).tolist() == [[0.5]]


@pytest.mark.parametrize("layout", ["fortran", "strided", "read-only", "big-endian"])
def test_the_layout_does_not_matter(layout: str) -> None:
    boxes = np.array(TABLE)
    other: np.ndarray[Any, Any] = {
        "fortran": np.asfortranarray(boxes),
        "strided": np.repeat(boxes, 2, axis=0)[::2],
        "read-only": boxes.copy(),
        "big-endian": boxes.astype(">f8"),
    }[layout]
    other.flags.writeable = layout != "read-only"
    assert pairwise_iou(other, other).tolist() == pairwise_iou(boxes, boxes).tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_finite_is_refused_by_name(bad: float, dtype: Any) -> None:
    broken = np.array([[0, 0, 1, 1], [0, bad, 1, 1]], dtype)
    with pytest.raises(ValueError, match=r"^a: must be finite"):
        pairwise_iou(broken, np.array(TABLE))
    with pytest.raises(ValueError, match=r"^b: must be finite"):
        pairwise_iou(np.array(TABLE), broken)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 2, 4)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^b: must be \(n, 4\)"):
        pairwise_iou(np.array(TABLE), np.zeros(shape))


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^kind: must be one of iou, giou, diou, ciou, ios"):
        pairwise_iou(np.array(TABLE), np.array(TABLE), kind="siou")  # type: ignore[arg-type] # the point


@pytest.mark.parametrize("crowd", [[True], [1, 0, 1], True, [[True, True, True]]])
def test_crowds_are_a_boolean_for_each_box(crowd: Any) -> None:
    with pytest.raises(ValueError, match=r"^is_crowd: must be \(3,\) booleans"):
        pairwise_iou(np.array(TABLE), np.array(TABLE), is_crowd=crowd)


def test_crowds_go_with_iou_only() -> None:
    with pytest.raises(ValueError, match=r"^is_crowd: goes with the kind iou only"):
        pairwise_iou(np.array(TABLE), np.array(TABLE), kind="ios", is_crowd=[True] * 3)
