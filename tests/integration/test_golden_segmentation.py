"""A published UNet, from the checkpoint file to the answer over gRPC: the classes that the original gives pixels."""

from pathlib import Path

import grpc
import numpy as np
import pytest
import torch

from loadtests.service_process import ServiceProcess
from retinue.common.v1 import image_pb2
from retinue.ops import rle_decode, rle_from_string
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.segmentation.v1 import segmentation_pb2_grpc
from retinue.zoo.segmenter_import import import_segmenter
from tests.data.golden_detection import golden_detector

pytestmark = pytest.mark.slow  # a network of thirty million weights


def test_a_published_checkpoint_gives_over_grpc_the_classes_of_the_original(tmp_path: Path) -> None:
    state, wanted = golden_detector("milesial_unet")
    checkpoint = tmp_path / "unet.pth"
    torch.save(state, checkpoint)
    folder = import_segmenter(checkpoint, tmp_path / "models", name="golden", labels=["ground", "thing"])
    checkpoint.unlink()  # a large one should not outlive its test
    settings = {
        "RETINUE_MODELS__ROOTS": f'["{folder.parents[1]}"]',
        "RETINUE_MODELS__LOAD": '["golden"]',
        "RETINUE_MODELS__DEFAULT": "golden",
    }
    picture = wanted["input"]
    height, width = picture.shape[:2]
    raw = image_pb2.RawImage(height=height, width=width, pixels=picture.tobytes())
    with (
        ServiceProcess("segmentation", tmp_path / "service.log", settings) as service,
        grpc.insecure_channel(service.target) as channel,
    ):
        stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
        response = stub.Segment(pb.SegmentRequest(image=image_pb2.Image(raw=raw)), timeout=120)
    [logits] = wanted["out_logits"]
    mask = response.classes[1].mask
    thing = rle_decode(rle_from_string(mask.counts, mask.height, mask.width)).astype(bool)
    # What is nearer to a draw than a rounding error may fall to either side.
    is_clear = np.abs(logits[1] - logits[0]) > 1e-4 * np.ptp(logits)
    assert is_clear.mean() > 0.99
    np.testing.assert_array_equal(thing[is_clear], (logits[1] > logits[0])[is_clear])
    assert sum(region.pixel_count for region in response.classes) == height * width
