import torch

from retinue.zoo.renames_detection import has_old_names, migrated_detector

NEW = ("rpn.head.conv.0.0.weight", "backbone.fpn.inner_blocks.0.0.bias", "backbone.body.conv1.weight", "other.weight")


def test_todays_names_stay() -> None:
    state = dict.fromkeys(NEW, torch.zeros(1))
    assert tuple(migrated_detector(state)) == NEW
    assert not has_old_names(state)


def test_old_names_are_told() -> None:
    assert has_old_names({"rpn.head.conv.weight": torch.zeros(1)})
