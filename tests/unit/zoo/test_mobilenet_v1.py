import torch

from retinue.zoo.mobilenet_v1 import MobileNetV1


def test_has_the_papers_parameters() -> None:
    """4.2 million in table 8; 4 231 976 with batch normalisation's two per channel and the classifier's bias."""
    assert sum(weight.numel() for weight in MobileNetV1().parameters()) == 4_231_976


def test_width_multiplies_the_channels() -> None:
    model = MobileNetV1(width=0.5)
    assert (model.stem.out_channels, model.embedding_size) == (16, 512)


def test_shrinks_pictures_by_32() -> None:
    assert MobileNetV1(width=0.25).eval().features(torch.zeros(1, 3, 96, 64)).shape == (1, 256, 3, 2)
