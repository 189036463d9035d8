"""The head that says at every cell of every level which anchors hold something, and how to move them onto it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

COORDINATES = 4


class RegionProposalHead(nn.Module):
    """3x3 convolutions, then objectness and deltas by 1x1 ones: keys ``conv.{k}.0.*``, ``cls_logits``, ``bbox_pred``.

    The same weights see every level.

    Args:
        channels: of every level.
        anchor_count: anchors at each cell.
        depth: count of 3x3 convolutions.

    Source:
        Ren et al., NeurIPS 2015, arXiv:1506.01497, section 3.1, with one logit for each anchor.

    >>> head = RegionProposalHead(8, anchor_count=3)
    >>> [[tuple(x.shape) for x in level] for level in head([torch.zeros(2, 8, 4, 5), torch.zeros(2, 8, 2, 3)])]
    [[(2, 60), (2, 60, 4)], [(2, 18), (2, 18, 4)]]
    """

    def __init__(self, channels: int, *, anchor_count: int, depth: int = 1) -> None:
        super().__init__()
        self.anchor_count = anchor_count
        self.conv = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()) for _ in range(depth))
        )
        self.cls_logits = nn.Conv2d(channels, anchor_count, 1)
        self.bbox_pred = nn.Conv2d(channels, anchor_count * COORDINATES, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return objectness logits [batch, anchors] and deltas [batch, anchors, 4] of each level.

        Anchors are in order of their cells, row by row, and of their shapes at each cell.
        """
        out = []
        for level in levels:
            x = self.conv(level)
            logits = self.cls_logits(x).permute(0, 2, 3, 1).flatten(1)
            deltas = self.bbox_pred(x).permute(0, 2, 3, 1).reshape(level.shape[0], -1, COORDINATES)
            out.append((logits, deltas))
        return out


def best_proposals(levels: Sequence[tuple[Tensor, Tensor]], per_level: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits, indices and deltas of the anchors that are most likely to hold something.

    Args:
        levels: logits [batch, anchors] and deltas [batch, anchors, 4] of each level, the finest first.
        per_level: how many are taken of each level, the best first; all of a level that has fewer.

    Returns:
        Level after level, in columns: logits [batch, taken]; indices [batch, taken] int64 into the anchors of the
        level; deltas [batch, taken, 4].

    >>> logits = torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[5.0]])
    >>> best_proposals([(x, torch.zeros(*x.shape, 4)) for x in logits], 2)[1]
    tensor([[1, 2, 0]])
    """
    all_logits, all_indices, all_deltas = [], [], []
    for logits, deltas in levels:
        count = logits.shape[1]  # while exporting, a number of the graph
        wanted = torch.minimum(torch.as_tensor(per_level), torch.as_tensor(count))
        best, indices = logits.topk(wanted, 1)  # type: ignore[arg-type]  # a 0-dimensional tensor is one number
        all_logits.append(best)
        all_deltas.append(deltas.gather(1, indices[..., None].expand(-1, -1, COORDINATES)))
        all_indices.append(indices)
    return torch.cat(all_logits, 1), torch.cat(all_indices, 1), torch.cat(all_deltas, 1)
