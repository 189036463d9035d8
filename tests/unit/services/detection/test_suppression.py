"""How several boxes on one thing become one, against plain loops."""

from typing import Any, get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose

from retinue.runtime.detection_manifest import NmsKind
from services.detection.detections import Candidates
from services.detection.suppression import ready_suppression, suppressed
from tests.unit.services.detection.naive_suppression import naive
from tests.unit.services.detection.tiny_detectors import options_with

KINDS = get_args(NmsKind)
TWO = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 10]], np.float32)  # IoU of the first two is 0.8


def candidates_of(boxes: Any, labels: Any, scores: Any) -> Candidates:
    return Candidates(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), np.array(scores, np.float32)
    )


def crowd(seed: int, count: int = 60) -> Candidates:
    """Return boxes that overlap in many ways, some of equal score."""
    rng = np.random.default_rng(seed)
    corners, sizes = rng.integers(0, 40, (count, 2)), rng.integers(4, 30, (count, 2))
    scores = rng.integers(1, 40, count) / 40
    return candidates_of(np.concatenate([corners, corners + sizes], axis=1), rng.integers(0, 3, count), scores)


@pytest.mark.parametrize("is_class_agnostic", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limits", [{}, {"score_threshold": 0.4}, {"max_detections": 7}, {"sigma": 0.1}])
def test_every_kind_equals_plain_loops(kind: NmsKind, is_class_agnostic: bool, limits: Any) -> None:  # noqa: FBT001
    for seed in range(3):
        options = options_with(nms=kind, is_class_agnostic=is_class_agnostic, **limits)
        candidates = crowd(seed)
        enough = candidates.scores >= options.score_threshold
        candidates = Candidates(candidates.boxes[enough], candidates.label_ids[enough], candidates.scores[enough])
        kept, scores = suppressed(candidates, options)
        boxes, labels, given = (part.tolist() for part in candidates)
        expected, expected_scores = naive(boxes, labels, given, options)
        assert kept.tolist() == expected
        # Scores are lowered in float64 here and there, and kept in float32.
        assert_allclose(scores, expected_scores, rtol=1e-6)
        assert [part.dtype.name for part in (scores, kept)] == ["float32", "int64"]


@pytest.mark.parametrize(
    ("kind", "kept", "scores"),
    [
        ("hard", [0, 2], [0.9, 0.5]),
        ("diou", [0, 2], [0.9, 0.5]),
        ("soft_linear", [0, 2, 1], [0.9, 0.5, 0.8 * 0.2]),
        ("soft_gaussian", [0, 2, 1], [0.9, 0.5, 0.8 * np.exp(-0.64 / 0.5)]),
        ("matrix", [0, 2, 1], [0.9, 0.5, 0.8 * np.exp(-0.64 / 0.5)]),
        ("none", [0, 1, 2], [0.9, 0.8, 0.5]),
    ],
)
def test_two_boxes_on_one_thing_and_one_apart(kind: NmsKind, kept: list[int], scores: list[float]) -> None:
    candidates = Candidates(TWO, np.zeros(3, np.int64), np.array([0.9, 0.8, 0.5], np.float32))
    got, got_scores = suppressed(candidates, options_with(nms=kind))
    assert got.tolist() == kept
    assert_allclose(got_scores, scores, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_stays_nothing(kind: NmsKind) -> None:
    kept, scores = suppressed(candidates_of([], [], []), options_with(nms=kind))
    assert (kept.shape, scores.shape) == ((0,), (0,))
    assert scores.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scores_stand_in_the_order_of_the_candidates(kind: NmsKind) -> None:
    boxes = [[x, 0, x + 5, 5] for x in (50, 10, 90, 30)]
    kept, _ = suppressed(candidates_of(boxes, [2, 0, 1, 0], [0.5] * 4), options_with(nms=kind, max_detections=3))
    assert kept.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_only_a_class_agnostic_caller_lets_classes_meet(kind: NmsKind) -> None:
    candidates = candidates_of([[0, 0, 10, 10]] * 2, [0, 1], [0.9, 0.8])
    apart = suppressed(candidates, options_with(nms=kind, score_threshold=0.75))
    together = suppressed(candidates, options_with(nms=kind, score_threshold=0.75, is_class_agnostic=True))
    assert (len(apart[0]), len(together[0])) == (2, 1)


@pytest.mark.parametrize("kind", ["soft_linear", "soft_gaussian", "matrix"])
def test_a_score_that_is_lowered_below_the_threshold_is_left_out(kind: NmsKind) -> None:
    candidates = Candidates(TWO, np.zeros(3, np.int64), np.array([0.9, 0.8, 0.5], np.float32))
    kept, _ = suppressed(candidates, options_with(nms=kind, score_threshold=0.3))
    assert kept.tolist() == [0, 2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 1.0])
def test_a_score_at_the_threshold_is_kept(kind: NmsKind, threshold: float) -> None:
    """Whether float32 makes it a little more or a little less than what the manifest says."""
    kept, _ = suppressed(
        candidates_of([[0, 0, 9, 9]], [0], [threshold]), options_with(nms=kind, score_threshold=threshold)
    )
    assert kept.tolist() == [0]


def test_an_overlap_at_the_threshold_suppresses_nothing() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]
    kept, _ = suppressed(candidates_of(boxes, [0, 0], [0.9, 0.8]), options_with(nms="hard", iou_threshold=0.5))
    assert kept.tolist() == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [1e-45, 1e-30, 3e38])
def test_any_width_of_the_decay_gives_numbers(kind: NmsKind, sigma: float) -> None:
    candidates = candidates_of([[0, 0, 10, 10]] * 3 + [[0, 0, 10, 8]], [0] * 4, [0.9, 0.8, 0.8, 0.7])
    _, scores = suppressed(candidates, options_with(nms=kind, sigma=sigma))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) <= 0).all()


def test_every_kind_can_be_made_ready() -> None:
    ready_suppression()


@pytest.mark.parametrize("kind", ["soft_linear", "soft_gaussian", "matrix"])
def test_only_the_best_candidates_lower_each_other(kind: Any) -> None:
    """Of eleven thousand boxes side by side, the thousand that score least are not looked at."""
    count = 11_000
    left = np.arange(count, dtype=np.float32)[:, None] * 10
    boxes = np.hstack([left, np.zeros_like(left), left + 5, np.full_like(left, 5)])
    scores = np.where(np.arange(count) < 1000, 0.25, 0.5).astype(np.float32)
    candidates = Candidates(boxes, np.zeros(count, np.int64), scores)
    kept, left_over = suppressed(candidates, options_with(nms=kind, score_threshold=0.0, max_detections=count))
    assert kept.tolist() == list(range(1000, count))
    assert left_over.tolist() == [0.5] * 10_000
