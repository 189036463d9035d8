"""Merging against the plain rule, and laws of groups."""

from typing import Any, Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.ops import merge_boxes, pairwise_iou

Boxes = NDArray[Any]
Labels = NDArray[np.int64]
Scene = tuple[Boxes, NDArray[np.float64], Labels]

metrics: st.SearchStrategy[Literal["ios", "iou"]] = st.sampled_from(["ios", "iou"])
modes: st.SearchStrategy[Literal["greedy", "transitive"]] = st.sampled_from(["greedy", "transitive"])
thresholds = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0])


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A few boxes on a lattice, or so many that they lie in several tiles."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, side = draw(st.sampled_from([(0, 1), (5, 8), (25, 20), (400, 90)]))
    corners = rng.integers(0, side, (count, 2))
    boxes = np.hstack([corners, corners + rng.integers(0, 10, (count, 2))])
    return (
        boxes.astype(draw(st.sampled_from([np.float32, np.float64]))),
        rng.integers(0, 5, count) / 4,
        rng.integers(0, 2, count),
    )


@settings(deadline=None, max_examples=100)
@given(scenes(), thresholds, metrics, modes)
def test_groups_are_those_of_the_plain_rule(
    scene: Scene, threshold: float, metric: Literal["ios", "iou"], mode: Literal["greedy", "transitive"]
) -> None:
    boxes, scores, labels = scene
    merged = merge_boxes(boxes, scores, labels=labels, threshold=threshold, metric=metric, mode=mode)
    keepers = _plain_keepers(boxes, scores, labels, threshold, metric, mode == "transitive")
    assert merged.keepers.tolist() == keepers
    best = [keeper for keeper in np.argsort(-scores, kind="stable").tolist() if keepers[keeper] == keeper]
    assert merged.scores.tolist() == scores[best].tolist()
    assert merged.labels.tolist() == labels[best].tolist()
    for box, keeper in zip(merged.boxes.tolist(), best, strict=True):
        members = boxes[merged.keepers == keeper]
        assert box == [*members[:, :2].min(axis=0), *members[:, 2:].max(axis=0)]


@settings(deadline=None)
@given(scenes(), thresholds, metrics)
def test_transitive_groups_are_no_more_than_greedy_ones(
    scene: Scene, threshold: float, metric: Literal["ios", "iou"]
) -> None:
    boxes, scores, labels = scene
    greedy, transitive = (
        merge_boxes(boxes, scores, labels=labels, threshold=threshold, metric=metric, mode=mode)
        for mode in ("greedy", "transitive")
    )
    assert len(transitive.boxes) <= len(greedy.boxes)


def _plain_keepers(
    boxes: Boxes, scores: Boxes, labels: Labels, threshold: float, metric: Literal["ios", "iou"], is_transitive: Any
) -> list[int]:
    """Return the best of each box's group: each goes to the first better box that takes it."""
    overlap = pairwise_iou(boxes, boxes, kind=metric).astype(np.float64)
    takes = (overlap >= threshold) & (overlap > 0) & (labels[:, None] == labels)
    keepers = list(range(len(boxes)))
    is_taken = np.zeros(len(boxes), np.bool_)
    order = np.argsort(-scores, kind="stable")
    for place, taker in enumerate(order.tolist()):
        if is_taken[taker] and not is_transitive:
            continue
        for other in order[place + 1 :].tolist():
            if takes[taker, other] and not is_taken[other]:
                is_taken[other] = True
                keepers[other] = keepers[taker]
    return keepers
