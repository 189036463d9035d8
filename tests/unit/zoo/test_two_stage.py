from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.zoo.two_stage import TwoStage
from tests.unit.zoo.test_export_faster_rcnn import POLICY, export_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny(tmp_path_factory.mktemp("detector"))


def _pictures(*sizes: tuple[int, int]) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for height, width in sizes]


def test_boxes_lie_in_their_picture_and_come_best_first(folder: Path) -> None:
    pictures = _pictures((64, 90), (301, 207), (9, 500))
    for picture, found in zip(pictures, TwoStage(folder, POLICY).detect(pictures), strict=True):
        height, width = picture.shape[:2]
        assert len(found.boxes)
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width, height, width, height]).all()
        assert (np.diff(found.scores) <= 0).all()
        assert set(found.labels) <= {1, 2}


def test_thresholds_are_the_policys(folder: Path) -> None:
    pictures = _pictures((64, 90))
    (everything,) = TwoStage(folder, POLICY).detect(pictures)
    median = float(np.median(everything.scores))
    (some,) = TwoStage(folder, replace(POLICY, score_threshold=median, detections=2)).detect(pictures)
    assert np.array_equal(some.scores, everything.scores[:2])
    (nothing,) = TwoStage(folder, replace(POLICY, score_threshold=1.0)).detect(pictures)
    assert nothing.boxes.shape == (0, 4)


def test_no_proposals_give_no_boxes(folder: Path) -> None:
    (found,) = TwoStage(folder, replace(POLICY, proposal_score_threshold=1.1)).detect(_pictures((64, 90)))
    assert (found.boxes.shape, found.scores.shape, found.labels.shape) == ((0, 4), (0,), (0,))


def test_all_proposals_that_tie_at_the_end_are_kept(folder: Path) -> None:
    policy = replace(POLICY, proposals=1, proposals_per_level=4, strides=(4,), anchor_sizes=((16.0,),))
    detector = TwoStage(folder, policy)
    logits = np.array([40, 50, 60, 1], np.float32)  # the first three are sure, and equal in float32
    anchor, deltas = np.array([0, 30, 60, 90]), np.zeros((4, 4), np.float32)
    assert len(detector._proposals(logits, anchor, deltas, (64, 64), (64, 64))) == 3
