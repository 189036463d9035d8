"""DETR: a set of boxes straight from a transformer, in the layout in which its weights are published.

Source:
    Carion et al., ECCV 2020, arXiv:2005.12872.
"""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.body import Body
from retinue.zoo.detr_transformer import DetrTransformer
from retinue.zoo.region_proposals import COORDINATES
from retinue.zoo.sine_positions import sine_positions

BOX_LAYERS = 3


class BoxPerceptron(nn.Module):
    """Linear layers with rectifiers between: keys ``layers.{i}.*``.

    Args:
        hidden: length of input and middle.
        outputs: length of the output.
        depth: count of layers.
    """

    def __init__(self, hidden: int, outputs: int, depth: int) -> None:
        super().__init__()
        widths = [hidden] * depth + [outputs]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., outputs] of [..., hidden]."""
        *firsts, last = self.layers
        for layer in firsts:
            x = functional.relu(layer(x))
        out: Tensor = last(x)
        return out


class Detr(nn.Module):
    """Body, transformer, and for each of a fixed number of queries a class and a box.

    Keys are ``backbone.0.body.*``, ``input_proj.*``, ``transformer.*``, ``query_embed.weight``, ``class_embed.*`` and
    ``bbox_embed.layers.{i}.*``.

    Args:
        body: gives the map that is attended to, its last.
        transformer: over its cells.
        hidden: length of the transformer's tokens, a multiple of 4.
        class_count: length of the logits; the last is that of no object.
        query_count: how many boxes come out.
        box_layers: depth of the box perceptron.

    >>> from retinue.zoo.plain_trunk import PlainTrunk
    >>> transformer = DetrTransformer(16, heads=2, encoder_depth=1, decoder_depth=1, feedforward=32)
    >>> model = Detr(PlainTrunk((8, 8, 8, 8)), transformer, hidden=16, class_count=3, query_count=5).eval()
    >>> logits, boxes = model(torch.zeros(2, 3, 64, 96), torch.tensor([[64, 96], [50, 33]]))
    >>> tuple(logits.shape), tuple(boxes.shape)
    ((2, 5, 3), (2, 5, 4))
    """

    def __init__(
        self,
        body: Body,
        transformer: DetrTransformer,
        *,
        hidden: int = 256,
        class_count: int = 92,
        query_count: int = 100,
        box_layers: int = BOX_LAYERS,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.class_count = class_count
        self.query_count = query_count
        self.backbone = nn.Sequential(nn.Sequential(OrderedDict(body=body)))
        self.input_proj = nn.Conv2d(body.channels[-1], hidden, 1)
        self.transformer = transformer
        self.query_embed = nn.Embedding(query_count, hidden)
        self.class_embed = nn.Linear(hidden, class_count)
        self.bbox_embed = BoxPerceptron(hidden, COORDINATES, box_layers)

    def forward(self, x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, queries, class_count] and boxes [batch, queries, 4].

        Args:
            x: float32 [batch, 3, height, width], normalised, zero where there is no picture.
            size: int64 [batch, 2], height and width of each picture inside.

        Returns:
            Boxes are centre x and y, width and height as shares of the picture's own size, in [0, 1].
        """
        cells = self.input_proj(self.body(x)[-1])
        is_inside = cells_inside(size, x.shape[2:], cells.shape[2:])
        positions = sine_positions(is_inside, self.hidden)
        found = self.transformer(
            cells.flatten(2).transpose(1, 2), positions.flatten(1, 2), is_inside.flatten(1), self.query_embed.weight
        )
        return self.class_embed(found), self.bbox_embed(found).sigmoid()

    @property
    def body(self) -> Body:
        """The convolutional body."""
        return self.get_submodule("backbone.0.body")  # type: ignore[return-value]  # built above


def cells_inside(size: Tensor, padded: torch.Size, cells: torch.Size) -> Tensor:
    """Return which cells of a map lie in the picture, bool [batch, rows, columns].

    A cell does if the pixel nearest to its upper left corner does.

    Args:
        size: int64 [batch, 2], height and width of each picture.
        padded: height and width of the padded pictures.
        cells: rows and columns of the map.

    >>> cells_inside(torch.tensor([[33, 32]]), torch.Size([96, 64]), torch.Size([3, 2])).int()
    tensor([[[1, 0],
             [1, 0],
             [0, 0]]], dtype=torch.int32)
    """
    reached = []
    for axis in (0, 1):
        index = torch.arange(cells[axis], device=size.device)
        first_pixel = torch.div(index * padded[axis], cells[axis], rounding_mode="floor")
        reached.append(first_pixel < size[:, axis : axis + 1])
    return reached[0][:, :, None] & reached[1][:, None, :]
