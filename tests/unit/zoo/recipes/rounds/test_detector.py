from pathlib import Path

import numpy as np
import pytest
import torch

from retinue.runtime.package import open_package
from retinue.zoo.recipes.rounds.detector import (
    NAME,
    POLICY,
    VERSION,
    build_detector,
    main,
    normalised,
    served_scene,
    targets_of,
)
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


def test_scenes_of_all_sizes_are_scaled_to_that_of_serving() -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        scene = served_scene(rng)
        assert scene.picture.shape == (POLICY.short_side, POLICY.short_side, 3)
        assert scene.boxes.max(initial=0) <= POLICY.short_side + 1e-3
        factor = POLICY.short_side / len(scene.instances)
        for number, box in enumerate(scene.boxes, start=1):
            ys, xs = np.nonzero(scene.instances == number)
            assert (box[:2] <= np.array([xs.min(), ys.min()]) * factor + 1e-3).all()


@pytest.mark.slow
def test_the_recipe_makes_the_same_small_package_for_the_same_seed(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    packages = []
    for name in ("one", "other"):
        main(["--root", str(tmp_path / name), "--steps", "2", "--scenes", "1"])
        packages.append(open_package(tmp_path / name / NAME / VERSION))
    torch.set_num_threads(threads)
    one, other = packages
    one.verify()
    assert one.manifest == other.manifest  # which holds the files' digests
    assert sum(path.stat().st_size for path in one.folder.iterdir()) < 8_000_000
