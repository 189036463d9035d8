import torch
from torch import nn

from retinue.zoo.architectures import build
from retinue.zoo.classifier import initialise_convolutional


def test_every_layer_is_initialised() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 32, 3), nn.Flatten(), nn.Linear(32, 4))
    for weight in model.parameters():
        nn.init.constant_(weight, 99)
    initialise_convolutional(model)
    convolution, _, linear = model
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(linear, nn.Linear)
    assert abs(float(convolution.weight.detach().std()) - (2 / (32 * 9)) ** 0.5) < 0.01  # He's, fan out
    assert float(linear.weight.detach().abs().max()) < 0.05
    assert not convolution.bias.any()  # type: ignore[union-attr]  # built with one
    assert not linear.bias.any()


def test_sizes_are_those_of_the_head() -> None:
    model = build("mobilenet_v3_small", class_count=7, width=0.5)
    assert (model.class_count, model.embedding_size) == (7, 512)
    assert model.stem.in_channels == 3
