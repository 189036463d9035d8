"""From a DETR to an ONNX graph with free batch, height and width, checked against the network it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from retinue.zoo.architectures import IMAGENET_MEAN, IMAGENET_STD
from retinue.zoo.detr import Detr
from retinue.zoo.errors import ExportDiffers
from retinue.zoo.normalisation import Normalisation, inside
from retinue.zoo.tracing import relative_difference, save_graph, session_of, traced

# Height and width of the pictures that graph and network are compared on; the example of the trace is another.
_CHECKED_SIZES = ((96, 130), (160, 64))
_EXAMPLE_SIZE = (64, 96)


@dataclass(frozen=True, slots=True)
class ExportedDetr:
    """What was written, and how near it answers."""

    files: tuple[Path, ...]
    """The graph first, then the file of its weights if they are too large for one."""
    class_count: int
    """Length of the logits, no object with them."""
    query_count: int
    deviation: float
    """Largest difference from PyTorch found, as a share of the output's spread."""


def export_detr(
    model: Detr,
    path: Path,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    tolerance: float = 1e-3,
) -> ExportedDetr:
    """Return what was written after exporting a DETR and comparing the graph's answers with the network's.

    The graph has the inputs ``image``, uint8 [batch, height, width, 3] RGB, scaled, at the upper left, and ``size``,
    int64 [batch, 2], height and width of each picture inside, beyond which ``image`` is not looked at; and the outputs
    ``logits``, float32 [batch, queries, classes], the last class no object, and ``boxes``, float32 [batch, queries, 4],
    centre x and y, width and height as shares of the picture's own size.

    Args:
        model: the detector, on the CPU, float32; it is left as it was.
        path: where the graph goes; its folder exists.
        mean: of the normalisation, for pixels in [0, 1], per channel RGB.
        std: of the normalisation, positive, for pixels in [0, 1], per channel RGB.
        tolerance: largest difference between graph and network that is let pass, as a share of the output's spread.

    Raises:
        ValueError: ``mean`` or ``std`` has not three values, or ``std`` is not positive.
        ExportDiffers: the graph's answers differ by more than ``tolerance`` or are not finite.
    """
    normalisation = Normalisation(mean, std)
    was_training = model.training
    model.eval()
    try:
        height, width = _EXAMPLE_SIZE
        with normalisation.folded_into(model.body.stem) as shift:
            graph = traced(
                _Served(model, shift),
                (torch.zeros(2, height, width, 3, dtype=torch.uint8), torch.tensor([[height, width]] * 2)),
                inputs=("image", "size"),
                outputs=("logits", "boxes"),
                free={"image": {0: "batch", 1: "height", 2: "width"}}
                | {name: {0: "batch"} for name in ("size", "logits", "boxes")},
            )
        files = save_graph(graph, path)
        deviation = _deviation(model, path, normalisation)
    finally:
        model.train(was_training)
    if not deviation <= tolerance:
        raise ExportDiffers(
            f"graph and network differ by {deviation:.1e} of the output's spread, above {tolerance:.0e}"
        )
    return ExportedDetr(files, model.class_count, model.query_count, deviation)


class _Served(nn.Module):
    """The detector as it is served: from raw pictures."""

    shift: Tensor

    def __init__(self, model: Detr, shift: Tensor | None) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("shift", torch.zeros(3, 1, 1) if shift is None else shift)

    def forward(self, image: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and boxes."""
        x = image.permute(0, 3, 1, 2).float()
        # What lies around a picture is zero after normalisation, whatever it was before.
        out: tuple[Tensor, Tensor] = self.model(torch.where(inside(x, size), x - self.shift, 0.0), size)
        return out


def _deviation(model: Detr, path: Path, normalisation: Normalisation) -> float:
    """Return the largest difference on random pictures, one alone and two of different size together."""
    session, worst = session_of(path), 0.0
    for batch, (height, width) in enumerate(_CHECKED_SIZES, start=1):
        image = np.random.default_rng(batch).integers(0, 256, (batch, height, width, 3), np.uint8)
        size = np.array([[height - 40 * index, width - 20 * index] for index in range(batch)])
        answers = session.run(None, {"image": image, "size": size})
        with torch.inference_mode():
            x = normalisation.normalised(torch.from_numpy(image))
            wanted = model(torch.where(inside(x, torch.from_numpy(size)), x, 0.0), torch.from_numpy(size))
        worst = max(worst, *(relative_difference(a, w.numpy()) for a, w in zip(answers, wanted, strict=True)))
    return worst
