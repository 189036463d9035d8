from typing import Any

import numpy as np
import pytest

from retinue.client.detection_request import DetectKeywords, plan_detection
from retinue.detection.v1 import detection_pb2 as pb


def options(**keywords: Any) -> pb.DetectionOptions:
    found: pb.DetectionOptions = plan_detection(10.0, 10_000, DetectKeywords(**keywords)).options  # type: ignore[typeddict-item]  # any of them
    return found


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("score_threshold", -0.1),
        ("score_threshold", 1.1),
        ("score_threshold", float("nan")),
        ("iou_threshold", -0.1),
        ("iou_threshold", float("nan")),
        ("class_ids", [0, -1]),
        ("class_ids", [2**31]),
        ("nms", "greedy"),
        ("nms", "HARD"),
        ("sigma", 0.0),
        ("sigma", -1.0),
        ("sigma", float("nan")),
        ("sigma", float("inf")),
        ("max_detections", 0),
        ("max_detections", 2**31),
        ("model", ""),
        ("timeout_s", -1),
        ("request_id", "a b"),
    ],
)
def test_a_keyword_out_of_range_is_named(keyword: str, value: Any) -> None:
    with pytest.raises(ValueError, match=keyword):
        options(**{keyword: value})


def test_one_name_is_not_taken_for_its_letters() -> None:
    with pytest.raises(TypeError, match=r"class_names .* \['coin'\]"):
        options(class_names="coin")


def test_none_is_the_default_of_every_keyword() -> None:
    assert options(**dict.fromkeys(DetectKeywords.__annotations__)) == options() == pb.DetectionOptions()


@pytest.mark.parametrize("name", ["hard", "soft_linear", "soft_gaussian", "diou", "matrix", "none"])
def test_every_kind_of_nms_has_its_name(name: str) -> None:
    assert options(nms=name).nms_kind == pb.NmsKind.Value(f"NMS_KIND_{name.upper()}")


def test_classes_may_be_arrays() -> None:
    found = options(class_ids=np.array([3, 1]), class_names=np.array(["coin"]))
    assert found == pb.DetectionOptions(class_ids=[3, 1], class_names=["coin"])
