"""What a Faster R-CNN learns from: both stages' losses on a batch of pictures with boxes.

Source:
    Ren et al., NeurIPS 2015, arXiv:1506.01497, equation 1; Girshick, ICCV 2015, arXiv:1504.08083, equation 3. The
    second stage learns from the first's proposals as they are, and from the targets themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from retinue.ops.anchors import pyramid_anchors
from retinue.ops.box_coder import decode_boxes, encode_boxes
from retinue.ops.boxes import clip_boxes, drop_small_boxes
from retinue.ops.suppression import nms
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.region_proposals import COORDINATES, best_proposals
from retinue.zoo.target_matching import match_to_targets, sample_matches

_BETA = 1 / 9


@dataclass(frozen=True, slots=True)
class Targets:
    """The objects of one picture."""

    boxes: NDArray[np.float32]
    """(n, 4) corners x1, y1, x2, y2, pixels of the picture as the network sees it."""
    labels: NDArray[np.int64]
    """(n,) class ids from 1 up; 0 is the background."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many boxes a step learns from; the defaults are those of the published detectors."""

    anchors: int = 256
    """Of each picture, in the first stage."""
    positive_anchor_share: float = 0.5
    boxes: int = 512
    """Of each picture, in the second stage."""
    positive_box_share: float = 0.25
    proposals: int = 2000
    """At most so many of each picture are looked at for the second stage, and before suppression of each level."""


def faster_rcnn_losses(
    model: FasterRcnn,
    pictures: Tensor,
    targets: Sequence[Targets],
    policy: FasterRcnnPolicy,
    rng: np.random.Generator,
    sampling: Sampling = Sampling(),
) -> dict[str, Tensor]:
    """Return the losses ``objectness``, ``proposal_boxes``, ``classes`` and ``boxes``, scalars to be added.

    Args:
        model: in training mode.
        pictures: float32 [batch, 3, height, width], normalised, all of one size.
        targets: one for each picture.
        policy: anchors, and how proposals are chosen.
        rng: chooses what is learnt from.
        sampling: how much is learnt from.
    """
    levels = model.levels(pictures)
    proposals = model.proposals(levels)
    height, width = pictures.shape[2:]
    sizes = [(level.shape[2], level.shape[3]) for level in levels]
    ratios = [policy.aspect_ratios] * len(sizes)
    by_level = pyramid_anchors(sizes, policy.anchor_sizes, ratios, strides=policy.strides)
    anchors = np.concatenate(by_level)
    logits, deltas = (torch.cat(parts, 1) for parts in zip(*proposals, strict=True))
    objectness, proposal_boxes = _first_stage(logits, deltas, anchors, targets, policy, rng, sampling)

    starts = np.cumsum([0, *(len(level) for level in by_level[:-1])])
    best_logits, index, best_deltas = (x.detach().numpy() for x in best_proposals(proposals, sampling.proposals))
    counts = [min(len(level), sampling.proposals) for level in by_level]
    place, level_of = index + np.repeat(starts, counts), np.repeat(np.arange(len(counts)), counts)
    chosen = []
    for row in range(len(targets)):
        boxes = decode_boxes(best_deltas[row], anchors[place[row]], weights=policy.proposal_weights)
        boxes = clip_boxes(boxes, height, width)
        kept = drop_small_boxes(boxes, policy.proposal_min_side_px)
        kept = kept[
            nms(
                boxes[kept],
                best_logits[row, kept],
                policy.proposal_nms_iou,
                labels=level_of[kept],
                max_output=sampling.proposals,
            )
        ]
        chosen.append(np.concatenate([boxes[kept], targets[row].boxes]))
    classes, boxes_loss = _second_stage(model, levels, chosen, targets, policy, rng, sampling)
    return {"objectness": objectness, "proposal_boxes": proposal_boxes, "classes": classes, "boxes": boxes_loss}


def _first_stage(
    logits: Tensor,
    deltas: Tensor,
    anchors: NDArray[np.float32],
    targets: Sequence[Targets],
    policy: FasterRcnnPolicy,
    rng: np.random.Generator,
    sampling: Sampling,
) -> tuple[Tensor, Tensor]:
    """Return the losses of telling anchors with objects from those without, and of moving them."""
    answered, wanted, moved, moves = [], [], [], []
    for row, target in enumerate(targets):
        matched = match_to_targets(anchors, target.boxes, low=0.3, high=0.7, keeps_best=True)
        positive, negative = sample_matches(matched, sampling.anchors, sampling.positive_anchor_share, rng)
        answered += [logits[row, positive], logits[row, negative]]
        wanted += [torch.ones(len(positive)), torch.zeros(len(negative))]
        moved.append(deltas[row, positive])
        own = target.boxes[matched[positive]]
        moves.append(torch.from_numpy(encode_boxes(own, anchors[positive], weights=policy.proposal_weights)))
    answers = torch.cat(answered)
    objectness = functional.binary_cross_entropy_with_logits(answers, torch.cat(wanted))
    boxes = functional.smooth_l1_loss(torch.cat(moved), torch.cat(moves), beta=_BETA, reduction="sum")
    return objectness, boxes / max(1, len(answers))


def _second_stage(
    model: FasterRcnn,
    levels: Sequence[Tensor],
    proposals: Sequence[NDArray[np.float32]],
    targets: Sequence[Targets],
    policy: FasterRcnnPolicy,
    rng: np.random.Generator,
    sampling: Sampling,
) -> tuple[Tensor, Tensor]:
    """Return the losses of naming what proposals hold, and of moving them onto it."""
    boxes, pictures, labels, moves = [], [], [], []
    for row, (candidates, target) in enumerate(zip(proposals, targets, strict=True)):
        matched = match_to_targets(candidates, target.boxes, low=0.5, high=0.5)
        positive, negative = sample_matches(matched, sampling.boxes, sampling.positive_box_share, rng)
        sampled = candidates[np.concatenate([positive, negative])]
        own = target.boxes[matched[positive]]
        boxes.append(sampled)
        pictures.append(np.full(len(sampled), row))
        labels.append(np.concatenate([target.labels[matched[positive]], np.zeros(len(negative), np.int64)]))
        moves.append(encode_boxes(own, candidates[positive], weights=policy.box_weights))
    logits, deltas = model.classes(
        levels, torch.from_numpy(np.concatenate(boxes)), torch.from_numpy(np.concatenate(pictures))
    )
    label = torch.from_numpy(np.concatenate(labels))
    own_rows = torch.nonzero(label > 0).flatten()
    moved = deltas.reshape(-1, model.class_count, COORDINATES)[own_rows, label[own_rows]]
    wanted = torch.from_numpy(np.concatenate(moves))
    shift = functional.smooth_l1_loss(moved, wanted, beta=_BETA, reduction="sum")
    classes = functional.cross_entropy(logits, label, reduction="sum")
    count = max(1, len(label))  # where no candidate is left the mean would be NaN
    return classes / count, shift / count
