"""Overlap of boxes against torch's own arithmetic, against the COCO evaluation, and by itself."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from retinue.ops import pairwise_iou
from retinue.ops.overlap import OverlapKind

coco = pytest.importorskip("pycocotools.mask")

Boxes = NDArray[Any]
kinds: st.SearchStrategy[OverlapKind] = st.sampled_from(["iou", "giou", "diou", "ciou", "ios"])
# A coarse lattice makes boxes touch, nest, repeat and degenerate often.
lattice = hnp.arrays(np.float32, st.tuples(st.integers(0, 8), st.just(4)), elements=st.integers(-4, 4).map(float))


def plausible(dtype: Any) -> st.SearchStrategy[Boxes]:
    """Boxes with sides of 1 to 100."""
    corners = hnp.arrays(np.float64, st.tuples(st.integers(0, 8), st.just(4)), elements=st.floats(-100, 100))
    return corners.map(lambda array: np.hstack([array[:, :2], array[:, :2] + 1 + np.abs(array[:, 2:])]).astype(dtype))


@settings(deadline=None)
@given(st.sampled_from([np.float32, np.float64]).flatmap(lambda dtype: st.tuples(plausible(dtype), plausible(dtype))))
def test_iou_giou_and_diou_are_those_of_torch_to_the_last_bit(sets: tuple[Boxes, Boxes]) -> None:
    kinds: tuple[OverlapKind, ...] = ("iou", "giou", "diou")
    for kind in kinds:
        ours = pairwise_iou(*sets, kind=kind)
        assert np.array_equal(ours, _by_torch(*sets, kind)), kind


@settings(deadline=None)
@given(st.sampled_from([np.float32, np.float64]).flatmap(lambda dtype: st.tuples(plausible(dtype), plausible(dtype))))
def test_ciou_is_that_of_torch(sets: tuple[Boxes, Boxes]) -> None:
    rounding = 8 * np.finfo(sets[0].dtype).eps  # arc tangents differ in the last place
    np.testing.assert_allclose(pairwise_iou(*sets, kind="ciou"), _by_torch(*sets, "ciou"), atol=rounding)


@settings(deadline=None)
@given(plausible(np.float64), plausible(np.float64), st.data())
def test_crowds_are_those_of_the_coco_evaluation(detections: Boxes, truths: Boxes, data: st.DataObject) -> None:
    crowd = data.draw(hnp.arrays(np.bool_, len(truths)))
    expected = np.zeros((len(detections), len(truths)))
    if expected.size:
        as_coco = [np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]) for boxes in (detections, truths)]
        expected = coco.iou(*as_coco, crowd.astype(np.uint8))
    # It adds the width back to the corner, which rounds.
    np.testing.assert_allclose(pairwise_iou(detections, truths, is_crowd=crowd), expected, atol=1e-12)


@settings(deadline=None)
@given(lattice, lattice, kinds)
def test_overlap_is_bounded_and_never_nan(first: Boxes, second: Boxes, kind: OverlapKind) -> None:
    overlap = pairwise_iou(first, second, kind=kind)
    assert (overlap <= 1).all()
    assert (overlap >= {"iou": 0, "ios": 0, "ciou": -2}.get(kind, -1)).all()


@settings(deadline=None)
@given(lattice, lattice, kinds)
def test_overlap_is_mutual(first: Boxes, second: Boxes, kind: OverlapKind) -> None:
    assert np.array_equal(pairwise_iou(first, second, kind=kind), pairwise_iou(second, first, kind=kind).T)


@settings(deadline=None)
@given(lattice, lattice, kinds, st.integers(-8, 8))
def test_overlap_does_not_see_a_shift_by_whole_numbers(
    first: Boxes, second: Boxes, kind: OverlapKind, shift: int
) -> None:
    moved = pairwise_iou(first + np.float32(shift), second + np.float32(shift), kind=kind)
    assert np.array_equal(moved, pairwise_iou(first, second, kind=kind))


@settings(deadline=None)
@given(plausible(np.float64), st.integers(-900, 900))
def test_overlap_does_not_see_the_scale(boxes: Boxes, exponent: int) -> None:
    scaled = np.ldexp(boxes, exponent)
    overlap = pairwise_iou(scaled, scaled)
    assert np.isfinite(overlap).all()
    if exponent > -400:  # below, products of sides have no digits left
        assert np.array_equal(overlap, pairwise_iou(boxes, boxes))


def _by_torch(first: Boxes, second: Boxes, kind: str) -> Boxes:
    """Return torchvision's formulae."""
    a, b = torch.tensor(first)[:, None], torch.tensor(second)[None]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inter
    iou = inter / union
    if kind == "iou":
        return iou.numpy()
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    if kind == "giou":
        enclosing = around.prod(-1)
        return (iou - (enclosing - union) / enclosing).numpy()
    apart = (a[..., :2] + a[..., 2:]) / 2 - (b[..., :2] + b[..., 2:]) / 2
    diou = iou - (apart[..., 0] ** 2 + apart[..., 1] ** 2) / (around[..., 0] ** 2 + around[..., 1] ** 2 + 1e-7)
    if kind == "diou":
        return diou.numpy()
    angles = [torch.atan((x[..., 2] - x[..., 0]) / (x[..., 3] - x[..., 1])) for x in (a, b)]
    aspect = (4 / math.pi**2) * torch.pow(angles[0] - angles[1], 2)
    return (diou - aspect / (1 - iou + aspect + 1e-7) * aspect).numpy()
