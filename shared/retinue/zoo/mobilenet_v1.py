"""MobileNetV1: depthwise separable convolutions, one after another.

Source:
    Howard et al., 2017, arXiv:1704.04861, table 1. As in the authors' code, the activation is ReLU6.
"""

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.blocks import ConvNormActivation, DepthwiseSeparableConvolution, divisible
from retinue.zoo.classifier import Classifier, initialise_convolutional

STEM_CHANNELS = 32
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


class MobileNetV1(Classifier):
    """A stem, thirteen depthwise separable convolutions, pooling, logits: keys ``features.*`` and ``classifier.1.*``.

    Args:
        channels: output channels of each of the thirteen blocks.
        class_count: length of the logits.
        width: multiplier of all channel counts.
        stem_channels: channels of the first convolution; default: the paper's 32, multiplied.
        dropout: share dropped before the logits in training.

    >>> import torch
    >>> [tuple(x.shape) for x in MobileNetV1(width=0.25).eval().forward_features(torch.zeros(2, 3, 64, 64))]
    [(2, 1000), (2, 256)]
    """

    def __init__(
        self,
        channels: tuple[int, ...] = CHANNELS,
        *,
        class_count: int = 1000,
        width: float = 1.0,
        stem_channels: int | None = None,
        dropout: float = 0.001,
    ) -> None:
        super().__init__()
        before = stem_channels or divisible(STEM_CHANNELS * width)
        layers: list[nn.Module] = [ConvNormActivation(3, before, stride=2, activation=nn.ReLU6)]
        for out, stride in zip(scaled_channels(channels, width), STRIDES, strict=True):
            layers.append(DepthwiseSeparableConvolution(before, out, stride=stride, activation=nn.ReLU6))
            before = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(before, class_count))
        initialise_convolutional(self)

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, class_count] and embedding [batch, 1024 * width]."""
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


def scaled_channels(channels: tuple[int, ...], width: float) -> tuple[int, ...]:
    """Return channel counts multiplied and made divisible by 8; as they are at ``width`` 1.

    >>> scaled_channels((64, 128, 128), 0.25)
    (16, 32, 32)
    """
    return channels if width == 1.0 else tuple(divisible(count * width) for count in channels)
