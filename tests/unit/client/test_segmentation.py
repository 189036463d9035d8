"""The blocking client of segmentation against a real server; what all clients do is tested in `test_service_client`."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from retinue.client.errors import CallFailed, ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.segmentation import SegmentationClient
from retinue.client.segmentation_answer import SegmentationAnswer
from retinue.client.segmentation_tiling import SegmentationTiling
from retinue.client.slide_geometry import SlideGeometry
from retinue.common.v1 import geometry_pb2, image_pb2, model_pb2
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import RunningSegmentation, things

JPEG = b"\xff\xd8 not looked at"


def test_an_answer_arrives_as_a_value(segmenter: SegmentationClient) -> None:
    found = segmenter.segment(Picture(JPEG, "a.jpg"))
    assert found.image_id == "a.jpg"
    assert [(one.label_id, one.label, one.pixel_count) for one in found.classes] == [
        (0, "background", 830),
        (1, "coin", 330),
        (2, "token", 40),
    ]
    np.testing.assert_array_equal(found.instance_map(), things())
    assert (found.model_name, found.model_version) == ("rounds", "2")
    assert (found.image_info.width, found.image_info.height, found.image_info.format) == (40, 30, "png")
    assert found.timings.total_s == pytest.approx(1.001)  # nanoseconds are exact, their sum is not


def test_every_option_reaches_the_service(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    segmenter.segment(
        JPEG,
        model="rounds@2",
        mask_threshold=0.25,
        class_thresholds={"coin": 0.75, "token": 0.0},
        score_threshold=0.5,
        min_area_px=9,
        max_instances=7,
        class_map="png",
        instance_masks="polygons",
        tiling=SegmentationTiling(640, overlap_px=64, blend="gaussian"),
        request_id="frame-17",
    )
    (request,) = served_segmentation.service.requests
    assert request == pb.SegmentRequest(
        image=image_pb2.Image(encoded=JPEG),
        model=model_pb2.ModelRef(name="rounds", version="2"),
        options=pb.SegmentationOptions(
            mask_threshold=0.25,
            class_thresholds=[
                pb.ClassThreshold(class_name="coin", threshold=0.75),
                pb.ClassThreshold(class_name="token", threshold=0.0),
            ],
            score_threshold=0.5,
            min_area_px=9,
            max_instances=7,
            class_map_encoding=pb.CLASS_MAP_ENCODING_PNG,
            instance_encoding=geometry_pb2.MASK_ENCODING_POLYGONS,
            tiling=pb.SegmentationTiling(tile_size_px=640, overlap_px=64, blend=pb.TILE_BLEND_GAUSSIAN),
        ),
    )
    assert served_segmentation.service.metadata[0]["x-request-id"] == "frame-17"


def test_unset_options_are_left_to_the_service(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    segmenter.segment(JPEG)
    (request,) = served_segmentation.service.requests
    assert not request.HasField("model")
    assert request.options == pb.SegmentationOptions()


def test_a_bad_picture_leaves_its_neighbours_alone(segmenter: SegmentationClient, tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pictures: list[PictureSource | Picture] = [pixels, tmp_path / "no.jpg", Picture(b"bad", "bad"), b"", pixels]
    results = segmenter.segment_batch(pictures)
    kinds = [SegmentationAnswer, ItemError, ItemError, ItemError, SegmentationAnswer]
    assert [type(result) for result in results] == kinds
    reasons = [result.reason for result in results if isinstance(result, ItemError)]
    assert reasons == ["PICTURE_UNREADABLE", "INVALID_IMAGE", "PICTURE_INVALID"]


def test_nothing_is_sent_of_what_cannot_be(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    wrong: Any = {"threshold": 0.5}
    ask_slide: Any = segmenter.segment_slide
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (segmenter.segment, (JPEG,)),
        (segmenter.segment_batch, ([JPEG],)),
        (ask_slide, ([], SlideGeometry(64, 64, 32, 32))),
    ]
    for ask, arguments in calls:
        with pytest.raises(TypeError, match="unknown keyword threshold"):
            ask(*arguments, **wrong)
        with pytest.raises(ValueError, match="score_threshold"):
            ask(*arguments, score_threshold=2.0)
    assert served_segmentation.service.requests == []


def test_a_refused_call_is_raised(segmenter: SegmentationClient, served_segmentation: RunningSegmentation) -> None:
    served_segmentation.service.on_segment = lambda _, context: context.abort(grpc.StatusCode.NOT_FOUND, "no model x")
    with pytest.raises(CallFailed, match="NOT_FOUND: no model x"):
        segmenter.segment(JPEG, model="x")
