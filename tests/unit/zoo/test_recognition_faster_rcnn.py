from collections.abc import Callable
from typing import Any

import pytest
import torch

from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_policy import MOBILENET, MOBILENET_320
from retinue.zoo.frozen_norm import FrozenNorm, freeze_norms
from retinue.zoo.mobilenet_body import MobileNetBody
from retinue.zoo.mobilenet_v3 import LARGE
from retinue.zoo.plain_trunk import PlainTrunk
from retinue.zoo.recognition_faster_rcnn import is_faster_rcnn, recognise_faster_rcnn
from retinue.zoo.resnet import BasicBlock, Bottleneck, ResNet

SMALL: dict[str, Any] = {"pyramid_channels": 8, "hidden": 16}
WIDTHS = (4, 8, 12, 16)


def _resnet(block: type[BasicBlock | Bottleneck] = BasicBlock, **options: Any) -> ResNet:
    return ResNet(block, (1, 2, 1, 1), stem_channels=4, widths=WIDTHS, **options)


def _frozen(**options: Any) -> FasterRcnn:
    body = _resnet(Bottleneck)
    freeze_norms(body, 0.0)
    return FasterRcnn(body, **{**SMALL, **options})


def _v2(**options: Any) -> FasterRcnn:
    options = {"has_pyramid_norm": True, "proposal_depth": 2, "head_convolutions": (8, 6), **SMALL, **options}
    return FasterRcnn(_resnet(Bottleneck), **options)


def _mobilenet(**options: Any) -> FasterRcnn:
    return FasterRcnn(MobileNetBody(LARGE), anchor_count=15, **{**SMALL, **options})


@pytest.mark.parametrize(
    ("build", "architecture"),
    [
        (_frozen, "fasterrcnn_resnet_fpn"),
        (_v2, "fasterrcnn_resnet_fpn_v2"),
        (_mobilenet, "fasterrcnn_mobilenet_v3_large_fpn"),
    ],
)
@pytest.mark.parametrize("class_count", [3, 91])
def test_a_checkpoint_of_any_class_count_is_recognised_by_its_names_and_shapes(
    build: Callable[..., FasterRcnn], architecture: str, class_count: int
) -> None:
    torch.manual_seed(0)
    original = build(class_count=class_count).eval()
    assert is_faster_rcnn(original.state_dict())
    found = recognise_faster_rcnn(original.state_dict())
    assert found.architecture == architecture
    assert found.model.class_count == class_count
    x = torch.randn(1, 3, 64, 64)
    levels = original.levels(x)
    assert all(torch.equal(*pair) for pair in zip(found.model.levels(x), levels, strict=True))
    boxes, picture = torch.tensor([[1.0, 2, 30, 40]]), torch.tensor([0])
    for answer, wanted in zip(
        found.model.classes(levels, boxes, picture), original.classes(levels, boxes, picture), strict=True
    ):
        assert torch.equal(answer, wanted)


def test_names_of_the_published_files_are_migrated() -> None:
    state = _frozen().state_dict()
    old = {
        name.replace("rpn.head.conv.0.0.", "rpn.head.conv.").replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        if name.startswith(("rpn", "backbone.fpn"))
        else name: tensor
        for name, tensor in state.items()
    }
    assert {"rpn.head.conv.weight", "backbone.fpn.layer_blocks.3.bias"} <= set(old)
    found = recognise_faster_rcnn(old)
    assert set(found.model.state_dict()) == set(state)


def test_frozen_normalisation_of_a_resnet_has_no_epsilon_and_counted_has_one() -> None:
    frozen = recognise_faster_rcnn(_frozen().state_dict()).model
    assert {module.eps for module in frozen.modules() if isinstance(module, FrozenNorm)} == {0.0}
    other = recognise_faster_rcnn(_frozen().state_dict(), frozen_eps=1e-5).model
    assert {module.eps for module in other.modules() if isinstance(module, FrozenNorm)} == {1e-5}
    counted = recognise_faster_rcnn(FasterRcnn(_resnet(Bottleneck), **SMALL).state_dict()).model
    assert {m.eps for m in counted.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-5}


def test_a_mobilenet_is_recognised_with_and_without_counters() -> None:
    state = _mobilenet().state_dict()
    uncounted = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    for one in (state, uncounted):
        model = recognise_faster_rcnn(one).model
        assert {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-5}


@pytest.mark.parametrize(
    ("file_name", "policy"),
    [
        ("fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth", MOBILENET_320),
        ("mine_320_fpn.safetensors", MOBILENET_320),
        ("fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth", MOBILENET),
        ("", MOBILENET),
    ],
)
def test_low_resolution_goes_by_the_files_name(file_name: str, policy: object) -> None:
    found = recognise_faster_rcnn(_mobilenet().state_dict(), file_name=file_name)
    assert found.policy == policy
    assert ("320" in found.architecture) == (policy == MOBILENET_320)


def test_a_pyramid_over_some_stages_takes_their_maps() -> None:
    model = FasterRcnn(_resnet(returned=(2, 3)), class_count=2, **SMALL)
    sizes = ((16.0,), (32.0,), (64.0,))
    found = recognise_faster_rcnn(model.state_dict(), anchor_sizes=sizes)
    assert found.model.strides == found.policy.strides == (8, 16, 32)
    assert found.policy.anchor_sizes == sizes


def test_a_trunk_of_ones_own_is_recognised_with_its_anchors_given() -> None:
    model = FasterRcnn(PlainTrunk((4, 8, 8, 8), depth=3), class_count=5, has_pooled_level=False, **SMALL)
    found = recognise_faster_rcnn(model.state_dict(), anchor_sizes=((16.0,), (32.0,), (64.0,)))
    assert found.architecture == "fasterrcnn_plain_trunk_fpn"
    assert found.policy.strides == (4, 8, 16)


def test_anchors_of_unknown_size_must_be_given() -> None:
    state = FasterRcnn(_resnet(), anchor_count=4, **SMALL).state_dict()
    with pytest.raises(CheckpointInvalid, match="4 anchors at each cell of 4 or 5 levels, not 3 of 5"):
        recognise_faster_rcnn(state)


@pytest.mark.parametrize(
    "name",
    ["backbone.body.conv1.weight", "backbone.fpn.inner_blocks.0.0.weight", "roi_heads.box_head.fc7.weight"],
)
@pytest.mark.parametrize("tensor", [torch.zeros(()), torch.zeros(0, 3, 1, 1), torch.zeros(3)])
def test_dimensions_that_cannot_be_read_are_refused(name: str, tensor: torch.Tensor) -> None:
    with pytest.raises(CheckpointInvalid):
        recognise_faster_rcnn({**_frozen().state_dict(), name: tensor})


def test_tensors_of_another_network_are_listed() -> None:
    state = {**_frozen().state_dict(), "roi_heads.cascade_head.0.0.weight": torch.zeros(1)}
    with pytest.raises(CheckpointMismatch, match=r"unexpected: roi_heads\.cascade_head\.0\.0\.weight"):
        recognise_faster_rcnn(state)


@pytest.mark.parametrize(
    "name",
    ["roi_heads.mask_head.0.0.weight", "roi_heads.mask_head.mask_fcn1.weight", "roi_heads.keypoint_head.0.weight"],
)
def test_of_a_network_with_more_heads_the_boxes_are_taken(name: str) -> None:
    state = _frozen().state_dict()
    found = recognise_faster_rcnn({**state, name: torch.zeros(1)})
    assert found.architecture == "fasterrcnn_resnet_fpn"
    taken = found.model.state_dict()
    assert taken.keys() == state.keys()
    assert all(torch.equal(taken[key], state[key]) for key in state)


def test_a_classifier_is_no_detector() -> None:
    state = _resnet().state_dict()
    assert not is_faster_rcnn(state)
    with pytest.raises(CheckpointInvalid, match="no feature pyramid"):
        recognise_faster_rcnn(state)
