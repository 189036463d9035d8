"""From a Faster R-CNN to two ONNX graphs with free batch, height, width and box count, checked against the network.

``rpn.onnx`` takes pictures and gives levels of features and the most promising anchors; ``head.onnx`` takes levels and
boxes and gives scores and corrections. What lies between them, anchors, decoding, clipping and suppression, belongs to
the serving side: it has no weights, and it is different for every picture of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retinue.zoo.architectures import IMAGENET_MEAN, IMAGENET_STD
from retinue.zoo.errors import ExportDiffers
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.normalisation import Normalisation, inside
from retinue.zoo.region_proposals import COORDINATES, best_proposals
from retinue.zoo.tracing import relative_difference, save_graph, session_of, traced

RPN_FILE, HEAD_FILE = "rpn.onnx", "head.onnx"

# Batch, height and width of the pictures that graph and network are compared on, in multiples of the size divisor.
_CHECKED_SIZES = ((1, 2, 3), (2, 3, 2))
_CHECKED_BOX_COUNTS = (0, 1, 40)


@dataclass(frozen=True, slots=True)
class ExportedFasterRcnn:
    """What was written, and how near it answers."""

    files: tuple[Path, ...]
    """``rpn.onnx`` and ``head.onnx``."""
    levels: tuple[str, ...]
    """Names of the features that the first graph gives and the second takes, the finest first."""
    deviation: float
    """Largest difference from PyTorch found, as a share of the output's spread."""


def export_faster_rcnn(
    model: FasterRcnn,
    folder: Path,
    policy: FasterRcnnPolicy,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    tolerance: float = 1e-3,
) -> ExportedFasterRcnn:
    """Return what was written after exporting a detector as two graphs and comparing their answers with the network's.

    ``rpn.onnx``: ``image``, uint8 or float32 as the policy says, [batch, height, width, 3] RGB in [0, 255], scaled, at
    the upper left, height and width multiples of the policy's divisor; ``size``, int64 [batch, 2], height and width of
    each picture inside, beyond which ``image`` is not looked at. Gives ``level_0`` …, the features that boxes are cut
    from, [batch, channels, rows, columns]; ``objectness``, float32 logits [batch, anchors], the best of each level, in
    order, level after level; ``anchor``, int64 [batch, anchors], their indices into the anchors of their level, row by
    row, cell by cell, shape by shape; ``anchor_deltas``, float32 [batch, anchors, 4]. Of each level come as many as the
    policy says, or all if it has fewer.

    ``head.onnx``: the levels; ``boxes``, float32 [boxes, 4], x1, y1, x2, y2 in pixels of the scaled picture;
    ``picture``, int64 [boxes], the row of the batch. Gives ``scores``, float32 [boxes, classes], softmax, the
    background first; ``box_deltas``, float32 [boxes, classes, 4]. No boxes give no answers.

    Args:
        model: the detector, on the CPU, float32; it is left as it was.
        folder: where the graphs go.
        policy: what it is served with; ``proposals_per_level`` and ``pixels`` become part of the graphs.
        mean: of the normalisation, for pixels in [0, 1], per channel RGB.
        std: of the normalisation, positive, for pixels in [0, 1], per channel RGB.
        tolerance: largest difference between graphs and network that is let pass, as a share of the output's spread.

    Raises:
        ValueError: ``mean`` or ``std`` is not valid, or the policy has other levels or anchors than the model.
        ExportDiffers: the graphs' answers differ by more than ``tolerance`` or are not finite.
    """
    normalisation = Normalisation(mean, std)
    anchor_count = model.rpn["head"].anchor_count
    if policy.strides != model.strides or policy.anchors_per_cell != anchor_count:
        raise ValueError(
            f"the policy has {policy.anchors_per_cell} anchors at strides {list(policy.strides)}, the model "
            f"{anchor_count} at {list(model.strides)}"
        )
    was_training = model.training
    model.eval()
    try:
        levels = tuple(f"level_{index}" for index in range(len(model.pooled_strides)))
        files = (
            *_write_rpn(model, folder / RPN_FILE, policy, normalisation, levels),
            *_write_head(model, folder / HEAD_FILE, levels),
        )
        deviation = max(
            _rpn_deviation(model, folder / RPN_FILE, policy, normalisation),
            _head_deviation(model, folder / HEAD_FILE, levels),
        )
    finally:
        model.train(was_training)
    if not deviation <= tolerance:
        raise ExportDiffers(
            f"graphs and network differ by {deviation:.1e} of the output's spread, above {tolerance:.0e}"
        )
    return ExportedFasterRcnn(files, levels, deviation)


class _Proposing(nn.Module):
    """Raw pictures to levels and promising anchors."""

    shift: Tensor

    def __init__(self, model: FasterRcnn, shift: Tensor | None, per_level: int) -> None:
        super().__init__()
        self.model = model
        self.per_level = per_level
        self.register_buffer("shift", torch.zeros(3, 1, 1) if shift is None else shift)

    def forward(self, image: Tensor, size: Tensor) -> tuple[Tensor, ...]:
        x = image.permute(0, 3, 1, 2).float()
        # What lies around a picture is zero after normalisation, whatever it was before.
        x = torch.where(inside(x, size), x - self.shift, 0.0)
        levels = self.model.levels(x)
        return (
            *levels[: len(self.model.pooled_strides)],
            *best_proposals(self.model.proposals(levels), self.per_level),
        )


class _Classifying(nn.Module):
    """Levels and boxes to scores and corrections."""

    def __init__(self, model: FasterRcnn) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        *levels, boxes, picture = inputs
        logits, deltas = self.model.classes(levels, boxes, picture)
        return logits.softmax(1), deltas.reshape(-1, self.model.class_count, COORDINATES)


def _write_rpn(
    model: FasterRcnn, path: Path, policy: FasterRcnnPolicy, normalisation: Normalisation, levels: tuple[str, ...]
) -> tuple[Path, ...]:
    proposed = ("objectness", "anchor", "anchor_deltas")
    side = policy.size_divisor
    image = torch.zeros(2, 2 * side, 3 * side, 3, dtype=getattr(torch, policy.pixels))
    free = {"image": {0: "batch", 1: "height", 2: "width"}, "size": {0: "batch"}}
    free |= _free_levels(levels) | {name: {0: "batch", 1: "anchors"} for name in proposed}
    with normalisation.folded_into(model.backbone.body.stem) as shift:
        graph = traced(
            _Proposing(model, shift, policy.proposals_per_level),
            (image, torch.tensor([[2 * side, 3 * side]] * 2)),
            inputs=("image", "size"),
            outputs=(*levels, *proposed),
            free=free,
        )
    return save_graph(graph, path)


def _write_head(model: FasterRcnn, path: Path, levels: tuple[str, ...]) -> tuple[Path, ...]:
    maps = _example_levels(model, 2, 2, 3)
    boxes = torch.tensor([[0.0, 0.0, 10.0 * 4**index, 10.0 * 4**index] for index in range(len(levels))])
    free = _free_levels(levels) | {name: {0: "boxes"} for name in ("boxes", "picture", "scores", "box_deltas")}
    graph = traced(
        _Classifying(model),
        (*maps, boxes, torch.arange(len(levels)) % 2),
        inputs=(*levels, "boxes", "picture"),
        outputs=("scores", "box_deltas"),
        free=free,
    )
    return save_graph(graph, path)


def _free_levels(levels: tuple[str, ...]) -> dict[str, dict[int, str]]:
    return {name: {0: "batch", 2: f"{name}_rows", 3: f"{name}_columns"} for name in levels}


def _example_levels(model: FasterRcnn, batch: int, rows: int, columns: int) -> list[Tensor]:
    """Return random features for a picture of so many rows and columns of the coarsest level."""
    factors = [model.pooled_strides[-1] // stride for stride in model.pooled_strides]
    generator = torch.Generator().manual_seed(batch)
    return [torch.randn(batch, model.pyramid_channels, rows * k, columns * k, generator=generator) for k in factors]


def _rpn_deviation(model: FasterRcnn, path: Path, policy: FasterRcnnPolicy, normalisation: Normalisation) -> float:
    """Return the largest difference on random pictures, one alone and two of different size together."""
    session, worst = session_of(path), 0.0
    for image, size in _random_pictures(policy):
        answers = session.run(None, {"image": image, "size": size})
        with torch.inference_mode():
            x = normalisation.normalised(torch.from_numpy(image))
            x = torch.where(inside(x, torch.from_numpy(size)), x, 0.0)
            levels = model.levels(x)
            proposals = model.proposals(levels)
            wanted_logits, _, _ = best_proposals(proposals, policy.proposals_per_level)
            all_logits, all_deltas = (torch.cat(parts, 1) for parts in zip(*proposals, strict=True))
        *maps, logits, anchor, deltas = answers
        # Rounding may swap anchors that are all but equal: what counts is that each comes with its own numbers.
        row = np.arange(len(image))[:, None]
        counts = [logits.shape[1] for logits, _ in proposals]
        starts = np.cumsum([0, *counts[:-1]])
        place = anchor + np.repeat(starts, np.minimum(counts, policy.proposals_per_level))
        pairs = [
            *zip(maps, levels, strict=False),
            (logits, wanted_logits),
            (logits, all_logits[row, place]),
            (deltas, all_deltas[row, place]),
        ]
        worst = max(worst, *(relative_difference(answer, wanted.numpy()) for answer, wanted in pairs))
    return worst


def _head_deviation(model: FasterRcnn, path: Path, levels: tuple[str, ...]) -> float:
    """Return the largest difference on random features, for no box, one and many."""
    session, worst = session_of(path), 0.0
    maps = _example_levels(model, 3, 4, 5)
    extent = 4 * model.pooled_strides[-1]
    for count in _CHECKED_BOX_COUNTS:
        rng = np.random.default_rng(count)
        corner = rng.uniform(0, extent, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(0, 2 * extent, (count, 2))]).astype(np.float32)
        picture = rng.integers(0, 3, count)
        feeds = dict(zip(levels, (x.numpy() for x in maps), strict=True)) | {"boxes": boxes, "picture": picture}
        scores, deltas = session.run(None, feeds)
        if scores.shape != (count, model.class_count) or deltas.shape != (count, model.class_count, COORDINATES):
            raise ExportDiffers(f"{count} boxes give scores {scores.shape} and deltas {deltas.shape}")
        if count:
            with torch.inference_mode():
                logits, wanted = model.classes(maps, torch.from_numpy(boxes), torch.from_numpy(picture))
            difference = float(np.abs(scores - logits.softmax(1).numpy()).max())
            worst = max(worst, difference, relative_difference(deltas.reshape(count, -1), wanted.numpy()))
    return worst


def _random_pictures(policy: FasterRcnnPolicy) -> Iterator[tuple[NDArray[np.generic], NDArray[np.int64]]]:
    for batch, rows, columns in _CHECKED_SIZES:
        rng = np.random.default_rng(batch)
        height, width = rows * policy.size_divisor, columns * policy.size_divisor
        image = rng.integers(0, 256, (batch, height, width, 3)).astype(policy.pixels)
        yield image, np.array([[height - 3 * index, width - 5 * index] for index in range(batch)])
