import pytest
import torch

from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.mobilenet_body import MobileNetBody
from retinue.zoo.mobilenet_v3 import LARGE
from retinue.zoo.resnet import BasicBlock, ResNet


def test_levels_of_equal_stride_are_pooled_from_the_first_alone() -> None:
    model = FasterRcnn(MobileNetBody(LARGE), class_count=2, pyramid_channels=8, hidden=8, anchor_count=15)
    assert model.strides == (32, 32, 64)
    assert model.pooled_strides == (32,)


def test_strides_that_leave_out_a_power_of_two_are_refused() -> None:
    body = ResNet(BasicBlock, (1, 1, 1, 1), stem_channels=4, widths=(4, 4, 4, 4), returned=(1, 3))
    with pytest.raises(ValueError, match=r"strides \[4, 16\] do not double"):
        FasterRcnn(body)


def test_proposals_come_from_one_more_level_than_boxes() -> None:
    body = ResNet(BasicBlock, (1, 1, 1, 1), stem_channels=4, widths=(4, 4, 4, 4))
    model = FasterRcnn(body, pyramid_channels=4, hidden=4).eval()
    levels = model.levels(torch.zeros(1, 3, 64, 64))
    assert [level.shape[-1] for level in levels] == [16, 8, 4, 2, 1]
    assert len(model.proposals(levels)) == 5
    assert model.pooled_strides == (4, 8, 16, 32)
