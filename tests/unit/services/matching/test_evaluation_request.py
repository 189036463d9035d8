"""The pictures of an evaluation, read and refused."""

from typing import Any

import numpy as np
import pytest

from retinue.common.v1.model_pb2 import Label
from retinue.matching.v1 import matching_pb2 as pb
from retinue.runtime.errors import InvalidInput
from services.matching.evaluation_request import EvaluationReader
from services.matching.settings import LimitSettings

LIMITS = LimitSettings(
    max_image_count=2, max_evaluation_box_count=6, max_cell_count=8, max_class_count=2, max_iou_threshold_count=2
)
NAN = float("nan")


def image(**fields: Any) -> Any:
    given: dict[str, Any] = {
        "truth_xyxy_px": [0, 0, 4, 2],
        "truth_class_ids": [2],
        "detection_xyxy_px": [0, 0, 4, 4],
        "detection_class_ids": [3],
        "detection_scores": [-7.5],
    }
    return pb.EvaluationImage(**given | fields)


def read(*messages: Any) -> Any:
    return EvaluationReader(LIMITS).read(messages)


def test_a_picture_becomes_arrays() -> None:
    (one,) = read(pb.EvaluateRequest(images=[image()])).pictures
    assert (one.truth_boxes.tolist(), one.truth_class_ids.tolist()) == ([[0, 0, 4, 2]], [2])
    assert (one.truth_areas.tolist(), one.truth_is_crowd.tolist()) == ([8], [False])
    assert (one.detection_class_ids.tolist(), one.detection_scores.tolist()) == ([3], [-7.5])


def test_areas_and_crowds_are_taken_where_they_are_given() -> None:
    (one,) = read(pb.EvaluateRequest(images=[image(truth_areas_px=[3.5], truth_is_crowd=[True])])).pictures
    assert (one.truth_areas.tolist(), one.truth_is_crowd.tolist()) == ([3.5], [True])


def test_areas_beyond_numbers_are_the_largest_there_is() -> None:
    (one,) = read(pb.EvaluateRequest(images=[image(truth_xyxy_px=[0, 0, 1e300, 1e300])])).pictures
    assert np.isfinite(one.truth_areas).all()


def test_options_come_with_the_first_message_or_not_at_all() -> None:
    options = pb.EvaluationOptions(labels=[Label(id=5, name="b"), Label(id=3)], iou_thresholds=[0.4, 0.5])
    problem = read(pb.EvaluateRequest(options=options), pb.EvaluateRequest(images=[image()]))
    assert problem.options.class_ids.tolist() == [3, 5]
    assert problem.options.iou_thresholds.tolist() == [0.4, 0.5]
    default = read().options
    assert (default.class_ids, default.iou_thresholds) == (None, None)
    assert (default.confusion_iou_threshold, default.confusion_score_threshold) == (0.5, 0.3)
    with pytest.raises(InvalidInput, match="options: in message 1"):
        read(pb.EvaluateRequest(), pb.EvaluateRequest(options=options))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"labels": [{"id": -1}]}, "options.labels[0].id"),
        ({"labels": [{"id": 1}, {"id": 1}]}, "options.labels[1].id"),
        ({"labels": [{"id": 1}, {"id": 2}, {"id": 3}]}, "options.labels"),
        ({"iou_thresholds": [0.5, 0.5]}, "options.iou_thresholds"),
        ({"iou_thresholds": [0.6, 0.5]}, "options.iou_thresholds"),
        ({"iou_thresholds": [0.0, 0.5]}, "options.iou_thresholds"),
        ({"iou_thresholds": [0.5, 1.1]}, "options.iou_thresholds"),
        ({"iou_thresholds": [NAN]}, "options.iou_thresholds"),
        ({"iou_thresholds": [0.1, 0.2, 0.3]}, "options.iou_thresholds"),
        ({"confusion_iou_threshold": 0.0}, "options.confusion_iou_threshold"),
        ({"confusion_iou_threshold": NAN}, "options.confusion_iou_threshold"),
        ({"confusion_score_threshold": -0.1}, "options.confusion_score_threshold"),
        ({"confusion_score_threshold": 1.1}, "options.confusion_score_threshold"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(pb.EvaluateRequest(options=pb.EvaluationOptions(**options)))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image_id": "x" * 257}, "image_id"),
        ({"truth_xyxy_px": [0, 0, 1]}, "truth_xyxy_px"),
        ({"truth_xyxy_px": [4, 0, 1, 1]}, "truth_xyxy_px"),
        ({"truth_xyxy_px": [0, 0, NAN, 1]}, "truth_xyxy_px"),
        ({"truth_class_ids": [1, 2]}, "truth_class_ids"),
        ({"truth_class_ids": [-1]}, "truth_class_ids"),
        ({"truth_areas_px": [1, 2]}, "truth_areas_px"),
        ({"truth_areas_px": [-1]}, "truth_areas_px"),
        ({"truth_is_crowd": [True, False]}, "truth_is_crowd"),
        ({"detection_xyxy_px": [0, 3, 1, 1]}, "detection_xyxy_px"),
        ({"detection_class_ids": []}, "detection_class_ids"),
        ({"detection_class_ids": [-3]}, "detection_class_ids"),
        ({"detection_scores": []}, "detection_scores"),
        ({"detection_scores": [NAN]}, "detection_scores"),
    ],
)
def test_pictures_that_cannot_be_used_are_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(pb.EvaluateRequest(images=[image(), image(**fields)]))
    assert caught.value.field == f"images[1].{field}"


def test_the_callers_name_of_a_picture_is_told() -> None:
    with pytest.raises(InvalidInput, match=r"images\[0\]\.detection_scores: .* \(image_id 42\.jpg\)"):
        read(pb.EvaluateRequest(images=[image(image_id="42.jpg", detection_scores=[])]))


def many(count: int) -> dict[str, Any]:
    return {"truth_xyxy_px": [0, 0, 1, 1] * count, "truth_class_ids": [1] * count}


@pytest.mark.parametrize(
    ("images", "field", "limit"),
    [
        ([image()] * 3, "images[2]", "2"),
        ([image(**many(5)), image()], "images[1]", "6"),
        ([image(**many(7))], "images[0].truth_xyxy_px", "6"),
        (
            [
                image(
                    **many(3), detection_xyxy_px=[0, 0, 1, 1] * 3, detection_class_ids=[1] * 3, detection_scores=[1] * 3
                )
            ],
            "images[0]",
            "8",
        ),
    ],
)
def test_what_is_above_a_limit_is_refused_with_it(images: Any, field: str, limit: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(pb.EvaluateRequest(images=images))
    assert (caught.value.field, caught.value.metadata["limit"]) == (field, limit)
