"""MobileNetV3's features as the body of a detector: keys ``0.*`` to ``16.*`` for the large one."""

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from torch import Tensor, nn

from retinue.zoo.body import Body
from retinue.zoo.classifier import initialise_convolutional
from retinue.zoo.mobilenet_v3 import STEM_CHANNELS, Bottleneck, feature_layers


class MobileNetBody(Body):
    """The layers of MobileNetV3 before its pooling, some of whose maps are returned.

    Args:
        rows: `LARGE`, `SMALL` or rows of one's own.
        returned: indices of the layers whose maps are returned, rising, the stem being 0. Published detectors return
            13 and 16 of the large one, both at stride 32.
        stem_channels: channels of the first convolution.
        eps: of the normalisations; detectors' have 1e-5, unlike classifiers'.

    Source:
        Howard et al., ICCV 2019, arXiv:1905.02244, section 6.3.

    >>> import torch
    >>> from retinue.zoo.mobilenet_v3 import LARGE
    >>> body = MobileNetBody(LARGE).eval()
    >>> body.channels, body.strides, [tuple(x.shape) for x in body(torch.zeros(1, 3, 64, 96))]
    ((160, 960), (32, 32), [(1, 160, 2, 3), (1, 960, 2, 3)])
    """

    def __init__(
        self,
        rows: tuple[Bottleneck, ...],
        *,
        returned: Sequence[int] = (13, 16),
        stem_channels: int = STEM_CHANNELS,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        layers = feature_layers(rows, stem_channels, eps=eps)
        for index, layer in enumerate(layers):
            self.add_module(str(index), layer)
        self.depth = len(layers)
        channels = (stem_channels, *(row.out_channels for row in rows), 6 * rows[-1].out_channels)
        strides = tuple(accumulate((2, *(row.stride for row in rows), 1), mul))
        self.returned = tuple(returned)
        self.channels = tuple(channels[index] for index in returned)
        self.strides = tuple(strides[index] for index in returned)
        initialise_convolutional(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of the layers that are wanted."""
        maps = []
        for index in range(self.depth):
            x = self.get_submodule(str(index))(x)
            if index in self.returned:
                maps.append(x)
        return tuple(maps)

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self.get_submodule("0.0")  # type: ignore[return-value]  # built above
