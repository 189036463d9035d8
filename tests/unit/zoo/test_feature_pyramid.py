import torch
from torch.nn import functional

from retinue.zoo.feature_pyramid import FeaturePyramid, PyramidBackbone
from retinue.zoo.plain_trunk import PlainTrunk


def test_the_coarse_map_is_added_to_the_fine_one_at_its_exact_size() -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid((2, 3), 4)
    fine, coarse = torch.randn(1, 2, 5, 7), torch.randn(1, 3, 3, 4)
    inner = pyramid.inner_blocks[0](fine) + functional.interpolate(pyramid.inner_blocks[1](coarse), (5, 7))
    assert torch.equal(pyramid((fine, coarse))[0], pyramid.layer_blocks[0](inner))


def test_normalised_convolutions_have_no_bias() -> None:
    names = set(FeaturePyramid((2,), 4, has_norm=True).state_dict())
    assert {"inner_blocks.0.0.weight", "inner_blocks.0.1.running_var"} <= names
    assert "inner_blocks.0.0.bias" not in names


def test_the_pooled_level_is_every_other_cell_of_the_coarsest() -> None:
    backbone = PyramidBackbone(PlainTrunk((4, 4, 4)), 4).eval()
    *_, coarsest, pooled = backbone(torch.randn(1, 3, 40, 56))
    assert torch.equal(pooled, coarsest[:, :, ::2, ::2])
    backbone.has_pooled_level = False
    assert len(backbone(torch.randn(1, 3, 40, 56))) == 2
