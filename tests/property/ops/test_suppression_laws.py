"""Suppression against the plain loops that define it."""

from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.ops import nms, pairwise_iou, soft_nms

Floats = NDArray[np.float32]
Metric = Literal["iou", "diou", "ios"]


def some_boxes(
    seed: int, count: int, dtype: type
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Boxes on a coarse grid, so that equal overlaps, equal scores and empty boxes come up."""
    rng = np.random.default_rng(seed)
    corner: Floats = rng.integers(-20, 20, (count, 2)).astype(dtype)
    boxes = np.hstack([corner, corner + rng.integers(0, 12, (count, 2)).astype(dtype)])
    return boxes, (rng.integers(0, 8, count) / 8).astype(dtype), rng.integers(0, 3, count)


def plain_nms(overlap: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> list[int]:
    left, kept = np.argsort(-scores, kind="stable").tolist(), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [other for other in left if not overlap[best, other] > threshold]
    return kept


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 60),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]),
    st.sampled_from(["iou", "diou", "ios"]),
)
def test_what_is_kept_is_what_the_plain_loop_keeps(
    seed: int, count: int, dtype: type, threshold: float, metric: Metric
) -> None:
    boxes, scores, labels = some_boxes(seed, count, dtype)
    overlap = pairwise_iou(boxes, boxes, kind=metric)
    assert nms(boxes, scores, threshold, metric=metric).tolist() == plain_nms(overlap, scores, threshold)
    by_class = np.where(labels[:, None] == labels, overlap, -1)
    kept = plain_nms(by_class, scores, threshold)
    assert nms(boxes, scores, threshold, labels=labels, metric=metric).tolist() == kept
    assert nms(boxes, scores, threshold, labels=labels, metric=metric, max_output=5).tolist() == kept[:5]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(300, 1500), st.sampled_from([0.3, 0.5, 0.7]))
def test_many_boxes_are_kept_as_the_plain_loop_keeps_them(seed: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (count, 2)).astype(np.float32)
    boxes = np.hstack([corner, corner + rng.uniform(4, 80, (count, 2)).astype(np.float32)])
    scores = rng.random(count).astype(np.float32)
    assert nms(boxes, scores, threshold).tolist() == plain_nms(pairwise_iou(boxes, boxes), scores, threshold)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.sampled_from(["linear", "gaussian"]))
def test_soft_suppression_is_the_plain_loop(seed: int, count: int, method: Literal["linear", "gaussian"]) -> None:
    boxes, scores, _ = some_boxes(seed, count, np.float64)
    overlap = pairwise_iou(boxes, boxes)
    left, picked, kept = scores.astype(np.float64).copy(), [], []
    waiting = set(range(count))
    while waiting:
        best = max(waiting, key=lambda one: (left[one], -one))
        waiting.remove(best)
        if left[best] < 0.001:
            break
        picked.append(best)
        kept.append(left[best])
        for other in waiting:
            iou = overlap[best, other]
            if method == "gaussian":
                left[other] *= np.exp(-(iou**2) / 0.5)
            elif iou > 0.3:
                left[other] *= 1 - iou
    indices, decayed = soft_nms(boxes, scores, method=method)
    assert np.allclose(decayed, kept, rtol=1e-12)
    assert indices.tolist() == picked
