"""Suppression against the plain rule: indices exactly, scores to the last places."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from retinue.ops import matrix_nms, nms, soft_nms
from retinue.ops.suppression import SuppressionMetric

Boxes = NDArray[Any]
Scores = NDArray[Any]
Labels = NDArray[np.int64]
Scene = tuple[Boxes, Scores, Labels]

dtypes = st.sampled_from([np.float32, np.float64])
metrics: st.SearchStrategy[SuppressionMetric] = st.sampled_from(["iou", "diou", "ios"])
# Such thresholds are met exactly by boxes on a lattice.
thresholds = st.sampled_from([0.0, 0.25, 1 / 3, float(np.float32(1 / 3)), 0.5, 0.7, 0.95, 1.0])


@st.composite
def lattice_scenes(draw: st.DrawFn) -> Scene:
    """Boxes on a coarse lattice: they touch, nest, repeat, degenerate and tie."""
    count = draw(st.integers(0, 20))
    boxes = draw(hnp.arrays(draw(dtypes), (count, 4), elements=st.integers(-4, 4).map(float)))
    scores = draw(hnp.arrays(draw(dtypes), count, elements=st.integers(0, 4).map(lambda k: k / 4)))
    return boxes, scores, draw(hnp.arrays(np.int64, count, elements=st.integers(-1, 1)))


@st.composite
def crowded_scenes(draw: st.DrawFn, most: int = 600) -> Scene:
    """So many boxes that they lie in several tiles, of sizes that differ by up to a thousand times."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(most // 2, most))
    spread, offset = draw(st.sampled_from([1, 3, 30])), draw(st.sampled_from([0, -500, 1e5]))
    centres = rng.normal(0, 10.0 * spread, (count, 2)) + offset
    sizes = 10 * np.exp(rng.normal(0, draw(st.sampled_from([0, 0.3, 2])), (count, 2)))
    if draw(st.booleans()):  # clusters
        leaders = rng.integers(0, max(1, count // 10), count)
        centres, sizes = centres[leaders], sizes[leaders]
        centres = centres + sizes * rng.normal(0, 0.1, (count, 2))
    boxes = np.hstack([centres - sizes / 2, centres + sizes / 2]).astype(draw(dtypes))
    return boxes, rng.random(count).astype(draw(dtypes)), rng.integers(0, draw(st.sampled_from([1, 3])), count)


@settings(deadline=None, max_examples=200)
@given(lattice_scenes(), thresholds, metrics)
def test_what_is_kept_is_what_the_plain_rule_keeps(scene: Scene, threshold: float, metric: SuppressionMetric) -> None:
    boxes, scores, labels = scene
    kept = nms(boxes, scores, threshold, labels=labels, metric=metric)
    assert kept.tolist() == _plainly_kept(boxes, scores, labels, threshold, metric)


@settings(deadline=None, max_examples=200)
@given(st.one_of(lattice_scenes(), crowded_scenes(190)), thresholds, metrics, st.sampled_from([None, 7]))
def test_of_few_boxes_of_one_label_too(
    scene: Scene, threshold: float, metric: SuppressionMetric, most: int | None
) -> None:
    """These are compared all with all instead of being filed in tiles."""
    boxes, scores, _ = scene
    kept = nms(boxes, scores, threshold, metric=metric, max_output=most)
    assert kept.tolist() == _plainly_kept(boxes, scores, np.zeros(len(boxes), np.int64), threshold, metric)[:most]


@settings(deadline=None, max_examples=60)
@given(crowded_scenes(), st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.7, 0.9]), metrics)
def test_of_many_boxes_too(scene: Scene, threshold: float, metric: SuppressionMetric) -> None:
    boxes, scores, labels = scene
    kept = nms(boxes, scores, threshold, labels=labels, metric=metric)
    assert kept.tolist() == _plainly_kept(boxes, scores, labels, threshold, metric)


@settings(deadline=None)
@given(crowded_scenes(), st.floats(0, 1), metrics, st.integers(0, 50))
def test_to_stop_early_is_to_cut_the_rest_off(
    scene: Scene, threshold: float, metric: SuppressionMetric, most: int
) -> None:
    boxes, scores, labels = scene
    early = nms(boxes, scores, threshold, labels=labels, metric=metric, max_output=most)
    assert early.tolist() == nms(boxes, scores, threshold, labels=labels, metric=metric)[:most].tolist()


@settings(deadline=None)
@given(crowded_scenes(), st.floats(0, 1))
def test_labels_at_once_are_labels_one_by_one(scene: Scene, threshold: float) -> None:
    boxes, scores, labels = scene
    apart = [
        members[nms(boxes[members], scores[members], threshold)]
        for members in (np.flatnonzero(labels == label) for label in np.unique(labels))
    ]
    assert sorted(nms(boxes, scores, threshold, labels=labels).tolist()) == sorted(np.concatenate(apart).tolist())


@settings(deadline=None)
@given(crowded_scenes(), st.floats(0, 1), metrics)
def test_what_is_kept_is_kept_again(scene: Scene, threshold: float, metric: SuppressionMetric) -> None:
    boxes, scores, labels = scene
    kept = nms(boxes, scores, threshold, labels=labels, metric=metric)
    again = nms(boxes[kept], scores[kept], threshold, labels=labels[kept], metric=metric)
    assert again.tolist() == list(range(len(kept)))


@settings(deadline=None, max_examples=40)
@given(crowded_scenes(), st.sampled_from([0.3, 0.7]), st.integers(-79, -71))
def test_boxes_near_the_end_of_the_dtype_are_no_exception(scene: Scene, threshold: float, exponent: int) -> None:
    """Areas lose their digits there, some vanish: what counts is still what the arithmetic says."""
    boxes, scores, labels = scene
    tiny = np.ldexp(boxes.astype(np.float32), exponent)
    assert nms(tiny, scores, threshold, labels=labels).tolist() == _plainly_kept(tiny, scores, labels, threshold, "iou")


@settings(deadline=None, max_examples=100)
@given(
    st.one_of(lattice_scenes(), crowded_scenes(250)),
    st.sampled_from(["linear", "gaussian"]),
    st.sampled_from([0.0, 0.3, 0.5]),
    st.sampled_from([0.1, 0.5]),
    st.sampled_from([0.0, 0.001, 0.3]),
    st.sampled_from([None, 0, 5]),
)
def test_soft_nms_is_the_plain_rule(
    scene: Scene,
    method: Literal["linear", "gaussian"],
    threshold: float,
    sigma: float,
    min_score: float,
    max_output: int | None,
) -> None:
    boxes, scores, labels = scene
    indices, left = soft_nms(
        boxes,
        scores,
        method=method,
        iou_threshold=threshold,
        sigma=sigma,
        min_score=min_score,
        labels=labels,
        max_output=max_output,
    )
    sigma = sigma if method == "gaussian" else 0
    expected, expected_left = _plainly_softened(boxes, scores, labels, threshold, sigma, min_score)
    assert indices.tolist() == expected[:max_output]
    assert left.dtype == scores.dtype
    # numpy's exponential differs from the C library's in the last place, once for each box that overlaps.
    np.testing.assert_allclose(left, np.array(expected_left[:max_output], scores.dtype), rtol=1e-13, atol=0)


@settings(deadline=None, max_examples=60)
@given(st.one_of(lattice_scenes(), crowded_scenes(120)), st.sampled_from(["linear", "gaussian"]), st.floats(0.1, 4))
def test_matrix_nms_is_the_plain_rule_with_boxes_and_with_overlaps(
    scene: Scene, kernel: Literal["linear", "gaussian"], sigma: float
) -> None:
    boxes, scores, labels = scene
    overlap = np.nan_to_num(_overlap(boxes, "iou"))
    expected = _plainly_decayed(overlap, scores, labels, sigma if kernel == "gaussian" else 0)
    for given_boxes, given_overlap in ((boxes, None), (None, overlap)):
        lowered = matrix_nms(given_boxes, scores, overlap=given_overlap, labels=labels, kernel=kernel, sigma=sigma)
        assert lowered.dtype == scores.dtype
        # A quotient of exponentials is an exponential of a difference to us; then both are rounded to the dtype.
        np.testing.assert_allclose(lowered, expected, rtol=1e-14 + np.finfo(scores.dtype).eps)


def test_areas_of_two_quanta_are_found_across_tiles() -> None:
    """Each box shares 0.76 of the next one, 1.52 quanta, which round to 2: an IoU of 1 where geometry says 0.61."""
    side = 2.0**-74
    steps = np.concatenate([np.arange(200), np.arange(1, 201)])[:, None] * [0.24 * side, 0]
    corners = steps + np.repeat([[0, 0], [0, 100 * side]], 200, axis=0)
    boxes = np.hstack([corners, corners + side]).astype(np.float32)
    scores: Scores = -np.arange(400.0)
    labels = np.zeros(400, np.int64)
    assert nms(boxes, scores, 0.7).tolist() == _plainly_kept(boxes, scores, labels, 0.7, "iou")


def test_20000_boxes_are_kept_as_by_the_plain_rule() -> None:
    """The size at which tiles matter, compared row by row: a matrix of all pairs would not fit."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1000, (20_000, 2))
    boxes = np.hstack([corners, corners + np.exp(rng.uniform(1, 6, (20_000, 2)))]).astype(np.float32)
    scores = rng.random(20_000).astype(np.float32)
    kept = nms(boxes, scores, 0.7, max_output=1000)
    rest = np.argsort(-scores, kind="stable")
    expected: list[int] = []
    while len(expected) < 1000:
        best, rest = rest[0], rest[1:]
        expected.append(int(best))
        rest = rest[~(_overlap_with(boxes[best], boxes[rest], "iou") > 0.7)]
    assert kept.tolist() == expected


@pytest.mark.parametrize("metric", ["iou", "diou", "ios"])
def test_one_box_over_all_the_others_changes_no_other_decision(metric: SuppressionMetric) -> None:
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 1000, (2000, 2))
    boxes = np.vstack([np.hstack([corners, corners + rng.uniform(5, 50, (2000, 2))]), [[-1e6, -1e6, 1e6, 1e6]]])
    scores = np.append(rng.random(2000), -1)  # the giant is the worst
    without = nms(boxes[:-1], scores[:-1], 0.3, metric=metric).tolist()
    assert nms(boxes, scores, 0.3, metric=metric).tolist() == without + [2000] * (metric != "ios")


def _overlap_with(box: Boxes, boxes: Boxes, metric: str) -> Boxes:
    """Return torchvision's arithmetic in the dtype of the boxes; NaN for nothing over nothing."""
    zero, half, epsilon = boxes.dtype.type(0), boxes.dtype.type(0.5), boxes.dtype.type(1e-7)
    wide = np.maximum(np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0]), zero)
    high = np.maximum(np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1]), zero)
    area, areas = (box[2] - box[0]) * (box[3] - box[1]), (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    inter = wide * high
    with np.errstate(all="ignore"):
        overlap: Boxes = inter / (np.minimum(area, areas) if metric == "ios" else area + areas - inter)
        if metric == "diou":
            around = np.maximum(box[2:], boxes[:, 2:]) - np.minimum(box[:2], boxes[:, :2])
            apart = (box[:2] + box[2:]) * half - (boxes[:, :2] + boxes[:, 2:]) * half
            overlap = overlap - (apart**2).sum(axis=1) / ((around**2).sum(axis=1) + epsilon)
    return overlap


def _overlap(boxes: Boxes, metric: str) -> Boxes:
    return np.array([_overlap_with(box, boxes, metric) for box in boxes], boxes.dtype).reshape(len(boxes), len(boxes))


def _plainly_kept(boxes: Boxes, scores: Scores, labels: Labels, threshold: float, metric: str) -> list[int]:
    is_over = _overlap(boxes, metric).astype(np.float64) > threshold  # float64 holds both exactly
    is_over &= labels[:, None] == labels
    is_dropped = np.zeros(len(boxes), np.bool_)
    kept = []
    for best in np.argsort(-scores, kind="stable").tolist():
        if not is_dropped[best]:
            kept.append(best)
            is_dropped |= is_over[best]
    return kept


def _plainly_softened(
    boxes: Boxes, scores: Scores, labels: Labels, threshold: float, sigma: float, min_score: float
) -> tuple[list[int], list[float]]:
    overlap = np.nan_to_num(_overlap(boxes, "iou")).astype(np.float64) * (labels[:, None] == labels)
    left = scores.astype(np.float64)
    left[left < min_score] = -1
    picked, picked_scores = [], []
    while left.max(initial=-1) >= 0:
        best = int(left.argmax())
        picked.append(best)
        picked_scores.append(float(left[best]))
        left[best] = -1
        for other in np.flatnonzero((left >= 0) & (overlap[best] > (0 if sigma else threshold))):
            iou = overlap[best, other]
            left[other] *= np.exp(-(iou**2) / sigma) if sigma else 1 - iou
            if left[other] < min_score:
                left[other] = -1
    return picked, picked_scores


def _plainly_decayed(overlap: Boxes, scores: Scores, labels: Labels, sigma: float) -> list[float]:
    order = np.argsort(-scores, kind="stable").tolist()
    largest = [0.0] * len(order)
    result = [0.0] * len(order)
    for place, item in enumerate(order):
        better = [other for other in order[:place] if labels[other] == labels[item]]
        ious = {other: float(overlap[other, item]) for other in better}
        largest[item] = max(ious.values(), default=0.0)
        factor = 1.0
        for other, iou in ious.items():
            if sigma:
                factor = min(factor, np.exp(-sigma * iou**2) / np.exp(-sigma * largest[other] ** 2))
            elif largest[other] < 1:
                factor = min(factor, (1 - iou) / (1 - largest[other]))
        result[item] = float(scores[item] * factor)
    return result
