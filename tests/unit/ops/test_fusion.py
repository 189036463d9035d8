"""`weighted_boxes_fusion`: means, scores and what is refused."""

import numpy as np
import pytest

from retinue.ops import weighted_boxes_fusion

BOX = np.array([[0.0, 0, 10, 10]])
FAR = np.array([[50.0, 50, 60, 60]])


def test_boxes_that_overlap_become_their_weighted_mean() -> None:
    boxes, scores, labels = weighted_boxes_fusion([BOX, BOX + 1], [np.array([0.9]), np.array([0.3])], [[2], [2]])
    assert boxes == pytest.approx(np.array([[0.25, 0.25, 10.25, 10.25]]))
    assert scores == pytest.approx([0.6])
    assert labels.tolist() == [2]


def test_a_box_that_one_model_of_two_sees_loses_half_its_score() -> None:
    assert weighted_boxes_fusion([BOX, FAR], [np.array([0.8]), np.array([0.4])], [[0], [0]])[1] == pytest.approx(
        [0.4, 0.2]
    )


def test_classes_are_not_mixed() -> None:
    assert len(weighted_boxes_fusion([BOX, BOX], [np.array([0.8]), np.array([0.4])], [[0], [1]])[0]) == 2


def test_nothing_gives_nothing() -> None:
    boxes, scores, labels = weighted_boxes_fusion([np.empty((0, 4))], [np.empty(0)], [[]])
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))
    assert len(weighted_boxes_fusion([], [], [])[0]) == 0


def test_boxes_are_cut_to_the_size() -> None:
    boxes = weighted_boxes_fusion([BOX - 5], [np.array([1.0])], [[0]], size=(4, 8))[0]
    assert boxes.tolist() == [[0, 0, 5, 4]]


def test_scores_of_zero_keep_their_place() -> None:
    assert weighted_boxes_fusion([BOX], [np.array([0.0])], [[0]])[0].tolist() == BOX.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0, 2.0]}, r"^weights: must be"),
        ({"weights": [0.0]}, r"^weights"),
        ({"iou_threshold": 1.5}, r"^iou_threshold"),
        ({"confidence": "mean"}, r"^confidence: must be one of"),
        ({"min_score": np.nan}, r"^min_score"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighted_boxes_fusion([BOX], [np.array([1.0])], [[0]], **options)  # type: ignore[arg-type] # the point


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^scores_list: must be as long"):
        weighted_boxes_fusion([BOX], [], [[0]])
    with pytest.raises(ValueError, match=r"^scores"):
        weighted_boxes_fusion([BOX], [np.array([0.1, 0.2])], [[0]])


def test_negative_scores_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^scores"):
        weighted_boxes_fusion([BOX], [np.array([-0.1])], [[0]])
