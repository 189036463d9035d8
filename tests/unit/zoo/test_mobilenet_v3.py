from collections.abc import Callable

import pytest
import torch

from retinue.zoo.mobilenet_v3 import LARGE, SMALL, MobileNetV3
from tests.unit.zoo.conftest import Golden


def test_large_has_the_published_names_in_order(golden: Callable[[str], Golden]) -> None:
    model, published = MobileNetV3(LARGE, last_channels=1280), golden("mobilenet_v3_large").state
    assert {name: t.shape for name, t in model.state_dict().items()} == {name: t.shape for name, t in published.items()}
    assert list(model.state_dict()) == list(published)
    assert len(published) == 312
    assert sum(weight.numel() for weight in model.parameters()) == 5_483_032


def test_small_has_the_published_count_of_names_and_parameters() -> None:
    model = MobileNetV3(SMALL, last_channels=1024)
    assert len(model.state_dict()) == 244
    assert sum(weight.numel() for weight in model.parameters()) == 2_542_856


def test_normalises_with_the_papers_epsilon_and_momentum() -> None:
    norms = [m for m in MobileNetV3(SMALL, last_channels=8).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


@pytest.mark.parametrize(("skipped", "side"), [(0, 1), (1, 2), (2, 4), (5, 32), (9, 32)])
def test_skipped_strides_leave_small_pictures_larger(skipped: int, side: int) -> None:
    model = MobileNetV3(SMALL, last_channels=16, width=0.25, skipped_strides=skipped).eval()
    assert model.features(torch.zeros(1, 3, 32, 32)).shape[2:] == (side, side)


def test_last_channels_are_taken_as_they_are() -> None:
    assert MobileNetV3(SMALL, last_channels=20, width=0.5).embedding_size == 20


def test_embedding_times_head_is_the_logits() -> None:
    torch.manual_seed(0)
    model = MobileNetV3(SMALL, last_channels=64, width=0.5, class_count=7).eval()
    x = torch.randn(2, 3, 64, 64)
    logits, embedding = model.forward_features(x)
    assert torch.equal(model.head(embedding), logits)
    assert torch.equal(model(x), logits)
