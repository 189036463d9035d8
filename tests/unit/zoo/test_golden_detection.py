"""Checkpoint file -> recognition -> graphs -> ONNX Runtime finds what the original implementation finds."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from retinue.ops.overlap import pairwise_iou
from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.export_detr import export_detr
from retinue.zoo.export_faster_rcnn import export_faster_rcnn
from retinue.zoo.recognition_detr import recognise_detr
from retinue.zoo.recognition_faster_rcnn import recognise_faster_rcnn
from retinue.zoo.two_stage import TwoStage
from tests.unit.zoo.conftest import Outputs

GoldenDetection = Callable[[str], tuple[dict[str, torch.Tensor], Outputs]]

pytestmark = pytest.mark.slow  # networks of forty million weights


def _save(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:  # as training scripts leave it, options and all
        torch.save({"model": state, "args": argparse.Namespace(lr=1e-4), "epoch": 3}, path)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_faster_rcnn_finds_every_box_of_the_original(
    suffix: str, golden_detection: GoldenDetection, tmp_path: Path
) -> None:
    """Every reference box has a box of its label with IoU of 0.99 and a score within 0.001."""
    state, wanted = golden_detection("torchvision_fasterrcnn_resnet50_fpn")
    path = _save(state, tmp_path / f"detector{suffix}")
    found = recognise_faster_rcnn(read_checkpoint(path))
    export_faster_rcnn(found.model, tmp_path, found.policy)
    path.unlink()  # a large one should not outlive its test
    # The 100th and the 101st box differ by 1e-7 in score, and ties among proposals bring in some more above them.
    detector = TwoStage(tmp_path, replace(found.policy, detections=300))
    (answer,) = detector.detect([wanted["input"]])
    overlap = pairwise_iou(wanted["out_boxes"], answer.boxes)
    is_same = wanted["out_labels"][:, None] == answer.labels
    is_near = np.abs(wanted["out_scores"][:, None] - answer.scores) <= 1e-3
    assert ((overlap >= 0.99) & is_same & is_near).any(1).all()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_detr_answers_as_the_original(suffix: str, golden_detection: GoldenDetection, tmp_path: Path) -> None:
    state, wanted = golden_detection("detr_r50")
    path = _save(state, tmp_path / f"detector{suffix}")
    export_detr(recognise_detr(read_checkpoint(path)).model, tmp_path / "model.onnx")
    path.unlink()
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    image = wanted["input"][None]
    logits, boxes = session.run(["logits", "boxes"], {"image": image, "size": np.array([image.shape[1:3]])})
    # The same arithmetic in another order: 5e-7 of the spread; a wrong epsilon shows at 1e-3.
    assert np.abs(logits[0] - wanted["out_logits"]).max() < 1e-5 * np.ptp(wanted["out_logits"])
    assert np.abs(boxes[0] - wanted["out_boxes_cxcywh"]).max() < 1e-5
