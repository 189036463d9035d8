import torch

from retinue.zoo.detr import Detr, cells_inside
from retinue.zoo.detr_transformer import DetrTransformer
from retinue.zoo.plain_trunk import PlainTrunk


def tiny_detr() -> Detr:
    torch.manual_seed(0)
    transformer = DetrTransformer(16, heads=2, encoder_depth=1, decoder_depth=1, feedforward=32)
    return Detr(PlainTrunk((4, 8, 8, 8)), transformer, hidden=16, class_count=4, query_count=6).eval()


def test_boxes_are_shares_of_the_picture() -> None:
    _, boxes = tiny_detr()(torch.randn(1, 3, 64, 96), torch.tensor([[64, 96]]))
    assert ((boxes > 0) & (boxes < 1)).all()


def test_an_answer_does_not_depend_on_the_other_pictures() -> None:
    model, pictures, size = tiny_detr(), torch.randn(3, 3, 64, 64), torch.tensor([[64, 64], [40, 20], [33, 64]])
    together = model(pictures, size)
    for index in range(3):
        alone = model(pictures[index : index + 1], size[index : index + 1])
        for one, other in zip(alone, together, strict=True):
            assert torch.allclose(one[0], other[index], atol=1e-5)  # other kernels for other batch sizes


def test_cells_are_inside_as_nearest_interpolation_of_the_mask_says() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        height, width = torch.randint(1, 400, (2,), generator=generator).tolist()
        size = torch.tensor([[1 + height // 2, max(1, width - 7)]])
        rows, columns = -(-height // 32), -(-width // 32)
        mask = torch.zeros(1, 1, height, width)
        mask[:, :, : size[0, 0], : size[0, 1]] = 1
        wanted = torch.nn.functional.interpolate(mask, (rows, columns))[:, 0] > 0
        assert torch.equal(cells_inside(size, torch.Size([height, width]), torch.Size([rows, columns])), wanted)
