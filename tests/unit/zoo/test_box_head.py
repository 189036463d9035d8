import torch

from retinue.zoo.box_head import BoxPredictor, ConvolutionalBoxHead, LinearBoxHead


def test_names_are_the_published_ones() -> None:
    assert set(LinearBoxHead(8, 4).state_dict()) == {"fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"}
    names = set(ConvolutionalBoxHead(4, size=7, convolutions=(4,) * 4, hidden=(8,)).state_dict())
    assert {"0.0.weight", "3.1.running_mean", "5.weight", "5.bias"} <= names


def test_no_boxes_give_no_answers() -> None:
    for head in (LinearBoxHead(4 * 9, 8), ConvolutionalBoxHead(4, size=3, convolutions=(4,), hidden=(8,))):
        logits, deltas = BoxPredictor(head.out_features, 3)(head.eval()(torch.zeros(0, 4, 3, 3)))
        assert (logits.shape, deltas.shape) == ((0, 3), (0, 12))
