import pytest
import torch

from retinue.zoo.resnet import REPEATS, BasicBlock, Bottleneck, ResNet


def test_maps_halve_from_stride_4_and_have_the_widths_of_the_paper() -> None:
    with torch.device("meta"):
        body = ResNet(Bottleneck, REPEATS[50])
        maps = body(torch.empty(1, 3, 65, 96))
    assert body.channels == (256, 512, 1024, 2048)
    assert body.strides == (4, 8, 16, 32)
    assert [tuple(x.shape) for x in maps] == [(1, 256, 17, 24), (1, 512, 9, 12), (1, 1024, 5, 6), (1, 2048, 3, 3)]


def test_a_bottleneck_strides_at_its_3x3_convolution() -> None:
    body = ResNet(Bottleneck, (1, 1, 1, 1), stem_channels=4, widths=(2, 2, 2, 2))
    assert body.get_submodule("layer2.0.conv1").stride == (1, 1)
    assert body.get_submodule("layer2.0.conv2").stride == (2, 2)


def test_a_dilated_last_stage_keeps_its_size_and_dilates_from_the_second_block_on() -> None:
    body = ResNet(Bottleneck, (1, 1, 1, 2), stem_channels=4, widths=(2, 2, 2, 2), is_dilated=True, returned=(3, 4))
    assert body.strides == (16, 16)
    assert [tuple(x.shape[2:]) for x in body(torch.zeros(1, 3, 64, 64))] == [(4, 4), (4, 4)]
    assert [body.get_submodule(f"layer4.{i}.conv2").dilation for i in (0, 1)] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(("block", "names"), [(BasicBlock, 2), (Bottleneck, 3)])
def test_names_are_the_published_ones(block: type[BasicBlock | Bottleneck], names: int) -> None:
    keys = set(ResNet(block, (1, 1, 1, 1), stem_channels=4, widths=(2, 2, 2, 2)).state_dict())
    for part in [f"conv{i}.weight" for i in range(1, names + 1)] + ["downsample.0.weight", "downsample.1.running_var"]:
        assert f"layer2.0.{part}" in keys
    assert f"layer2.0.conv{names + 1}.weight" not in keys
