"""MobileNetV2 in the layout in which its weights are published.

Source:
    Sandler et al., CVPR 2018, arXiv:1801.04381, table 2.
"""

from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.blocks import ConvNormActivation, divisible
from retinue.zoo.classifier import Classifier, initialise_convolutional

STEM_CHANNELS = 32
LAST_CHANNELS = 1280


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the paper's table: blocks of the same width, of which the first may shrink the picture."""

    expansion: int
    out_channels: int
    repeats: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand, convolve depthwise, project without activation; added to the input where shapes allow.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        out_channels: channels of the output.
        stride: step of the depthwise convolution, pixels.
        expansion: how many times wider the middle is; 1 leaves the first convolution out.

    Source:
        Sandler et al., arXiv:1801.04381, table 1 and figure 4d.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        self.is_residual = stride == 1 and in_channels == out_channels
        middle = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNormActivation(in_channels, middle, 1, activation=nn.ReLU6))
        layers.append(ConvNormActivation(middle, middle, stride=stride, groups=middle, activation=nn.ReLU6))
        # The projection lies flat, not in a block of its own: published names say conv.2 and conv.3.
        layers += [nn.Conv2d(middle, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        out: Tensor = self.conv(x)
        return x + out if self.is_residual else out


class MobileNetV2(Classifier):
    """Inverted residuals with linear bottlenecks, pooling, logits: keys ``features.*`` and ``classifier.1.*``.

    Args:
        stages: the paper's, or stages of one's own.
        class_count: length of the logits.
        width: multiplier of all channel counts.
        stem_channels: channels of the first convolution; default: the paper's, multiplied.
        last_channels: channels of the last convolution; default: the paper's, multiplied if that is more.
        dropout: share dropped before the logits in training.

    >>> import torch
    >>> [tuple(x.shape) for x in MobileNetV2(width=0.35).eval().forward_features(torch.zeros(2, 3, 64, 64))]
    [(2, 1000), (2, 1280)]
    """

    def __init__(
        self,
        stages: tuple[Stage, ...] = STAGES,
        *,
        class_count: int = 1000,
        width: float = 1.0,
        stem_channels: int | None = None,
        last_channels: int | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        channels = stem_channels or divisible(STEM_CHANNELS * width)
        layers: list[nn.Module] = [ConvNormActivation(3, channels, stride=2, activation=nn.ReLU6)]
        for stage in scaled_stages(stages, width):
            for index in range(stage.repeats):
                stride = stage.stride if index == 0 else 1
                layers.append(InvertedResidual(channels, stage.out_channels, stride=stride, expansion=stage.expansion))
                channels = stage.out_channels
        last = last_channels or divisible(LAST_CHANNELS * max(1.0, width))
        layers.append(ConvNormActivation(channels, last, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, class_count))
        initialise_convolutional(self)

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, class_count] and embedding [batch, last_channels]."""
        embedding = functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        return self.classifier(embedding), embedding

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self.get_submodule("features.0.0")  # type: ignore[return-value]  # built above

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return self.get_submodule("classifier.1")  # type: ignore[return-value]  # built above


def scaled_stages(stages: tuple[Stage, ...], width: float) -> tuple[Stage, ...]:
    """Return the stages with channels multiplied and made divisible by 8; as they are at ``width`` 1.

    >>> [stage.out_channels for stage in scaled_stages(STAGES, 0.5)]
    [8, 16, 16, 32, 48, 80, 160]
    """
    if width == 1.0:
        return stages
    return tuple(replace(stage, out_channels=divisible(stage.out_channels * width)) for stage in stages)
