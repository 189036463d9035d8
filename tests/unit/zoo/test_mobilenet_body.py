import torch

from retinue.zoo.mobilenet_body import MobileNetBody
from retinue.zoo.mobilenet_v3 import LARGE, MobileNetV3


def test_last_map_is_that_of_the_classifiers_features() -> None:
    torch.manual_seed(0)
    classifier = MobileNetV3(LARGE, class_count=2, last_channels=8, eps=1e-5).eval()
    body = MobileNetBody(LARGE).eval()
    body.load_state_dict(classifier.features.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(body(x)[-1], classifier.features(x))


def test_maps_are_taken_at_any_layer() -> None:
    body = MobileNetBody(LARGE, returned=(0, 4)).eval()
    assert (body.channels, body.strides) == ((16, 40), (2, 8))
    assert [tuple(x.shape) for x in body(torch.zeros(1, 3, 32, 32))] == [(1, 16, 16, 16), (1, 40, 4, 4)]
