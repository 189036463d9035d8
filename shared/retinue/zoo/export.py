"""From a PyTorch classifier to an ONNX graph that takes raw pictures, checked against the network it was made from.

The graph's input is uint8 [batch, height, width, 3]: the serving side copies bytes, all arithmetic is in the graph.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retinue.zoo.architectures import IMAGENET_MEAN, IMAGENET_STD
from retinue.zoo.classifier import Classifier
from retinue.zoo.errors import ExportDiffers
from retinue.zoo.normalisation import Normalisation
from retinue.zoo.tracing import EXTERNAL_DATA_BYTES, save_graph, session_of, traced

# However much a network amplifies rounding, a graph that is further off than this is not the same.
_AMPLIFIED_MOST = 0.05


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """What was written, and how near it answers."""

    files: tuple[Path, ...]
    """The graph first, then the file of its weights if they are too large for one."""
    class_count: int
    embedding_size: int | None
    deviation: float
    """Largest difference from PyTorch found, as a share of the output's spread."""


def export_classifier(  # noqa: PLR0913 - the input, its normalisation, and what is wanted
    model: Classifier,
    path: Path,
    *,
    height: int,
    width: int,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    has_embedding: bool = True,
    tolerance: float = 1e-3,
    external_data_bytes: int = EXTERNAL_DATA_BYTES,
) -> ExportedGraph:
    """Return what was written after exporting a classifier and comparing the graph's answers with the network's.

    The graph has the input ``image``, uint8 [batch, height, width, 3] RGB, and the outputs ``logits``, float32
    [batch, classes], and ``embedding``, float32 [batch, embedding_size]; the batch is free. Normalisation is inside:
    its scale is folded into the first convolution, and its shift too where that convolution does not pad. Batch
    normalisation is folded into the convolutions before it.

    Args:
        model: the classifier, on the CPU, float32; it is left as it was.
        path: where the graph goes; its folder exists.
        height: height of the input, pixels.
        width: width of the input, pixels.
        mean: of the normalisation, for pixels in [0, 1], per channel RGB.
        std: of the normalisation, positive, for pixels in [0, 1], per channel RGB.
        has_embedding: whether the graph gives the embedding too.
        tolerance: largest difference between graph and network that is let pass, as a share of the output's spread.
        external_data_bytes: weights larger than this go to ``<name>.data`` beside the graph.

    Raises:
        ValueError: ``mean`` or ``std`` has not three values, or ``std`` is not positive.
        ExportDiffers: the graph's answers differ by more than ``tolerance`` or are not finite.
    """
    pictures = _Pictures(height, width, Normalisation(mean, std))
    was_training = model.training
    model.eval()
    try:
        graph = _traced(model, pictures, has_embedding=has_embedding)
        files = save_graph(graph, path, external_data_bytes)
        deviation, allowed = _deviation(model, path, pictures, has_embedding=has_embedding), tolerance
        if not deviation <= allowed:
            # Some networks, untrained ones above all, amplify rounding; none can be met closer than it meets itself.
            allowed = max(tolerance, min(_AMPLIFIED_MOST, 10 * _own_rounding(model, pictures)))
    finally:
        model.train(was_training)
    if not deviation <= allowed:
        raise ExportDiffers(f"graph and network differ by {deviation:.1e} of the output's spread, above {allowed:.0e}")
    return ExportedGraph(files, model.class_count, model.embedding_size if has_embedding else None, deviation)


@dataclass(frozen=True, slots=True)
class _Pictures:
    """What the graph takes in."""

    height: int
    width: int
    normalisation: Normalisation


class _Served(nn.Module):
    """The classifier as it is served: from raw pictures, through what normalisation its first convolution left over."""

    shift: Tensor | None

    def __init__(self, model: Classifier, shift: Tensor | None, *, has_embedding: bool) -> None:
        super().__init__()
        self.model = model
        self.has_embedding = has_embedding
        self.register_buffer("shift", shift)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return logits, and the embedding where it is wanted, of uint8 [batch, height, width, 3]."""
        x = image.permute(0, 3, 1, 2).float()
        if self.shift is not None:
            x = x - self.shift
        logits, embedding = self.model.forward_features(x)
        return (logits, embedding) if self.has_embedding else (logits,)


def _traced(model: Classifier, pictures: _Pictures, *, has_embedding: bool) -> onnx.ModelProto:
    """Return the graph as PyTorch writes it down."""
    names = ["logits", "embedding"] if has_embedding else ["logits"]
    with pictures.normalisation.folded_into(model.stem) as shift:
        return traced(
            _Served(model, shift, has_embedding=has_embedding),
            (torch.zeros(2, pictures.height, pictures.width, 3, dtype=torch.uint8),),
            inputs=["image"],
            outputs=names,
            free={name: {0: "batch"} for name in ("image", *names)},
        )


def _deviation(model: Classifier, path: Path, pictures: _Pictures, *, has_embedding: bool) -> float:
    """Return the largest difference of graph and network on random pictures, one alone and three together."""
    session = session_of(path)
    worst = 0.0
    for batch in (1, 3):
        image = _random_pictures(pictures, batch)
        with torch.inference_mode():
            expected = model.forward_features(pictures.normalisation.normalised(torch.from_numpy(image)))
        answers = session.run(None, {"image": image})
        for answer, wanted in zip(answers, expected[: 1 + has_embedding], strict=True):
            worst = np.maximum(worst, _relative(answer, wanted.numpy()))  # which keeps NaN
    return float(worst)


def _own_rounding(model: Classifier, pictures: _Pictures) -> float:
    """Return how far the network's float32 answer is from what it answers in float64."""
    x = pictures.normalisation.normalised(torch.from_numpy(_random_pictures(pictures, 1)))
    with torch.inference_mode():
        return _relative(model(x).numpy(), copy.deepcopy(model).double()(x.double()).numpy())


def _random_pictures(pictures: _Pictures, batch: int) -> NDArray[np.uint8]:
    return np.random.default_rng(batch).integers(0, 256, (batch, pictures.height, pictures.width, 3), np.uint8)


def _relative(answer: NDArray[np.float32], wanted: NDArray[np.floating]) -> float:
    """Return the largest difference as a share of the spread of what is wanted; not finite if anything is not."""
    # A constant output has no spread: then a difference is measured against its size, at least 1e-6.
    with np.errstate(invalid="ignore"):
        spread = float(np.ptp(wanted)) or max(1e-6, float(np.abs(wanted).max()))
        return float(np.abs(answer - wanted).max()) / spread
