"""The box coder: its formula, its clamp, its layouts and what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from retinue.ops import decode_boxes, encode_boxes

ANCHORS = np.array([[0.0, 0, 10, 10], [10, 20, 50, 40]])


def test_no_deltas_leave_the_anchors() -> None:
    assert decode_boxes(np.zeros((2, 4)), ANCHORS).tolist() == ANCHORS.tolist()


def test_weights_divide_when_decoding_and_multiply_when_encoding() -> None:
    weights = (10.0, 10.0, 5.0, 5.0)
    boxes = decode_boxes(np.array([[10.0, 0, 5 * math.log(2), 0]]), ANCHORS[:1], weights=weights)
    assert boxes == pytest.approx(np.array([[5.0, 0, 25, 10]]))
    assert encode_boxes(boxes, ANCHORS[:1], weights=weights) == pytest.approx(np.array([[10, 0, 5 * math.log(2), 0]]))


def test_stretches_are_cut_from_above_only() -> None:
    boxes = decode_boxes(np.array([[0.0, 0, 100, -100]]), ANCHORS[:1])
    assert boxes[0, 2] - boxes[0, 0] == pytest.approx(10 * 1000 / 16)
    assert boxes[0, 3] - boxes[0, 1] == pytest.approx(0.0)


def test_deltas_of_several_classes_lie_side_by_side() -> None:
    deltas = np.array([[0.0, 0, 0, 0, 1, 0, 0, 0]])
    expected = [[[0, 0, 10, 10], [10, 0, 20, 10]]]
    assert decode_boxes(deltas, ANCHORS[:1]).tolist() == expected
    assert decode_boxes(deltas.reshape(1, 2, 4), ANCHORS[:1]).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype: Any) -> None:
    assert decode_boxes(np.zeros((2, 4), dtype), ANCHORS.astype(dtype)).dtype == dtype
    assert decode_boxes(np.zeros((2, 4), dtype), ANCHORS, weights=(2, 2, 2, 2)).dtype == np.float64
    assert encode_boxes(ANCHORS.astype(dtype), ANCHORS.astype(dtype)).dtype == dtype
    assert encode_boxes(ANCHORS.astype(dtype), ANCHORS).dtype == np.float64


def test_nothing_gives_nothing() -> None:
    assert decode_boxes(np.empty((0, 4)), np.empty((0, 4))).shape == (0, 4)
    assert decode_boxes(np.array([]), np.array([])).shape == (0, 4)
    assert decode_boxes(np.empty((0, 8)), np.empty((0, 4))).shape == (0, 2, 4)
    assert decode_boxes(np.empty((0, 0, 4)), np.empty((0, 4))).shape == (0, 0, 4)
    assert encode_boxes(np.empty((0, 4)), np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (4,), (2, 2, 3), (1, 2, 2, 4)])
def test_deltas_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^deltas: must be \(n, 4\), \(n, k, 4\) or \(n, 4 k\), got "):
        decode_boxes(np.zeros(shape), ANCHORS)


def test_counts_must_agree() -> None:
    with pytest.raises(ValueError, match=r"^anchors: must be as many as rows of deltas, 3, got 2"):
        decode_boxes(np.zeros((3, 4)), ANCHORS)
    with pytest.raises(ValueError, match=r"^anchors: must be as many as targets, 1, got 2"):
        encode_boxes(ANCHORS[:1], ANCHORS)


@pytest.mark.parametrize("flat", [[0.0, 0, 0, 10], [0.0, 0, 10, 0], [10.0, 0, 0, 10]])
def test_boxes_without_area_cannot_be_encoded(flat: list[float]) -> None:
    box, nothing = ANCHORS[:1], np.array([flat])
    with pytest.raises(ValueError, match=r"^targets: must have x1 < x2 and y1 < y2"):
        encode_boxes(nothing, box)
    with pytest.raises(ValueError, match=r"^anchors: must have x1 < x2 and y1 < y2"):
        encode_boxes(box, nothing)


@pytest.mark.parametrize("weights", [(0.0, 1, 1, 1), (1.0, 1, 1), (1.0, 1, 1, math.nan)])
def test_weights_must_be_four_numbers_above_0(weights: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match=r"^weights"):
        decode_boxes(np.zeros((2, 4)), ANCHORS, weights=weights)
    with pytest.raises(ValueError, match=r"^weights"):
        encode_boxes(ANCHORS, ANCHORS, weights=weights)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^max_log_ratio: must be finite and at least 0"):
        decode_boxes(np.zeros((2, 4)), ANCHORS, max_log_ratio=bad)


def test_a_limit_of_0_lets_no_box_grow() -> None:
    assert decode_boxes(np.full((1, 4), [[0.0, 0, 3, 0]]), ANCHORS[:1], max_log_ratio=0).tolist() == [[0, 0, 10, 10]]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_layout_does_not_matter(classes: int) -> None:
    deltas = np.random.default_rng(0).normal(size=(2, 4 * classes))
    expected = decode_boxes(deltas, ANCHORS).tolist()
    locked = ANCHORS.copy()
    locked.flags.writeable = False
    assert decode_boxes(np.asfortranarray(deltas), locked).tolist() == expected
    assert decode_boxes(np.repeat(deltas, 2, axis=0)[::2], np.asfortranarray(ANCHORS)).tolist() == expected


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^deltas: must be finite"):
        decode_boxes(np.full((2, 4), np.nan), ANCHORS)
    with pytest.raises(ValueError, match=r"^anchors: must be finite"):
        decode_boxes(np.zeros((2, 4)), ANCHORS * np.nan)
    with pytest.raises(ValueError, match=r"^targets: must be finite"):
        encode_boxes(np.full((2, 4), np.inf), ANCHORS)
