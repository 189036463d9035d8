import pytest
import torch

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.mobilenet_body import MobileNetBody
from retinue.zoo.mobilenet_v3 import LARGE, SMALL
from retinue.zoo.recognition_body import body_of, resnet_of
from retinue.zoo.resnet import REPEATS, BasicBlock, Bottleneck, ResNet


@pytest.mark.parametrize(
    ("block", "depth"), [(BasicBlock, 18), (BasicBlock, 34), (Bottleneck, 50), (Bottleneck, 101), (Bottleneck, 152)]
)
def test_depth_of_a_resnet_is_read_off(block: type[BasicBlock | Bottleneck], depth: int) -> None:
    with torch.device("meta"):
        original = ResNet(block, REPEATS[depth], widths=(2, 3, 4, 5), stem_channels=6)
    body, name = resnet_of(original.state_dict(), in_channels=original.channels)
    assert name == f"resnet{depth}"
    assert {key: x.shape for key, x in body.state_dict().items()} == {
        key: x.shape for key, x in original.state_dict().items()
    }


def test_a_map_that_no_stage_gives_is_refused() -> None:
    with torch.device("meta"):
        state = ResNet(BasicBlock, REPEATS[18]).state_dict()
    with pytest.raises(CheckpointInvalid, match="maps of 100 channels"):
        resnet_of(state, in_channels=(64, 100))


def test_a_small_mobilenet_is_recognised() -> None:
    body, name = body_of(MobileNetBody(SMALL, returned=(9, 12)).state_dict(), (96, 576), frozen_eps=0.0)
    assert (name, body.channels, body.strides) == ("mobilenet_v3_small", (96, 576), (32, 32))


def test_a_mobilenet_of_another_depth_is_refused() -> None:
    state = MobileNetBody(LARGE[:-1], returned=(13, 15)).state_dict()
    with pytest.raises(CheckpointInvalid, match="14 blocks are no MobileNetV3"):
        body_of(state, (160, 960), frozen_eps=0.0)


def test_names_of_no_known_body_are_refused() -> None:
    with pytest.raises(CheckpointInvalid, match=r"the first are patch_embed\.weight"):
        body_of({"patch_embed.weight": torch.zeros(1)}, (1,), frozen_eps=0.0)
