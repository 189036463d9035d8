"""Boxes by themselves: torchvision's tables, edges and what is refused."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import box_area, clip_boxes, convert_boxes, drop_small_boxes, scale_boxes

XYXY = [[0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 0.0, 0.0], [10.0, 15.0, 30.0, 35.0], [23.0, 35.0, 93.0, 95.0]]
XYWH = [[0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 0.0, 0.0], [10.0, 15.0, 20.0, 20.0], [23.0, 35.0, 70.0, 60.0]]
CXCYWH = [[50.0, 50.0, 100.0, 100.0], [0.0, 0.0, 0.0, 0.0], [20.0, 25.0, 20.0, 20.0], [58.0, 65.0, 70.0, 60.0]]
TABLES = {"xyxy": XYXY, "xywh": XYWH, "cxcywh": CXCYWH}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("source", TABLES)
@pytest.mark.parametrize("target", TABLES)
def test_every_format_becomes_every_other(source: str, target: str, dtype: Any) -> None:
    converted = convert_boxes(np.array(TABLES[source], dtype), source, target)  # type: ignore[arg-type] # table keys
    assert converted.dtype == dtype
    assert converted.tolist() == TABLES[target]


def test_the_same_format_gives_a_copy() -> None:
    boxes = np.array(XYXY)
    assert not np.shares_memory(convert_boxes(boxes, "xyxy", "xyxy"), boxes)


@pytest.mark.parametrize(("source", "target", "name"), [("xxyy", "xyxy", "source"), ("xyxy", "", "target")])
def test_an_unknown_format_is_refused(source: str, target: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: must be one of xyxy, xywh, cxcywh"):
        convert_boxes(np.array(XYXY), source, target)  # type: ignore[arg-type] # the point


def test_the_area_has_the_signs_of_its_sides() -> None:
    assert box_area(np.array([[0.0, 0, 2, 3], [2, 0, 0, 3], [3, 3, 1, 1], [1, 1, 1, 5]])).tolist() == [6, -6, 4, 0]


def test_small_integers_do_not_overflow() -> None:
    small: Any = np.array([[0, 0, 100, 100]], np.int8)
    assert box_area(small).tolist() == [10000.0]


def test_boxes_are_cut_at_the_far_edge_itself() -> None:
    clipped = clip_boxes(np.array([[-1.0, -1, 200, 200], [3, 4, 5, 6]]), 50, 100)
    assert clipped.tolist() == [[0, 0, 100, 50], [3, 4, 5, 6]]


def test_a_side_of_exactly_the_least_size_is_kept() -> None:
    boxes = np.array([[0, 0, 1e-3, 1], [0, 0, 9e-4, 1], [0, 0, 1, 1e-3]], np.float32)
    assert drop_small_boxes(boxes, 1e-3).tolist() == [0, 2]


def test_the_ratio_is_of_sizes_and_rounded_as_float32() -> None:
    """As in torchvision, which also multiplies in float32."""
    boxes = np.array([[100, 200, 300, 400]], np.float32)
    ratios = np.array([640, 480], np.float32) / np.array([427, 333], np.float32)
    expected = boxes * ratios[[0, 1, 0, 1]]
    assert np.array_equal(scale_boxes(boxes, (333, 427), (480, 640)), expected)


def test_each_axis_has_its_own_ratio() -> None:
    scaled = scale_boxes(np.array([[10, 10, 20, 20]], np.float32), (100, 200), (50, 800))
    assert scaled.tolist() == [[40, 5, 80, 10]]
    assert scaled.dtype == np.float32


CALLS: dict[str, Callable[[NDArray[np.float64]], object]] = {
    "convert": partial(convert_boxes, source="xyxy", target="xywh"),
    "area": box_area,
    "clip": partial(clip_boxes, height=10, width=10),
    "drop": partial(drop_small_boxes, min_size=1),
    "scale": partial(scale_boxes, source_size=(1, 1), target_size=(2, 2)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_boxes_give_nothing(call: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
    assert len(call(np.empty((0, 4)))) == 0
    assert len(call(np.array([]))) == 0


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(call: Callable[[NDArray[np.float64]], object], bad: float) -> None:
    with pytest.raises(ValueError, match=r"^boxes: must be finite"):
        call(np.array([[0.0, 0, 1, bad]]))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 2, 4)])
def test_another_shape_is_refused(call: Callable[[NDArray[np.float64]], object], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^boxes: must be \(n, 4\)"):
        call(np.zeros(shape))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_boxes_given_are_left_alone(call: Callable[[NDArray[np.float64]], object]) -> None:
    boxes = np.array(XYXY)
    boxes.flags.writeable = False
    call(boxes)
    assert boxes.tolist() == XYXY


@pytest.mark.parametrize("size", [(0, 1), (-1, 1), (1, np.nan), (1, 2, 3)])
def test_a_picture_size_that_is_none_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"^source_size"):
        scale_boxes(np.array(XYXY), size, (1, 1))


def test_a_negative_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^height: must be finite and at least 0"):
        clip_boxes(np.array(XYXY), -1, 1)
    with pytest.raises(ValueError, match=r"^width: must be finite and at least 0"):
        clip_boxes(np.array(XYXY), 1, np.inf)
    with pytest.raises(ValueError, match=r"^target_size: must be finite and at least 0"):
        scale_boxes(np.array(XYXY), (1, 1), (1, -1))


@pytest.mark.parametrize("size", [5, None, "ab", (1,), [(1, 2)]])
def test_what_is_no_height_and_width_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=r"^target_size: must be height and width"):
        scale_boxes(np.array(XYXY), (1, 1), size)


def test_a_least_size_must_be_a_number() -> None:
    with pytest.raises(ValueError, match=r"^min_size: must be finite"):
        drop_small_boxes(np.array(XYXY), np.nan)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_boxes_at_the_end_of_the_range_raise_no_warning(call: Callable[[NDArray[np.float32]], object]) -> None:
    most = np.finfo(np.float32).max
    call(np.array([[-most, -most, most, most]], np.float32))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_dtype_of_floats_is_kept(call: Callable[[NDArray[np.float32]], NDArray[Any]]) -> None:
    if call is not CALLS["drop"]:
        assert call(np.array(XYXY, np.float32)).dtype == np.float32
