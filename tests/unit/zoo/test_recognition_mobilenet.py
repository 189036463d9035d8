import pytest
import torch

from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch
from retinue.zoo.mobilenet_v1 import MobileNetV1
from retinue.zoo.mobilenet_v2 import STAGES, MobileNetV2, Stage
from retinue.zoo.mobilenet_v3 import SMALL, MobileNetV3
from retinue.zoo.recognition_mobilenet import mobilenet_v1_of, mobilenet_v2_of, mobilenet_v3_of


def test_depth_of_v2_is_read_where_channels_change() -> None:
    deeper = tuple(Stage(s.expansion, s.out_channels, s.repeats + (i > 2), s.stride) for i, s in enumerate(STAGES))
    state = MobileNetV2(deeper, class_count=2).state_dict()
    model = mobilenet_v2_of(state)
    x = torch.randn(1, 3, 64, 64)
    original = MobileNetV2(deeper, class_count=2).eval()
    original.load_state_dict(state)
    assert torch.equal(model(x), original(x))


def test_v2_of_too_few_stages_is_refused() -> None:
    state = MobileNetV2(STAGES[:5], class_count=2).state_dict()
    with pytest.raises(CheckpointInvalid, match="13 blocks fall into 5 stages"):
        mobilenet_v2_of(state)


def test_v3_of_another_depth_is_refused() -> None:
    state = MobileNetV3(SMALL[:-1], last_channels=8, class_count=2).state_dict()
    with pytest.raises(CheckpointInvalid, match="10 blocks are no MobileNetV3: small has 11, large has 15"):
        mobilenet_v3_of(state, eps=1e-3)


def test_kernels_of_another_size_are_refused() -> None:
    state = MobileNetV1(width=0.25).state_dict()
    state["features.3.0.0.weight"] = torch.zeros(32, 1, 5, 5)
    with pytest.raises(CheckpointMismatch, match=r"features.3.0.0.weight: has \(32, 1, 5, 5\), needs \(32, 1, 3, 3\)"):
        mobilenet_v1_of(state)


@pytest.mark.parametrize("name", ["classifier.1.weight", "features.0.0.weight", "features.18.0.weight"])
@pytest.mark.parametrize("tensor", [torch.zeros(()), torch.zeros(3), torch.zeros(0, 3)])
def test_dimensions_that_cannot_be_read_are_refused(name: str, tensor: torch.Tensor) -> None:
    state = {**MobileNetV2(width=0.35).state_dict(), name: tensor}
    with pytest.raises(CheckpointInvalid, match=name):
        mobilenet_v2_of(state)
