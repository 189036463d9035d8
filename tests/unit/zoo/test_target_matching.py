import numpy as np
import pytest

from retinue.zoo.target_matching import BACKGROUND, IGNORED, match_to_targets, sample_matches

TARGETS = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)


def test_a_box_belongs_to_the_target_it_overlaps_most() -> None:
    boxes = np.array([[0, 0, 10, 9], [21, 20, 30, 30], [0, 0, 10, 5], [50, 50, 60, 60]], np.float32)
    assert match_to_targets(boxes, TARGETS, low=0.3, high=0.7).tolist() == [0, 1, IGNORED, BACKGROUND]


@pytest.mark.parametrize(("low", "high", "wanted"), [(0.3, 0.5, 0), (0.5, 0.7, IGNORED), (0.6, 0.7, BACKGROUND)])
def test_overlap_at_a_threshold_counts(low: float, high: float, wanted: int) -> None:
    boxes = np.array([[0, 0, 10, 5]], np.float32)  # overlaps by one half
    assert match_to_targets(boxes, TARGETS, low=low, high=high).tolist() == [wanted]


def test_the_best_boxes_of_a_target_are_kept_however_little_they_overlap() -> None:
    boxes = np.array([[8, 0, 18, 10], [8, 0, 18, 10], [9, 9, 19, 19]], np.float32)
    assert match_to_targets(boxes, TARGETS, low=0.3, high=0.7, keeps_best=True).tolist() == [0, 0, BACKGROUND]


def test_a_target_that_no_box_touches_is_nobodys() -> None:
    boxes = np.array([[0, 0, 10, 10], [80, 80, 90, 90]], np.float32)
    assert match_to_targets(boxes, TARGETS, low=0.3, high=0.7, keeps_best=True).tolist() == [0, BACKGROUND]


def test_without_targets_all_is_background() -> None:
    assert match_to_targets(TARGETS, TARGETS[:0], low=0.3, high=0.7).tolist() == [BACKGROUND] * 2
    assert match_to_targets(TARGETS[:0], TARGETS, low=0.3, high=0.7).shape == (0,)


@pytest.mark.parametrize(("positives", "taken"), [(100, 4), (3, 3), (0, 0)])
def test_background_fills_what_objects_leave(positives: int, taken: int) -> None:
    matched = np.array([2] * positives + [IGNORED] * 50 + [BACKGROUND] * 50)
    positive, negative = sample_matches(matched, 16, 0.25, np.random.default_rng(0))
    assert (len(positive), len(negative)) == (taken, 16 - taken)
    assert (matched[positive] == 2).all()
    assert (matched[negative] == BACKGROUND).all()
    assert len(np.unique(negative)) == len(negative)
