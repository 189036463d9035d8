"""The second stage: from the features under each box to classes and to the box's last correction."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.blocks import ConvNormActivation
from retinue.zoo.region_proposals import COORDINATES


class LinearBoxHead(nn.Module):
    """Two linear layers: keys ``fc6.*`` and ``fc7.*``.

    Args:
        in_features: channels times rows times columns of a box's features.
        hidden: width of both.
    """

    def __init__(self, in_features: int, hidden: int = 1024) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.out_features = hidden

    def forward(self, x: Tensor) -> Tensor:
        """Return [boxes, hidden] of [boxes, channels, rows, columns]."""
        return functional.relu(self.fc7(functional.relu(self.fc6(x.flatten(1)))))


class ConvolutionalBoxHead(nn.Sequential):
    """3x3 convolutions with normalisation, then linear layers: keys ``{i}.{0,1}.*`` and, after a flattening, ``{j}.*``.

    Args:
        channels: of a box's features.
        size: rows and columns of a box's features.
        convolutions: channels of each convolution.
        hidden: width of each linear layer.

    Source:
        Li et al., 2021, arXiv:2111.11429, section 3 (four convolutions and one linear layer).

    >>> import torch
    >>> head = ConvolutionalBoxHead(8, size=3, convolutions=(8, 8), hidden=(16,)).eval()
    >>> head(torch.zeros(5, 8, 3, 3)).shape, head.out_features
    (torch.Size([5, 16]), 16)
    """

    def __init__(self, channels: int, *, size: int, convolutions: Sequence[int], hidden: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for width in convolutions:
            layers.append(ConvNormActivation(channels, width))
            channels = width
        layers.append(nn.Flatten())
        features = channels * size * size
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU()]
            features = width
        super().__init__(*layers)
        self.out_features = features


class BoxPredictor(nn.Module):
    """Class logits, the background first, and a correction for each class: keys ``cls_score.*`` and ``bbox_pred.*``.

    Args:
        in_features: what the head before gives.
        class_count: classes with the background.
    """

    def __init__(self, in_features: int, class_count: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_features, class_count)
        self.bbox_pred = nn.Linear(in_features, class_count * COORDINATES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [boxes, class_count] and deltas [boxes, class_count * 4]."""
        return self.cls_score(x), self.bbox_pred(x)
