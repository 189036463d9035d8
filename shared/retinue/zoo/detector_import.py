"""From a detector's checkpoint to a model package that can be served: read, recognised, exported, checked, written."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from retinue.runtime.package import sha256_of
from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.coco_labels import coco_labels
from retinue.zoo.detr_policy import DetrPolicy
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.export_detr import export_detr
from retinue.zoo.export_faster_rcnn import export_faster_rcnn
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy, Ratios, Sizes
from retinue.zoo.labels import given_labels, labels_for
from retinue.zoo.package import refuse_existing, write_package
from retinue.zoo.recognition_detr import is_detr, recognise_detr
from retinue.zoo.recognition_faster_rcnn import is_faster_rcnn, recognise_faster_rcnn

BACKGROUND = "__background__"
# The original cuts at 100, and where the 100th and the 101st differ by a rounding error that is the sort's own choice:
# imported ones answer those after them too, unless a request asks for fewer.
MAX_DETECTIONS = 300


def is_detector(state: Mapping[str, Tensor]) -> bool:
    """Return whether a checkpoint's tensors have the names of a detector that the zoo knows."""
    return is_faster_rcnn(state) or is_detr(state)


def import_detector(  # noqa: PLR0913 - what a package says, one keyword each
    checkpoint: Path,
    root: Path,
    *,
    name: str,
    version: str = "1",
    labels: Sequence[str] | Path | None = None,
    anchor_sizes: Sequence[Sizes] | None = None,
    aspect_ratios: Ratios | None = None,
    short_side: int | None = None,
    long_side: int | None = None,
    licence: str = "unknown",
    source: str | None = None,
    description: str = "",
    verify_name: bool = True,
    overwrite: bool = False,
) -> Path:
    """Return the folder of the package that was made of a Faster R-CNN's or DETR's checkpoint.

    Args:
        checkpoint: a `.pth`, `.pt` or `.safetensors` file under the names of torchvision or facebookresearch/detr.
        root: the model repository that the package goes into.
        name: of the model.
        version: of the model.
        labels: names by class id, or a file of them (see `labels_for`); of a Faster R-CNN with or without the
            background's, which comes first. None: COCO's where there are as many classes, otherwise numbers.
        anchor_sizes: of a Faster R-CNN, for each level, pixels; None takes those of the published ones.
        aspect_ratios: of its anchors, height by width.
        short_side: what the shorter side of a picture is scaled to, pixels; None as published, mostly 800.
        long_side: what the longer side is at most, pixels; None as published, mostly 1333, or ``short_side`` if that is
            more.
        licence: of the weights, an SPDX identifier or a name.
        source: who made the weights, from what; None takes the file's name.
        description: one sentence for people.
        verify_name: whether a digest in the file's name is checked.
        overwrite: whether a package of that name and version is replaced.

    Raises:
        CheckpointInvalid: the file cannot be read, is of no known detector, or does not fit it.
        ExportDiffers: a graph does not answer as the network.
        PackageExists: the version is there and ``overwrite`` is false.
        PackageRefused: labels or another field of the manifest are not valid.
    """
    refuse_existing(root, name, version, overwrite=overwrite)
    state = read_checkpoint(checkpoint, verify_name=verify_name)
    fields = {
        "name": name,
        "version": version,
        "description": description,
        "task": "detection",
        "provenance": {"source": source or checkpoint.name, "checkpoint_sha256": sha256_of(checkpoint)},
        "licence": licence,
    }
    with tempfile.TemporaryDirectory() as folder:
        if is_faster_rcnn(state):
            found = recognise_faster_rcnn(
                state, file_name=checkpoint.name, anchor_sizes=anchor_sizes, aspect_ratios=aspect_ratios
            )
            shorter, longer = _sides(found.policy, short_side, long_side)
            policy = replace(found.policy, short_side=shorter, long_side=longer)
            two = export_faster_rcnn(found.model, Path(folder), policy)
            fields |= faster_rcnn_fields(policy, two.levels, max_detections=MAX_DETECTIONS)
            fields["labels"] = _labels(found.model.class_count, labels, has_background=True)
            files: Sequence[Path] = two.files
        elif is_detr(state):
            transformer = recognise_detr(state, file_name=checkpoint.name)
            one = export_detr(transformer.model, Path(folder, "model.onnx"))
            fields |= _detr_fields(DetrPolicy(*_sides(DetrPolicy(), short_side, long_side)))
            fields["labels"] = _labels(one.class_count - 1, labels, has_background=False)
            files = one.files
        else:
            raise CheckpointInvalid(
                f"{checkpoint.name} is of no detector that the zoo knows (Faster R-CNN with a feature pyramid, DETR); "
                f"its first tensors are {', '.join(list(state)[:3])}"
            )
        return write_package(root, fields, {path.name: path for path in files}, overwrite=overwrite)


def faster_rcnn_fields(
    policy: FasterRcnnPolicy, levels: Sequence[str], *, max_detections: int | None = None
) -> dict[str, Any]:
    """Return what a manifest says of a two-stage detector that was exported with a policy.

    Args:
        policy: of the detector.
        levels: names of the features that go from graph to graph.
        max_detections: how many boxes are answered; None as the policy says.
    """
    said = asdict(policy)
    own = {key: said[key] for key in ("pixels", "short_side", "long_side", "size_divisor")}
    return {
        "family": "faster_rcnn",
        "input": {"fit": "shorter_side", **own},
        "output": {
            "levels": list(levels),
            "weights": policy.box_weights,
            "min_side_px": policy.min_side_px,
            "anchors": {
                "sizes": policy.anchor_sizes,
                "aspect_ratios": policy.aspect_ratios,
                "strides": policy.strides,
            },
            "proposals": {
                "per_level": policy.proposals_per_level,
                "count": policy.proposals,
                "nms_iou": policy.proposal_nms_iou,
                "score_threshold": policy.proposal_score_threshold,
                "min_side_px": policy.proposal_min_side_px,
                "weights": policy.proposal_weights,
            },
            "selection": {
                "score_threshold": policy.score_threshold,
                "iou_threshold": policy.nms_iou,
                "max_detections": max_detections or policy.detections,
            },
        },
    }


def _sides(published: FasterRcnnPolicy | DetrPolicy, short_side: int | None, long_side: int | None) -> tuple[int, int]:
    shorter = published.short_side if short_side is None else short_side
    return shorter, max(published.long_side, shorter) if long_side is None else long_side


def _detr_fields(policy: DetrPolicy) -> dict[str, Any]:
    return {
        "family": "detr",
        "input": {
            "fit": "shorter_side",
            "pixels": "uint8",
            "antialias": True,
            "rounding": "detr",
            "short_side": policy.short_side,
            "long_side": policy.long_side,
            "size_divisor": policy.size_divisor,
        },
        "output": {
            "selection": {
                "score_threshold": policy.score_threshold,
                "nms": "none",
                "max_detections": policy.detections,
            }
        },
    }


def _labels(class_count: int, labels: Sequence[str] | Path | None, *, has_background: bool) -> tuple[str, ...]:
    """Return a name for each class id."""
    coco = coco_labels(BACKGROUND if has_background else "N/A")
    if labels is None:
        if class_count == len(coco):
            return coco
        numbered = labels_for(class_count)
        return (BACKGROUND, *numbered[1:]) if has_background else numbered
    names = given_labels(labels)
    if has_background and len(names) == class_count - 1:
        names = (BACKGROUND, *names)
    return labels_for(class_count, names)
