import pytest
import torch

from retinue.zoo.detectors import TWO_STAGE, build_detr


@pytest.mark.parametrize(
    ("name", "parameter_count", "tensor_count"),
    [
        ("fasterrcnn_resnet50_fpn", 41_755_286, 295),
        ("fasterrcnn_resnet50_fpn_v2", 43_712_278, 404),
        ("fasterrcnn_mobilenet_v3_large_fpn", 19_386_354, None),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", 19_386_354, None),
    ],
)
def test_two_stage_detectors_have_their_published_size(
    name: str, parameter_count: int, tensor_count: int | None
) -> None:
    with torch.device("meta"):
        model = TWO_STAGE[name].build()
    assert sum(weight.numel() for weight in model.parameters()) == parameter_count
    assert tensor_count in (None, len(model.state_dict()))


@pytest.mark.parametrize("name", TWO_STAGE)
def test_policies_have_the_levels_and_anchors_of_their_models(name: str) -> None:
    with torch.device("meta"):
        model = TWO_STAGE[name].build(class_count=3)
    policy = TWO_STAGE[name].policy
    assert policy.strides == model.strides
    assert policy.anchors_per_cell == model.rpn["head"].anchor_count
    assert len(policy.anchor_sizes) == len(policy.strides)


def test_detr_has_its_published_size() -> None:
    with torch.device("meta"):
        model = build_detr()
    assert sum(weight.numel() for weight in model.parameters()) == 41_524_768
    assert len(model.state_dict()) == 458


def test_a_dilated_detr_attends_to_four_times_as_many_cells() -> None:
    with torch.device("meta"):
        assert build_detr(is_dilated=True).body.strides == (16,)
