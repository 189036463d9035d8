import torch

from retinue.zoo.region_proposals import RegionProposalHead, best_proposals


def test_anchors_are_in_order_of_rows_columns_and_shapes() -> None:
    head = RegionProposalHead(2, anchor_count=3)
    level = torch.randn(1, 2, 4, 5)
    ((logits, deltas),) = head([level])
    x = head.conv(level)
    row, column, shape = 2, 3, 1
    index = (row * 5 + column) * 3 + shape
    assert logits[0, index] == head.cls_logits(x)[0, shape, row, column]
    assert torch.equal(deltas[0, index], head.bbox_pred(x)[0, 4 * shape : 4 * shape + 4, row, column])


def test_each_level_gives_its_best_in_order() -> None:
    logits = (torch.tensor([[0.0, 5, 1], [7, 1, 8]]), torch.tensor([[3.0], [9]]))
    deltas = [torch.arange(x.numel() * 4.0).reshape(*x.shape, 4) for x in logits]
    best, index, moved = best_proposals(list(zip(logits, deltas, strict=True)), 2)
    assert index.tolist() == [[1, 2, 0], [2, 0, 0]]
    assert best.tolist() == [[5, 1, 3], [8, 7, 9]]
    assert torch.equal(moved[1], torch.stack([deltas[0][1, 2], deltas[0][1, 0], deltas[1][1, 0]]))
