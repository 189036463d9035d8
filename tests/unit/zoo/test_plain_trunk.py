import pytest
import torch

from retinue.zoo.plain_trunk import PlainTrunk


def test_depth_adds_convolutions_of_stride_1() -> None:
    body = PlainTrunk((4, 6), depth=3)
    strides = [layer.stride[0] for layer in body.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert strides == [2, 1, 1, 2, 1, 1]


def test_a_trunk_of_one_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two stages"):
        PlainTrunk((8,))
