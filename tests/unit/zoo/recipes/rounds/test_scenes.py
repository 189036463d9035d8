import numpy as np
import pytest

from retinue.zoo.recipes.rounds.scenes import CLASSES, Scene, coin_scene, random_scene, smear_scene


def _scenes() -> list[Scene]:
    rng = np.random.default_rng(1)
    return [make(rng, 96, 128) for make in (coin_scene, smear_scene) for _ in range(6)]


def test_boxes_are_those_of_what_is_seen() -> None:
    seen = 0
    for scene in _scenes():
        assert len(scene.boxes) == len(scene.labels) == scene.instances.max()
        for number, box in enumerate(scene.boxes, start=1):
            ys, xs = np.nonzero(scene.instances == number)
            assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            seen += 1
    assert seen > 30


def test_labels_are_of_the_classes_and_all_of_them_occur() -> None:
    labels = np.concatenate([scene.labels for scene in _scenes()])
    assert set(labels) == set(range(1, len(CLASSES) + 1))


def test_the_same_seed_draws_the_same_scene() -> None:
    one, other = (random_scene(np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.picture, other.picture)
    assert np.array_equal(one.instances, other.instances)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 200), (64, 64)])
def test_scenes_come_in_any_size(height: int, width: int) -> None:
    for seed in range(4):
        scene = random_scene(np.random.default_rng(seed), height, width)
        assert scene.picture.shape == (height, width, 3)
        assert scene.picture.dtype == np.uint8
        assert scene.instances.shape == (height, width)


def test_some_scenes_are_empty_and_some_are_grey() -> None:
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, 48, 48) for _ in range(80)]
    assert any(not len(scene.labels) for scene in scenes)
    grey = [np.ptp(scene.picture.astype(int), axis=2).max() == 0 for scene in scenes]
    assert any(grey)
    assert not all(grey)
