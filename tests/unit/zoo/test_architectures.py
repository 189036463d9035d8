import pytest
import torch

from retinue.runtime.classification_manifest import InputPolicy
from retinue.zoo.architectures import ARCHITECTURES, PREPROCESSING, build


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_built_at_its_published_size(name: str) -> None:
    with torch.device("meta"):
        model = build(name)
        side = ARCHITECTURES[name].preprocessing.input_size
        logits, embedding = model.eval().forward_features(torch.empty(2, 3, side, side))
    assert logits.shape == (2, 1000)
    assert embedding.shape == (2, model.embedding_size)
    assert model.class_count == 1000


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mobilenet_v2", 3_504_872),
        ("mobilenet_v3_small", 2_542_856),
        ("mobilenet_v3_large", 5_483_032),
        ("vit_b_16", 86_567_656),
        ("deit_tiny_16", 5_717_416),
    ],
)
def test_parameters_are_as_published(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(weight.numel() for weight in build(name).parameters()) == parameters


def test_options_differ_from_the_published_size() -> None:
    assert build("mobilenet_v2", width=0.35, class_count=3).class_count == 3
    assert build("vit_tiny_16", image_size=32, patch_size=4, depth=1).embedding_size == 192
    assert build("mobilenet_v3_small", width=0.5, last_channels=100).embedding_size == 100


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'resnet50'; there are mobilenet_v1, .*vit_h_14"):
        build("resnet50")


@pytest.mark.parametrize("name", PREPROCESSING)
@pytest.mark.parametrize("size", [(224, 224), (384, 384), (32, 32), (160, 320), (1, 1)])
def test_preprocessing_makes_a_valid_policy_at_any_size(name: str, size: tuple[int, int]) -> None:
    policy = InputPolicy.model_validate(PREPROCESSING[name].policy(*size))
    assert (policy.height, policy.width, policy.fit) == (*size, "crop")
    assert policy.antialias


def test_published_policies_are_exact() -> None:
    sides = {name: way.policy(way.input_size, way.input_size)["short_side"] for name, way in PREPROCESSING.items()}
    assert sides == {name: way.short_side for name, way in PREPROCESSING.items()}
