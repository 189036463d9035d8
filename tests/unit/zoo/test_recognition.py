import pytest
import torch

from retinue.zoo.architectures import build
from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch
from retinue.zoo.recognition import recognise
from retinue.zoo.renames_vit import vit_to_timm
from tests.unit.zoo.test_renames_mobilenet import V3_SMALL, to_timm

VIT = {"image_size": 32, "patch_size": 8, "hidden": 64, "depth": 2, "heads": 1}


def _state(name: str, **options: object) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build(name, **options).state_dict())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {"width": 0.25}),
        ("mobilenet_v2", {"width": 0.35}),
        ("mobilenet_v3_small", {"width": 0.5}),
        ("mobilenet_v3_large", {"width": 0.35, "last_channels": 40}),
    ],
)
def test_mobilenets_are_recognised_at_any_width(name: str, options: dict[str, float]) -> None:
    state = _state(name, class_count=3, **options)
    found = recognise(state)
    assert (found.architecture, found.layout, found.trained_size) == (name, "torchvision", None)
    assert found.model.class_count == 3
    assert torch.equal(found.model.head.weight, state[next(reversed(state)).replace("bias", "weight")])


def test_recognised_network_answers_as_the_original() -> None:
    torch.manual_seed(0)
    for name, options in (("mobilenet_v2", {"width": 0.35}), ("vit_b_16", VIT)):
        original = build(name, class_count=3, **options).eval()
        for weight in original.head.parameters():
            torch.nn.init.normal_(weight)
        x = torch.randn(2, 3, 32, 32)
        assert torch.equal(recognise(original.state_dict()).model(x), original(x))


def test_transformers_are_recognised_with_both_layouts() -> None:
    state = _state("vit_b_16", class_count=3, **VIT)
    for layout, named in (("torchvision", state), ("timm", vit_to_timm(state))):
        found = recognise(named)
        assert (found.architecture, found.layout, found.trained_size) == ("vit", layout, (32, 32))


@pytest.mark.parametrize("layout", ["torchvision", "timm"])
def test_each_layout_has_its_own_way_with_positions(layout: str) -> None:
    state = _state("vit_b_16", class_count=3, **VIT)
    ours, other = (
        recognise(named, image_size=(48, 40)).model.get_parameter("encoder.pos_embedding")
        for named in (state, vit_to_timm(state))
    )
    assert ours.shape == other.shape == (1, 31, 64)
    assert not torch.allclose(ours, other, atol=1e-3), layout


def test_timms_mobilenet_v3_has_pytorchs_epsilon() -> None:
    """The published weights were trained with 1e-5 where torchvision's were trained with 1e-3."""
    state = _state("mobilenet_v3_small", width=0.25, last_channels=16, class_count=3)
    for named, eps in ((state, 1e-3), (to_timm(state, V3_SMALL, "v3"), 1e-5)):
        norms = [m for m in recognise(named).model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert {norm.eps for norm in norms} == {eps}


@pytest.mark.parametrize("state", [{}, {"fc.weight": torch.ones(2, 2)}, {"features.0.weight": torch.ones(1)}])
def test_other_networks_are_refused(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointInvalid, match="no known classifier"):
        recognise(state)


def test_networks_with_other_parts_are_refused_by_name() -> None:
    timm = vit_to_timm(_state("vit_b_16", class_count=3, **VIT))
    with pytest.raises(CheckpointMismatch, match=r"unexpected: .*encoder_layer_0.attn.q_norm.weight"):
        recognise({**timm, "blocks.0.attn.q_norm.weight": torch.ones(64)})
    with pytest.raises(CheckpointMismatch, match=r"unexpected: reg_token"):
        recognise({**timm, "reg_token": torch.ones(1, 4, 64)})
    del timm["head.weight"]
    with pytest.raises(CheckpointInvalid, match=r"lacks heads.head.weight"):
        recognise(timm)
