"""MobileNetV3, small and large, in the layout in which its weights are published.

Source:
    Howard et al., ICCV 2019, arXiv:1905.02244, tables 1 and 2. Batch normalisation's epsilon is 0.001, as there.
"""

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.blocks import ConvNormActivation, SqueezeExcitation, divisible
from retinue.zoo.classifier import Classifier, initialise_convolutional

EPS = 1e-3
MOMENTUM = 0.01


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One row of the paper's table: an inverted residual block."""

    kernel_size: int
    expanded_channels: int
    out_channels: int
    has_squeeze: bool
    activation: type[nn.Module]
    stride: int


def _rows(*rows: tuple[int, int, int, bool, type[nn.Module], int]) -> tuple[Bottleneck, ...]:
    return tuple(Bottleneck(*row) for row in rows)


RE, HS = nn.ReLU, nn.Hardswish
STEM_CHANNELS = 16
LARGE = _rows(
    (3, 16, 16, False, RE, 1),
    (3, 64, 24, False, RE, 2),
    (3, 72, 24, False, RE, 1),
    (5, 72, 40, True, RE, 2),
    (5, 120, 40, True, RE, 1),
    (5, 120, 40, True, RE, 1),
    (3, 240, 80, False, HS, 2),
    (3, 200, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 480, 112, True, HS, 1),
    (3, 672, 112, True, HS, 1),
    (5, 672, 160, True, HS, 2),
    (5, 960, 160, True, HS, 1),
    (5, 960, 160, True, HS, 1),
)
SMALL = _rows(
    (3, 16, 16, True, RE, 2),
    (3, 72, 24, False, RE, 2),
    (3, 88, 24, False, RE, 1),
    (5, 96, 40, True, HS, 2),
    (5, 240, 40, True, HS, 1),
    (5, 240, 40, True, HS, 1),
    (5, 120, 48, True, HS, 1),
    (5, 144, 48, True, HS, 1),
    (5, 288, 96, True, HS, 2),
    (5, 576, 96, True, HS, 1),
    (5, 576, 96, True, HS, 1),
)


class InvertedResidual(nn.Module):
    """Expand, convolve depthwise, squeeze and excite, project; added to the input where shapes allow.

    Args:
        in_channels: channels of the input [batch, in_channels, height, width].
        row: what the block is like.
        eps: batch normalisation's epsilon.

    Source:
        Howard et al., arXiv:1905.02244, figure 4; the expansion is left out where it would not widen.
    """

    def __init__(self, in_channels: int, row: Bottleneck, *, eps: float = EPS) -> None:
        super().__init__()
        self.is_residual = row.stride == 1 and in_channels == row.out_channels
        expanded = row.expanded_channels
        convolution = partial(ConvNormActivation, eps=eps, momentum=MOMENTUM)
        layers: list[nn.Module] = []
        if expanded != in_channels:
            layers.append(convolution(in_channels, expanded, 1, activation=row.activation))
        layers.append(
            convolution(
                expanded,
                expanded,
                row.kernel_size,
                stride=row.stride,
                groups=expanded,
                activation=row.activation,
            )
        )
        if row.has_squeeze:
            layers.append(SqueezeExcitation(expanded, divisible(expanded // 4)))
        layers.append(convolution(expanded, row.out_channels, 1, activation=None))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, out_channels, ceil(height / stride), ceil(width / stride)]."""
        out: Tensor = self.block(x)
        return x + out if self.is_residual else out


class MobileNetV3(Classifier):
    """Inverted residuals with squeeze and excitation, hard swish, and a head that pools before it widens.

    Args:
        rows: `SMALL` or `LARGE`, or rows of one's own.
        class_count: length of the logits.
        last_channels: width of the layer before the logits, which is the embedding, taken as it is; the paper has 1024
            for small and 1280 for large.
        width: multiplier of all other channel counts.
        stem_channels: channels of the first convolution; default: the paper's 16, multiplied.
        skipped_strides: the first so many strides of 2, the stem's first, become 1: for pictures as small as 32x32,
            which the full 32-fold shrinking would leave as one pixel.
        dropout: share dropped before the logits in training.
        eps: batch normalisation's epsilon.

    >>> import torch
    >>> model = MobileNetV3(SMALL, class_count=10, last_channels=128, width=0.5, skipped_strides=2).eval()
    >>> [tuple(x.shape) for x in model.forward_features(torch.zeros(2, 3, 32, 32))]
    [(2, 10), (2, 128)]
    """

    def __init__(  # noqa: PLR0913 - the knobs of the family
        self,
        rows: tuple[Bottleneck, ...],
        *,
        class_count: int = 1000,
        last_channels: int,
        width: float = 1.0,
        stem_channels: int | None = None,
        skipped_strides: int = 0,
        dropout: float = 0.2,
        eps: float = EPS,
    ) -> None:
        super().__init__()
        scaled = scaled_rows(rows, width)
        strides = [2, *(row.stride for row in scaled)]
        for index in [i for i, stride in enumerate(strides) if stride > 1][:skipped_strides]:
            strides[index] = 1
        scaled = tuple(replace(row, stride=stride) for row, stride in zip(scaled, strides[1:], strict=True))
        layers = feature_layers(scaled, stem_channels or divisible(STEM_CHANNELS * width), strides[0], eps=eps)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(6 * scaled[-1].out_channels, last_channels),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(last_channels, class_count),
        )
        initialise_convolutional(self)

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, class_count] and embedding [batch, last_channels]."""
        pooled = functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        embedding = self.classifier[:3](pooled)
        return self.classifier[3](embedding), embedding

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self.get_submodule("features.0.0")  # type: ignore[return-value]  # built above

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return self.get_submodule("classifier.3")  # type: ignore[return-value]  # built above


def feature_layers(
    rows: tuple[Bottleneck, ...], stem_channels: int, stem_stride: int = 2, *, eps: float = EPS
) -> list[nn.Module]:
    """Return the layers before the pooling: the stem, a block for each row, and a convolution that widens sixfold."""
    convolution = partial(ConvNormActivation, eps=eps, momentum=MOMENTUM)
    layers: list[nn.Module] = [convolution(3, stem_channels, stride=stem_stride, activation=HS)]
    channels = stem_channels
    for row in rows:
        layers.append(InvertedResidual(channels, row, eps=eps))
        channels = row.out_channels
    layers.append(convolution(channels, 6 * channels, 1, activation=HS))
    return layers


def scaled_rows(rows: tuple[Bottleneck, ...], width: float) -> tuple[Bottleneck, ...]:
    """Return the rows with every channel count multiplied and made divisible by 8; as they are at ``width`` 1.

    >>> [row.out_channels for row in scaled_rows(SMALL, 0.5)]
    [8, 16, 16, 24, 24, 24, 24, 24, 48, 48, 48]
    """
    if width == 1.0:
        return rows
    return tuple(
        replace(
            row,
            expanded_channels=divisible(row.expanded_channels * width),
            out_channels=divisible(row.out_channels * width),
        )
        for row in rows
    )
