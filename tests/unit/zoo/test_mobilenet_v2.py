from collections.abc import Callable

import torch

from retinue.zoo.mobilenet_v2 import MobileNetV2
from tests.unit.zoo.conftest import Golden


def test_has_the_published_names_in_order(golden: Callable[[str], Golden]) -> None:
    model, published = MobileNetV2(), golden("mobilenet_v2").state
    assert {name: t.shape for name, t in model.state_dict().items()} == {name: t.shape for name, t in published.items()}
    assert list(model.state_dict()) == list(published)
    assert len(published) == 314


def test_has_the_published_number_of_parameters() -> None:
    assert sum(weight.numel() for weight in MobileNetV2().parameters()) == 3_504_872


def test_last_convolution_does_not_get_narrower_than_published() -> None:
    assert MobileNetV2(width=0.5).embedding_size == 1280
    assert MobileNetV2(width=1.4).embedding_size == 1792


def test_shrinks_pictures_by_32() -> None:
    assert MobileNetV2(width=0.35).eval().features(torch.zeros(1, 3, 96, 64)).shape == (1, 1280, 3, 2)


def test_normalises_with_the_published_epsilon() -> None:
    assert {m.eps for m in MobileNetV2().modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-5}
