"""Telling from the names and shapes of a checkpoint's tensors which Faster R-CNN they belong to.

Nothing goes by file but what weights cannot tell: the low resolution of one published detector.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_policy import MOBILENET, MOBILENET_320, FasterRcnnPolicy, Ratios, Sizes
from retinue.zoo.fitting import fill, shape_of
from retinue.zoo.recognition_body import body_of
from retinue.zoo.renames_detection import migrated_detector

_LOW_RESOLUTION = re.compile(r"_320_|-907ea3f9\.")

# The published ResNet-50 of the first generation was trained without an epsilon; so was all that is fine-tuned from it.
_FROZEN_RESNET_EPS = 0.0
_OTHER_HEADS = ("roi_heads.mask_", "roi_heads.keypoint_")


@dataclass(frozen=True, slots=True)
class RecognisedFasterRcnn:
    """A detector with the weights of a checkpoint, ready to answer."""

    model: FasterRcnn
    policy: FasterRcnnPolicy
    architecture: str
    """Such as ``fasterrcnn_resnet50_fpn``."""


def is_faster_rcnn(state: Mapping[str, Tensor]) -> bool:
    """Return whether a checkpoint's tensors have the names of a two-stage detector."""
    return "rpn.head.cls_logits.weight" in state and "roi_heads.box_predictor.cls_score.weight" in state


def recognise_faster_rcnn(
    state: Mapping[str, Tensor],
    *,
    file_name: str = "",
    anchor_sizes: Sequence[Sizes] | None = None,
    aspect_ratios: Ratios | None = None,
    frozen_eps: float = _FROZEN_RESNET_EPS,
    canonical_px: float = 224.0,
) -> RecognisedFasterRcnn:
    """Return the detector that a checkpoint holds, with its weights in place.

    Depth, widths, class count and kind of head are read off; of a Mask R-CNN or Keypoint R-CNN the boxes are taken.
    Anchors are those of the published detector with the same body and as many of them, unless they are given.

    Args:
        state: tensors by name, as `read_checkpoint` gives them.
        file_name: of the checkpoint; ``_320_`` in it means the low resolution.
        anchor_sizes: for each level, pixels.
        aspect_ratios: height by width of the anchors.
        frozen_eps: epsilon of a ResNet's frozen normalisation: 0 for the published weights and what was fine-tuned from
            them, 1e-5 for what was trained from a classifier's. Of no meaning where batches were counted.
        canonical_px: side of the box whose features come from stride 16.

    Raises:
        CheckpointInvalid: it is no such detector, a dimension cannot be read, or its anchors must be given.
        CheckpointMismatch: names or shapes differ from those of the architecture; the message lists them.
    """
    state = {name: tensor for name, tensor in migrated_detector(state).items() if not name.startswith(_OTHER_HEADS)}
    levels = _indices(state, r"backbone\.fpn\.inner_blocks\.(\d+)\.0\.weight")
    in_channels = [shape_of(state, f"backbone.fpn.inner_blocks.{i}.0.weight", 4)[1] for i in range(levels)]
    if not in_channels:
        raise CheckpointInvalid(
            "there is no feature pyramid: the checkpoint lacks backbone.fpn.inner_blocks.0.0.weight"
        )
    prefix = "backbone.body."
    body_state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    body, body_name = body_of(body_state, in_channels, frozen_eps=frozen_eps)
    has_pyramid_norm = "backbone.fpn.inner_blocks.0.1.weight" in state
    convolutions = _indices(state, r"roi_heads\.box_head\.(\d+)\.0\.weight")
    last = f"roi_heads.box_head.{convolutions + 1}.weight" if convolutions else "roi_heads.box_head.fc7.weight"
    policy = _policy(
        body.strides, shape_of(state, "rpn.head.cls_logits.weight", 4)[0], file_name, anchor_sizes, aspect_ratios
    )
    with torch.device("meta"):
        try:
            model = FasterRcnn(
                body,
                class_count=shape_of(state, "roi_heads.box_predictor.cls_score.weight", 2)[0],
                anchor_count=policy.anchors_per_cell,
                pyramid_channels=shape_of(state, "backbone.fpn.layer_blocks.0.0.weight", 4)[0],
                hidden=shape_of(state, last, 2)[0],
                proposal_depth=_indices(state, r"rpn\.head\.conv\.(\d+)\.0\.weight"),
                head_convolutions=[
                    shape_of(state, f"roi_heads.box_head.{i}.0.weight", 4)[0] for i in range(convolutions)
                ],
                has_pyramid_norm=has_pyramid_norm,
                has_pooled_level=len(policy.strides) > len(body.strides),
                canonical_px=canonical_px,
            )
        except ValueError as error:
            raise CheckpointInvalid(f"the checkpoint is of no detector that the zoo can build: {error}") from error
    name = f"fasterrcnn_{body_name}_fpn" + ("_v2" if has_pyramid_norm else "")
    if policy == MOBILENET_320:
        name = name.replace("_fpn", "_320_fpn")
    fill(model, state, name)
    return RecognisedFasterRcnn(model, policy, name)


def _policy(
    strides: tuple[int, ...],
    anchor_count: int,
    file_name: str,
    anchor_sizes: Sequence[Sizes] | None,
    aspect_ratios: Ratios | None,
) -> FasterRcnnPolicy:
    """Return the policy of the published detector with such a body and so many anchors, or one with given anchors."""
    with_pool = (*strides, 2 * strides[-1])
    published = FasterRcnnPolicy()
    if strides[0] == strides[-1]:
        published = MOBILENET_320 if _LOW_RESOLUTION.search(file_name) else MOBILENET
    policy = replace(
        published,
        anchor_sizes=tuple(map(tuple, anchor_sizes or published.anchor_sizes)),
        aspect_ratios=tuple(aspect_ratios or published.aspect_ratios),
    )
    if len(policy.anchor_sizes) not in (len(strides), len(with_pool)) or policy.anchors_per_cell != anchor_count:
        raise CheckpointInvalid(
            f"the checkpoint has {anchor_count} anchors at each cell of {len(strides)} or {len(with_pool)} levels, not "
            f"{policy.anchors_per_cell} of {len(policy.anchor_sizes)}: their sizes and aspect ratios must be given"
        )
    return replace(policy, strides=strides if len(policy.anchor_sizes) == len(strides) else with_pool)


def _indices(state: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many different numbers stand at the pattern's group."""
    return len({found[1] for name in state if (found := re.fullmatch(pattern, name))})
