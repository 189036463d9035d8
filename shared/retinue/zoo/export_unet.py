"""From a UNet to an ONNX graph with free batch, height and width, checked against the network it was made from."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from retinue.zoo.errors import ExportDiffers
from retinue.zoo.normalisation import Normalisation
from retinue.zoo.tracing import EXTERNAL_DATA_BYTES, relative_difference, save_graph, session_of, traced
from retinue.zoo.unet import UNet

NO_MEAN, NO_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Pixels in [0, 1] and no more, which is what published UNets were trained on."""
# Height and width of the pictures that graph and network are compared on: odd, and too small for all levels.
_CHECKED_SIZES = ((67, 45), (48, 64), (1, 5))
_EXAMPLE_SIZE = (37, 51)
# Luminance as Pillow rounds it; every sum is below 2 ** 24, so that float32 holds it.
_LUMINANCE = (19595.0, 38470.0, 7471.0)


@dataclass(frozen=True, slots=True)
class ExportedUNet:
    """What was written, and how near it answers."""

    files: tuple[Path, ...]
    """The graph first, then the file of its weights if they are too large for one."""
    class_count: int
    """Channels of the logits."""
    deviation: float
    """Largest difference from PyTorch found, as a share of the output's spread."""


def export_unet(
    model: UNet,
    path: Path,
    *,
    has_boundary: bool = False,
    mean: Sequence[float] = NO_MEAN,
    std: Sequence[float] = NO_STD,
    tolerance: float = 1e-3,
    external_data_bytes: int = EXTERNAL_DATA_BYTES,
) -> ExportedUNet:
    """Return what was written after exporting a UNet and comparing the graph's answers with the network's.

    The graph has the input ``image``, uint8 [batch, height, width, 3] RGB, pictures of one size, whatever it is; and
    the output ``logits``, float32 [batch, classes, height, width], for a softmax over the classes. With a boundary
    there is ``boundary`` too, float32 [batch, 1, height, width], for a sigmoid. A UNet of one input channel is given
    the luminance, rounded as Pillow does it.

    Pixels are always divided by 255; the original leaves pictures as they are that have no pixel above 1, which makes
    a black picture with one bright pixel another one than without it.

    Args:
        model: the network, on the CPU, float32; it is left as it was.
        path: where the graph goes; its folder exists.
        has_boundary: whether the network's last channel is no class, but the boundary between instances.
        mean: of the normalisation, for pixels in [0, 1], per channel RGB.
        std: of the normalisation, positive, for pixels in [0, 1], per channel RGB.
        tolerance: largest difference between graph and network that is let pass, as a share of the output's spread.
        external_data_bytes: weights larger than this go to ``<name>.data`` beside the graph.

    Raises:
        ValueError: ``mean`` or ``std`` has not three values or three different ones for one channel, ``std`` is not
            positive, the network takes neither one channel nor three, or there is no class beside the boundary.
        ExportDiffers: the graph's answers differ by more than ``tolerance`` or are not finite.
    """
    normalisation = Normalisation(mean, std)
    if model.in_channels not in (1, 3):
        raise ValueError(f"a network of {model.in_channels} channels takes neither RGB nor luminance")
    if model.in_channels == 1 and len({*normalisation.mean}) + len({*normalisation.std}) > 2:
        raise ValueError("one channel is normalised by one mean and one std, not by three")
    if model.class_count <= has_boundary:
        raise ValueError("there is no class beside the boundary")
    was_training = model.training
    model.eval()
    outputs = ("logits", "boundary") if has_boundary else ("logits",)
    try:
        # The luminance has no convolution that its normalisation could be folded into: it is not linear.
        folding = nullcontext(None) if model.in_channels == 1 else normalisation.folded_into(model.stem)
        with folding as shift:
            graph = traced(
                _Served(model, normalisation, shift, has_boundary=has_boundary),
                (torch.zeros(2, *_EXAMPLE_SIZE, 3, dtype=torch.uint8),),
                inputs=("image",),
                outputs=outputs,
                free={"image": {0: "batch", 1: "height", 2: "width"}}
                | {name: {0: "batch", 2: "height", 3: "width"} for name in outputs},
            )
        files = save_graph(graph, path, external_data_bytes)
        deviation = _deviation(model, path, normalisation, has_boundary=has_boundary)
    finally:
        model.train(was_training)
    if not deviation <= tolerance:
        raise ExportDiffers(
            f"graph and network differ by {deviation:.1e} of the output's spread, above {tolerance:.0e}"
        )
    return ExportedUNet(files, model.class_count - has_boundary, deviation)


class _Served(nn.Module):
    """The network as it is served: from raw pictures, the first convolution normalising them but for a shift."""

    def __init__(self, model: UNet, normalisation: Normalisation, shift: Tensor | None, *, has_boundary: bool) -> None:
        super().__init__()
        self.model = model
        self.normalisation = normalisation
        self.shift = shift
        self.has_boundary = has_boundary

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return logits, and those of the boundary where it is wanted, of uint8 [batch, height, width, 3]."""
        if self.model.in_channels == 1:
            x = _normalised(self.model, self.normalisation, image)
        else:
            x = image.permute(0, 3, 1, 2).float()
            if self.shift is not None and self.shift.any():
                x = x - self.shift
        return _parts(self.model(x), has_boundary=self.has_boundary)


def _normalised(model: UNet, normalisation: Normalisation, image: Tensor) -> Tensor:
    """Return what the network takes, step by step, of uint8 [batch, height, width, 3]."""
    if model.in_channels == 3:
        return normalisation.normalised(image)
    grey = torch.floor((image.float() * torch.tensor(_LUMINANCE)).sum(3, keepdim=True) / 65536 + 0.5)
    return (grey.permute(0, 3, 1, 2) / 255.0 - normalisation.mean[0]) / normalisation.std[0]


def _parts(logits: Tensor, *, has_boundary: bool) -> tuple[Tensor, ...]:
    return (logits[:, :-1], logits[:, -1:]) if has_boundary else (logits,)


def _deviation(model: UNet, path: Path, normalisation: Normalisation, *, has_boundary: bool) -> float:
    """Return the largest difference on random pictures, one alone and several together."""
    session, worst = session_of(path), 0.0
    for batch, (height, width) in enumerate(_CHECKED_SIZES, start=1):
        image = np.random.default_rng(batch).integers(0, 256, (batch, height, width, 3), np.uint8)
        answers = session.run(None, {"image": image})
        with torch.inference_mode():
            wanted = _parts(
                model(_normalised(model, normalisation, torch.from_numpy(image))), has_boundary=has_boundary
            )
        worst = max(worst, *(relative_difference(a, w.numpy()) for a, w in zip(answers, wanted, strict=True)))
    return worst
