"""Boxes there and back again, and decoding against the plain formula."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from retinue.ops import box_area, clip_boxes, convert_boxes, decode_boxes, encode_boxes
from retinue.ops.boxes import BoxFormat

Boxes = NDArray[np.float64]

coordinates = st.floats(-1000, 1000, allow_subnormal=False)
rows = st.integers(0, 8)
formats: st.SearchStrategy[BoxFormat] = st.sampled_from(["xyxy", "xywh", "cxcywh"])


def plausible(count: int) -> st.SearchStrategy[Boxes]:
    """Boxes with sides of 1 to 1000."""
    corner = hnp.arrays(np.float64, (count, 2), elements=coordinates)
    size = hnp.arrays(np.float64, (count, 2), elements=st.floats(1, 1000))
    return st.tuples(corner, size).map(lambda parts: np.hstack([parts[0], parts[0] + parts[1]]))


two_sets = rows.flatmap(lambda count: st.tuples(plausible(count), plausible(count)))


@given(rows.flatmap(plausible), formats, formats)
def test_a_format_and_back_is_the_same_box(boxes: Boxes, source: BoxFormat, target: BoxFormat) -> None:
    there = convert_boxes(boxes, "xyxy", source)
    back = convert_boxes(convert_boxes(there, source, target), target, source)
    assert np.allclose(back, there, rtol=0, atol=1e-9)  # a few roundings of numbers up to 2000


@given(rows.flatmap(plausible), st.integers(0, 500), st.integers(0, 500))
def test_clipping_twice_is_clipping_once_and_never_grows(boxes: Boxes, height: int, width: int) -> None:
    clipped = clip_boxes(boxes, height, width)
    assert np.array_equal(clip_boxes(clipped, height, width), clipped)
    assert (box_area(clipped) <= box_area(boxes) + 1e-6).all()


@settings(deadline=None)
@given(two_sets, st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]))
def test_decoding_undoes_encoding(sets: tuple[Boxes, Boxes], weights: tuple[float, float, float, float]) -> None:
    boxes, anchors = sets
    decoded = decode_boxes(encode_boxes(boxes, anchors, weights=weights), anchors, weights=weights, max_log_ratio=20)
    assert np.allclose(decoded, boxes, rtol=0, atol=1e-6)


@settings(deadline=None)
@given(rows.flatmap(plausible), st.data())
def test_decoding_is_the_plain_formula(anchors: Boxes, data: st.DataObject) -> None:
    deltas = data.draw(hnp.arrays(np.float32, (len(anchors), 8), elements=st.floats(-8, 8, width=32)))
    given_anchors = anchors.astype(np.float32)
    size = given_anchors[:, 2:] - given_anchors[:, :2]
    centre = given_anchors[:, :2] + np.float32(0.5) * size
    parts = deltas.reshape(len(anchors), 2, 4) / np.array([10, 10, 5, 5], np.float32)
    moved = parts[..., :2] * size[:, None] + centre[:, None]
    half = np.float32(0.5) * (np.exp(np.minimum(parts[..., 2:], np.float32(math.log(1000 / 16)))) * size[:, None])
    expected = np.concatenate([moved - half, moved + half], axis=-1)
    decoded = decode_boxes(deltas, given_anchors, weights=(10.0, 10.0, 5.0, 5.0))
    assert np.allclose(decoded, expected, rtol=1e-6, atol=1e-3)  # exponentials that differ in the last place
