from pathlib import Path

import numpy as np
import pytest
import torch

from retinue.zoo.recipes.rounds.detector import POLICY, build_detector, make_detector, normalised, targets_of
from retinue.zoo.recipes.rounds.scenes import CLASSES, random_scene


def test_the_detector_is_small_and_fits_its_policy() -> None:
    model = build_detector()
    assert sum(weight.numel() for weight in model.parameters()) < 2_000_000  # 8 MB of float32
    assert model.strides == POLICY.strides
    assert model.class_count == 1 + len(CLASSES)


def test_pictures_lie_around_zero_and_targets_are_the_scenes() -> None:
    scene = random_scene(np.random.default_rng(0), 32, 32)
    x = normalised([scene, scene])
    assert x.shape == (2, 3, 32, 32)
    assert x.min() >= -1
    assert x.max() <= 1
    assert targets_of(scene).boxes is scene.boxes


@pytest.mark.slow
def test_the_recipe_makes_the_same_small_graphs_for_the_same_seed(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    for name in ("one", "other"):
        exported = make_detector(tmp_path / name, steps=2)
        assert sum(path.stat().st_size for path in exported.files) < 8_000_000
    torch.set_num_threads(threads)
    assert (tmp_path / "one" / "rpn.onnx").read_bytes() == (tmp_path / "other" / "rpn.onnx").read_bytes()
