"""Faster R-CNN over a feature pyramid, in the layout in which its weights are published.

Source:
    Ren et al., NeurIPS 2015, arXiv:1506.01497; Lin et al., CVPR 2017, arXiv:1612.03144, section 4.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from retinue.zoo.body import Body
from retinue.zoo.box_head import BoxPredictor, ConvolutionalBoxHead, LinearBoxHead
from retinue.zoo.feature_pyramid import PyramidBackbone
from retinue.zoo.region_align import pyramid_align
from retinue.zoo.region_proposals import RegionProposalHead

POOLED_SIZE = 7


class FasterRcnn(nn.Module):
    """Two networks in one: pictures to levels and proposals; levels and boxes to classes and corrections.

    What lies between, anchors, decoding and suppression, is arithmetic without weights and no part of it. Keys are
    ``backbone.{body,fpn}.*``, ``rpn.head.*`` and ``roi_heads.{box_head,box_predictor}.*``.

    Args:
        body: gives the maps that the pyramid is built on.
        class_count: classes with the background, which is class 0.
        anchor_count: anchors at each cell.
        pyramid_channels: channels of every level.
        hidden: width of the second stage's linear layers.
        proposal_depth: 3x3 convolutions of the first stage's head.
        head_convolutions: channels of the second stage's convolutions; none: two linear layers.
        has_pyramid_norm: whether the pyramid's convolutions are normalised.
        has_pooled_level: whether the coarsest level, thinned out, is one more level for proposals.
        canonical_px: side of the box whose features come from stride 16.

    Raises:
        ValueError: the body's strides leave out a power of two.

    >>> import torch
    >>> from retinue.zoo.plain_trunk import PlainTrunk
    >>> model = FasterRcnn(PlainTrunk((8, 8, 8, 8)), class_count=3, pyramid_channels=8, hidden=16).eval()
    >>> levels = model.levels(torch.zeros(1, 3, 64, 64))
    >>> [tuple(deltas.shape) for _, deltas in model.proposals(levels)]
    [(1, 768, 4), (1, 192, 4), (1, 48, 4), (1, 12, 4)]
    >>> boxes = torch.tensor([[3.0, 4, 50, 60], [0, 0, 8, 8]])
    >>> [tuple(x.shape) for x in model.classes(levels, boxes, torch.zeros(2, dtype=torch.int64))]
    [(2, 3), (2, 12)]
    """

    def __init__(  # noqa: PLR0913 - the knobs of the family
        self,
        body: Body,
        *,
        class_count: int = 91,
        anchor_count: int = 3,
        pyramid_channels: int = 256,
        hidden: int = 1024,
        proposal_depth: int = 1,
        head_convolutions: Sequence[int] = (),
        has_pyramid_norm: bool = False,
        has_pooled_level: bool = True,
        canonical_px: float = 224.0,
    ) -> None:
        super().__init__()
        self.class_count = class_count
        self.pyramid_channels = pyramid_channels
        self.canonical_px = canonical_px
        self.strides = (*body.strides, 2 * body.strides[-1]) if has_pooled_level else body.strides
        self.pooled_strides = _pooled(body.strides)
        self.backbone = PyramidBackbone(
            body, pyramid_channels, has_norm=has_pyramid_norm, has_pooled_level=has_pooled_level
        )
        self.rpn = nn.ModuleDict(
            {"head": RegionProposalHead(pyramid_channels, anchor_count=anchor_count, depth=proposal_depth)}
        )
        head: LinearBoxHead | ConvolutionalBoxHead
        if head_convolutions:
            head = ConvolutionalBoxHead(
                pyramid_channels, size=POOLED_SIZE, convolutions=head_convolutions, hidden=(hidden,)
            )
        else:
            head = LinearBoxHead(pyramid_channels * POOLED_SIZE**2, hidden)
        predictor = BoxPredictor(head.out_features, class_count)
        self.roi_heads = nn.ModuleDict({"box_head": head, "box_predictor": predictor})

    def levels(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the pyramid's levels at ``strides``, [batch, pyramid_channels, rows, columns] each.

        Args:
            x: float32 [batch, 3, height, width], normalised, zero where there is no picture; both sides multiples of
                the last stride of the body.
        """
        out: tuple[Tensor, ...] = self.backbone(x)
        return out

    def proposals(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return objectness logits [batch, anchors] and deltas [batch, anchors, 4] of each level."""
        out: list[tuple[Tensor, Tensor]] = self.rpn["head"](levels)
        return out

    def classes(self, levels: Sequence[Tensor], boxes: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits [boxes, class_count] and deltas [boxes, class_count * 4].

        Args:
            levels: the finest of them at least, those at ``pooled_strides``.
            boxes: float32 [boxes, 4], x1, y1, x2, y2 in pixels of the padded picture.
            picture: int64 [boxes], row of the batch that each lies in.
        """
        used = levels[: len(self.pooled_strides)]
        pooled = pyramid_align(
            used, self.pooled_strides, boxes, picture, size=POOLED_SIZE, canonical_px=self.canonical_px
        )
        out: tuple[Tensor, Tensor] = self.roi_heads["box_predictor"](self.roi_heads["box_head"](pooled))
        return out


def _pooled(strides: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of the levels that boxes are cut from: one for each power of two, the first of equal ones.

    >>> _pooled((4, 8, 16, 32)), _pooled((32, 32))
    ((4, 8, 16, 32), (32,))
    """
    used = tuple(strides[0] << power for power in range((strides[-1] // strides[0]).bit_length()))
    if used != tuple(strides[: len(used)]):
        raise ValueError(f"levels at strides {list(strides)} do not double from one to the next")
    return used
