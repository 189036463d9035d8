"""The blocking client of detection against a real server; what all clients do is tested in `test_service_client`."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from retinue.client.detection import DetectionClient
from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.errors import CallFailed, ItemError
from retinue.client.pictures import Picture, PictureSource
from retinue.client.tiling import Tiling
from retinue.common.v1 import image_pb2, model_pb2
from retinue.detection.v1 import detection_pb2 as pb
from tests.unit.client.scripted_detection import RunningDetection

JPEG = b"\xff\xd8 not looked at"


def test_an_answer_arrives_as_a_value(detector: DetectionClient) -> None:
    found = detector.detect(Picture(JPEG, "a.jpg"))
    assert found.image_id == "a.jpg"
    assert found.detections == (
        Detection((1.5, 2.0, 20.25, 25.0), 0, "coin", 0.75),
        Detection((10.0, 12.0, 40.0, 30.0), 1, "red cell", 0.5),
    )
    assert found.best == found.detections[0]
    assert (found.model_name, found.model_version) == ("rounds", "2")
    assert (found.image_info.width, found.image_info.height, found.image_info.format) == (40, 30, "png")
    assert found.timings.total_s == pytest.approx(1.001)  # nanoseconds are exact, their sum is not


def test_every_option_reaches_the_service(detector: DetectionClient, served_detection: RunningDetection) -> None:
    detector.detect(
        JPEG,
        model="rounds@2",
        score_threshold=0.0,
        class_ids=[3, 0],
        class_names=("coin", "red cell"),
        nms="soft_gaussian",
        iou_threshold=0.25,
        sigma=0.75,
        class_agnostic=False,
        max_detections=7,
        tiling=Tiling(640, overlap_px=64, merge_metric="iou", merge_threshold=0.0, is_whole_picture_added=True),
        request_id="frame-17",
    )
    (request,) = served_detection.service.requests
    assert request == pb.DetectRequest(
        image=image_pb2.Image(encoded=JPEG),
        model=model_pb2.ModelRef(name="rounds", version="2"),
        options=pb.DetectionOptions(
            score_threshold=0.0,
            class_ids=[3, 0],
            class_names=["coin", "red cell"],
            nms_kind=pb.NMS_KIND_SOFT_GAUSSIAN,
            iou_threshold=0.25,
            sigma=0.75,
            is_class_agnostic=False,
            max_detections=7,
            tiling=pb.DetectionTiling(
                tile_size_px=640,
                overlap_px=64,
                merge_metric=pb.MERGE_METRIC_IOU,
                merge_threshold=0.0,
                is_whole_picture_added=True,
            ),
        ),
    )
    assert request.options.HasField("score_threshold"), "0.0 is a threshold and not the absence of one"
    assert request.options.HasField("is_class_agnostic"), "False is a choice and not the absence of one"
    assert served_detection.service.metadata[0]["x-request-id"] == "frame-17"


def test_unset_options_are_left_to_the_service(detector: DetectionClient, served_detection: RunningDetection) -> None:
    detector.detect(JPEG)
    (request,) = served_detection.service.requests
    assert not request.HasField("model")
    assert request.options == pb.DetectionOptions()


def test_batches_and_streams_carry_the_options_too(
    detector: DetectionClient, served_detection: RunningDetection
) -> None:
    detector.detect_batch([JPEG, JPEG], nms="none", model="rounds")
    list(detector.detect_stream([JPEG, JPEG], nms="none", model="rounds"))
    batch, *streamed = served_detection.service.requests
    for request in (batch, *(one.request for one in streamed)):
        assert (request.model.name, request.options) == ("rounds", pb.DetectionOptions(nms_kind=pb.NMS_KIND_NONE))


def test_a_picture_without_things_is_an_ordinary_answer(
    detector: DetectionClient, served_detection: RunningDetection
) -> None:
    served_detection.service.on_detect = lambda *_: pb.DetectResponse()
    found = detector.detect(JPEG)
    assert (found.detections, found.best) == ((), None)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_bad_picture_leaves_its_neighbours_alone(
    detector: DetectionClient, tmp_path: Path, *, is_streamed: bool
) -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pictures: list[PictureSource | Picture] = [pixels, tmp_path / "no.jpg", Picture(b"bad", "bad"), b"", pixels]
    results = list(detector.detect_stream(pictures)) if is_streamed else detector.detect_batch(pictures)
    assert [type(result) for result in results] == [DetectionAnswer, ItemError, ItemError, ItemError, DetectionAnswer]
    reasons = [result.reason for result in results if isinstance(result, ItemError)]
    assert reasons == ["PICTURE_UNREADABLE", "INVALID_IMAGE", "PICTURE_INVALID"]


def test_nothing_is_sent_of_what_cannot_be(detector: DetectionClient, served_detection: RunningDetection) -> None:
    wrong: Any = {"threshold": 0.5}
    for method in (detector.detect, detector.detect_batch, detector.detect_stream):
        ask: Any = method
        with pytest.raises(TypeError, match="unknown keyword threshold"):
            ask([JPEG], **wrong)
        with pytest.raises(ValueError, match="score_threshold"):
            ask([JPEG], score_threshold=2.0)
    with pytest.raises(ValueError, match="max_in_flight"):
        detector.detect_stream([JPEG], max_in_flight=0)
    assert served_detection.service.requests == []


def test_a_refused_call_is_raised(detector: DetectionClient, served_detection: RunningDetection) -> None:
    served_detection.service.on_detect = lambda _, context: context.abort(grpc.StatusCode.NOT_FOUND, "no model x")
    with pytest.raises(CallFailed, match="NOT_FOUND: no model x"):
        detector.detect(JPEG, model="x")
