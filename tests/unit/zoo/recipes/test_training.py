"""The loop trains, the same way for the same seed."""

import numpy as np
import torch

from retinue.runtime.classification_manifest import InputPolicy
from retinue.zoo.classifier import Classifier
from retinue.zoo.mobilenet_v3 import SMALL, MobileNetV3
from retinue.zoo.recipes.handwriting import Digits, read_digits
from retinue.zoo.recipes.training import Schedule, as_rows, normalised, train

POLICY = InputPolicy(height=32, width=32, fit="stretch", kernel="area")


def _trained() -> Classifier:
    torch.manual_seed(0)
    model = MobileNetV3(SMALL[:3], class_count=10, last_channels=32, width=0.5, skipped_strides=1)
    digits = read_digits("train")
    train(
        model, Digits(digits.ink[:20], digits.labels[:20]), POLICY, Schedule(epochs=2, learning_rate=1e-3, batch_size=8)
    )
    return model


def test_training_is_the_same_for_the_same_seed_and_leaves_the_model_ready_to_answer() -> None:
    one, other = _trained(), _trained()
    assert not one.training
    for key, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[key]), key
    assert torch.isfinite(one(torch.zeros(1, 3, 32, 32))).all()


def test_rows_are_what_the_input_policy_makes_and_lie_around_zero_when_normalised() -> None:
    rows = as_rows([np.zeros((64, 64, 3), np.uint8), np.full((10, 20, 3), 255, np.uint8)], POLICY)
    assert rows.shape == (2, 32, 32, 3)
    pictures = normalised(rows)
    assert pictures.shape == (2, 3, 32, 32)
    assert (pictures[0] == -1).all()
    assert (pictures[1] == 1).all()
