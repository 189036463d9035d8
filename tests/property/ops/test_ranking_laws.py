"""Laws of precision, recall and confusion, against scikit-learn and against plain loops."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics

from retinue.ops import (
    average_precision,
    confusion_matrix,
    detection_confusion_matrix,
    dice,
    mask_iou,
    precision_recall_curve,
    sensitivity,
    specificity,
)
from retinue.ops.class_overlap import class_dice, class_iou
from retinue.ops.detection_records import Detections, GroundTruth

rankings = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=40).filter(
    lambda pairs: any(is_positive for _, is_positive in pairs)
)
label_pairs = st.integers(0, 30).flatmap(
    lambda size: st.tuples(*[arrays(np.int64, size, elements=st.integers(0, 4))] * 2)
)


@settings(deadline=None)
@given(rankings, st.sampled_from([np.float32, np.float64]))
def test_the_curve_is_that_of_scikit_learn(pairs: list[tuple[int, bool]], dtype: Any) -> None:
    scores, claims = np.array([s for s, _ in pairs], dtype), np.array([c for _, c in pairs])
    for ours, theirs in zip(
        precision_recall_curve(scores, claims), metrics.precision_recall_curve(claims, scores), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None)
@given(rankings)
def test_average_precision_is_that_of_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    scores, claims = np.array([s for s, _ in pairs], float), np.array([c for _, c in pairs])
    # Sums of up to 40 terms in another order.
    assert average_precision(scores, claims) == pytest.approx(
        metrics.average_precision_score(claims, scores), abs=1e-14
    )


@settings(deadline=None)
@given(rankings)
def test_average_precision_is_the_area_under_the_steps_of_the_curve(pairs: list[tuple[int, bool]]) -> None:
    scores, claims = np.array([s for s, _ in pairs], float), np.array([c for _, c in pairs])
    precision, recall, _ = precision_recall_curve(scores, claims)
    assert average_precision(scores, claims) == pytest.approx(-(np.diff(recall) * precision[:-1]).sum(), abs=1e-14)


@settings(deadline=None)
@given(label_pairs)
def test_the_matrix_is_that_of_scikit_learn(labels: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    true, predicted = labels
    expected = np.zeros((5, 5), int)
    if true.size:
        expected = metrics.confusion_matrix(true, predicted, labels=range(5))
    assert confusion_matrix(true, predicted, 5).tolist() == expected.tolist()
    small = confusion_matrix(true.astype(np.uint8), predicted.astype(np.uint8), 5)
    assert small.tolist() == expected.tolist()


@settings(deadline=None)
@given(label_pairs)
def test_rates_are_those_of_each_class_against_the_rest(labels: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    true, predicted = labels
    matrix = confusion_matrix(true, predicted, 5)
    found, spared = sensitivity(matrix), specificity(matrix)
    for k in range(5):
        is_it, is_said = true == k, predicted == k
        with np.errstate(invalid="ignore"):
            np.testing.assert_equal(found[k], np.float64((is_it & is_said).sum()) / np.float64(is_it.sum()))
            np.testing.assert_equal(spared[k], np.float64((~is_it & ~is_said).sum()) / np.float64((~is_it).sum()))


@given(arrays(np.bool_, (3, 5)), arrays(np.bool_, (3, 5)))
def test_dice_and_iou_are_those_of_scikit_learn_and_of_each_other(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> None:
    if a.any() or b.any():
        assert dice(a, b) == pytest.approx(metrics.f1_score(a.ravel(), b.ravel()), abs=1e-15)
        assert mask_iou(a, b) == pytest.approx(metrics.jaccard_score(a.ravel(), b.ravel()), abs=1e-15)
    assert dice(a, b) == pytest.approx(2 * mask_iou(a, b) / (1 + mask_iou(a, b)), abs=1e-15)
    assert dice(a, b) == dice(b, a)


@settings(deadline=None)
@given(arrays(np.uint8, (4, 5), elements=st.integers(0, 3)), arrays(np.uint8, (4, 5), elements=st.integers(0, 3)))
def test_classes_of_a_map_are_masks(true: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
    assert class_dice(true, predicted, 4).tolist() == [dice(true == k, predicted == k) for k in range(4)]
    assert class_iou(true, predicted, 4).tolist() == [mask_iou(true == k, predicted == k) for k in range(4)]


def naive_matrix(truth: GroundTruth, found: Detections, least: float, *, by_class: bool) -> NDArray[np.int64]:
    """Make the best pair of what is left, again and again."""
    matrix = np.zeros((4, 4), np.int64)
    boxes, truth_boxes = np.asarray(found.boxes), np.asarray(truth.boxes)
    candidates = []
    for g, b in enumerate(truth_boxes):
        for d, a in enumerate(boxes):
            width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            if truth.image_ids[g] == found.image_ids[d] and width > 0 and height > 0:
                areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
                candidates.append(
                    (by_class and truth.labels[g] != found.labels[d], -width * height / (areas - width * height), g, d)
                )
    left, alone = set(range(len(truth_boxes))), set(range(len(boxes)))
    for _, iou, g, d in sorted(candidates):
        if -iou > least and g in left and d in alone:
            matrix[truth.labels[g], found.labels[d]] += 1
            left.remove(g)
            alone.remove(d)
    for g in left:
        matrix[truth.labels[g], 3] += 1
    for d in alone:
        matrix[3, found.labels[d]] += 1
    return matrix


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 10), st.integers(0, 12), st.sampled_from([0, 0.2, 0.5]), st.booleans())
def test_detections_are_paired_best_first(seed: int, objects: int, count: int, least: float, by_class: bool) -> None:  # noqa: FBT001
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 4, (objects + count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 5, (objects + count, 2))], axis=1).astype(float)
    truth = GroundTruth(rng.integers(0, 2, objects), rng.integers(0, 3, objects), boxes[:objects])
    found = Detections(rng.integers(0, 2, count), rng.integers(0, 3, count), np.ones(count), boxes[objects:])
    ours = detection_confusion_matrix(truth, found, 3, iou_threshold=least, priority="class" if by_class else "overlap")
    assert ours.tolist() == naive_matrix(truth, found, least, by_class=by_class).tolist()
