"""Published detectors, from the checkpoint file to the answer over gRPC: what the original implementation finds."""

import argparse
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from loadtests.service_process import ServiceProcess
from retinue.common.v1 import image_pb2
from retinue.detection.v1 import detection_pb2 as pb
from retinue.detection.v1 import detection_pb2_grpc
from retinue.ops import clip_boxes, pairwise_iou
from retinue.zoo.detector_import import import_detector
from tests.data.golden_detection import golden_detector

pytestmark = pytest.mark.slow  # networks of forty million weights


def _answer(target: str, picture: NDArray[np.uint8]) -> pb.DetectResponse:
    height, width = picture.shape[:2]
    raw = image_pb2.RawImage(height=height, width=width, pixels=picture.tobytes())
    request = pb.DetectRequest(image=image_pb2.Image(raw=raw), options=pb.DetectionOptions(score_threshold=0.0))
    with grpc.insecure_channel(target) as channel:
        response: pb.DetectResponse = detection_pb2_grpc.DetectionServiceStub(channel).Detect(request, timeout=120)
    return response


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("torchvision_fasterrcnn_resnet50_fpn", {}),
        ("detr_r50", {"short_side": 256}),  # the original was given its picture as it was
    ],
)
def test_a_published_checkpoint_finds_over_grpc_what_the_original_finds(
    name: str, sides: dict[str, Any], tmp_path: Path
) -> None:
    """Every reference box above 0.05 has a box of its label with IoU of 0.99 and a score within 0.001."""
    state, wanted = golden_detector(name)
    checkpoint = tmp_path / "detector.pth"
    torch.save({"model": state, "args": argparse.Namespace(lr=1e-4), "epoch": 3}, checkpoint)
    folder = import_detector(checkpoint, tmp_path / "models", name="golden", **sides)
    checkpoint.unlink()  # a large one should not outlive its test
    settings = {"RETINUE_MODELS__ROOTS": f'["{folder.parents[1]}"]', "RETINUE_MODELS__DEFAULT": "golden"}
    settings["RETINUE_MODELS__LOAD"] = '["golden"]'
    with ServiceProcess("detection", tmp_path / "service.log", settings) as service:
        response = _answer(service.target, wanted["input"])
    found: list[Any] = list(response.detections)
    boxes = np.array([[d.box.x_min, d.box.y_min, d.box.x_max, d.box.y_max] for d in found], np.float32)
    is_asked = wanted["out_scores"] > 0.05
    reference = clip_boxes(wanted["out_boxes"][is_asked], *wanted["input"].shape[:2])
    overlap = pairwise_iou(reference, boxes)
    is_same = wanted["out_labels"][is_asked][:, None] == np.array([d.label.id for d in found])
    is_near = np.abs(wanted["out_scores"][is_asked][:, None] - np.array([d.score for d in found])) <= 1e-3
    assert is_asked.any()
    assert ((overlap >= 0.99) & is_same & is_near).any(1).all()
