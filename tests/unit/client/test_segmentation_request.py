from typing import Any

import pytest

from retinue.client.segmentation_request import SegmentKeywords, plan_segmentation
from retinue.common.v1 import geometry_pb2
from retinue.segmentation.v1 import segmentation_pb2 as pb


def options(keywords: SegmentKeywords) -> pb.SegmentationOptions:
    sent: pb.SegmentationOptions = plan_segmentation(10.0, 10_000, keywords).options
    return sent


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"mask_threshold": 1.5}, "mask_threshold"),
        ({"mask_threshold": float("nan")}, "mask_threshold"),
        ({"class_thresholds": {"coin": -0.1}}, "class_thresholds"),
        ({"score_threshold": 2.0}, "score_threshold"),
        ({"min_area_px": -1}, "min_area_px"),
        ({"min_area_px": 2**31}, "min_area_px"),
        ({"max_instances": 0}, "max_instances"),
        ({"class_map": "polygons"}, "class_map"),
        ({"instance_masks": "coco"}, "instance_masks"),
        ({"model": "@2"}, "model"),
        ({"timeout_s": 0.0}, "timeout_s"),
    ],
)
def test_what_is_out_of_range_is_named(keywords: Any, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        plan_segmentation(10.0, 10_000, keywords)


def test_an_unknown_keyword_is_refused() -> None:
    wrong: Any = {"threshold": 0.5}
    with pytest.raises(TypeError, match="unknown keyword threshold"):
        plan_segmentation(10.0, 10_000, wrong)


@pytest.mark.parametrize(
    ("form", "encoding", "is_omitted"),
    [
        (None, geometry_pb2.MASK_ENCODING_UNSPECIFIED, False),
        ("rle", geometry_pb2.MASK_ENCODING_RLE, False),
        ("png", geometry_pb2.MASK_ENCODING_PNG, False),
        ("polygons", geometry_pb2.MASK_ENCODING_POLYGONS, False),
        ("none", geometry_pb2.MASK_ENCODING_UNSPECIFIED, True),
    ],
)
def test_masks_travel_as_asked(form: Any, encoding: int, *, is_omitted: bool) -> None:
    sent = options(SegmentKeywords(instance_masks=form))
    assert (sent.instance_encoding, sent.is_instance_mask_omitted) == (encoding, is_omitted)


def test_zeros_are_choices_and_not_the_absence_of_one() -> None:
    sent = options(SegmentKeywords(mask_threshold=0.0, score_threshold=0.0, min_area_px=0))
    assert sent.HasField("mask_threshold")
    assert sent.HasField("score_threshold")
    assert sent.HasField("min_area_px")
    assert options(SegmentKeywords(class_thresholds={"coin": 0.0})).class_thresholds[0].HasField("threshold")


def test_what_is_none_is_left_to_the_service() -> None:
    assert options(SegmentKeywords(mask_threshold=None, class_map=None, tiling=None)) == pb.SegmentationOptions()
