"""The detection service with the model that ships with it, on a photograph that the model never saw."""

from collections.abc import Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import coins

from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.detection.v1 import detection_pb2 as pb
from retinue.detection.v1 import detection_pb2_grpc

MODELS = REPOSITORY / "services" / "detection" / "models"

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="the model is not there yet")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (
        ServiceProcess("detection", tmp_path_factory.mktemp("default") / "service.log") as process,
        grpc.insecure_channel(process.target) as channel,
    ):
        yield detection_pb2_grpc.DetectionServiceStub(channel)


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    """24 coins in four rows of six."""
    return np.asarray(coins(), np.uint8)  # type: ignore[no-untyped-call]  # half typed


def request_of(pixels: NDArray[np.uint8], **options: Any) -> pb.DetectRequest:
    request = pb.DetectRequest(options=pb.DetectionOptions(**options))
    request.image.encoded = cv2.imencode(".png", pixels)[1].tobytes()
    return request


def boxes_of(response: pb.DetectResponse) -> NDArray[np.float32]:
    boxes = [[one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max] for one in response.detections]
    return np.reshape(np.array(boxes, np.float32), (-1, 4))


def test_every_coin_is_found_and_nothing_else(stub: Any, photograph: NDArray[np.uint8]) -> None:
    """At most one too many at a score of 0.5."""
    response = stub.Detect(request_of(photograph, score_threshold=0.5, class_names=["coin"]))
    assert 24 <= len(response.detections) <= 25
    assert (response.model.name, {one.label.name for one in response.detections}) == ("rounds-frcnn", {"coin"})
    boxes = boxes_of(response)
    height, width = photograph.shape
    assert (boxes >= 0).all()
    assert (boxes <= [width, height, width, height]).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides[:, 0] / sides[:, 1] > 0.7).all()
    assert (sides[:, 0] / sides[:, 1] < 1.4).all()


def test_coins_are_found_where_they_are_after_a_turn(stub: Any, photograph: NDArray[np.uint8]) -> None:
    """By half the picture: each box has its counterpart, most of the time to a few pixels."""
    upright = boxes_of(stub.Detect(request_of(photograph, score_threshold=0.5)))
    turned = boxes_of(stub.Detect(request_of(np.ascontiguousarray(photograph[::-1, ::-1]), score_threshold=0.5)))
    height, width = photograph.shape
    back = np.array([width, height, width, height]) - turned[:, [2, 3, 0, 1]]
    middles, backs = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (upright, back))
    nearest = np.abs(middles[:, None] - backs).max(axis=2).min(axis=1)
    assert (nearest < 8).sum() >= 23


def test_coins_are_found_through_tiles(stub: Any, photograph: NDArray[np.uint8]) -> None:
    tiling = pb.DetectionTiling(tile_size_px=256, overlap_px=96)
    response = stub.Detect(request_of(photograph, score_threshold=0.5, tiling=tiling))
    assert 22 <= len(response.detections) <= 28


def test_nothing_is_found_on_nothing(stub: Any) -> None:
    for grey in (0, 128, 255):
        response = stub.Detect(request_of(np.full((300, 400), grey, np.uint8), score_threshold=0.5))
        assert len(response.detections) == 0
