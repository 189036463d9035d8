import numpy as np
import pytest

from retinue.zoo.recipes.rounds.outlines import Outline, random_outline
from retinue.zoo.recipes.rounds.scenes import (
    CLASSES,
    COIN,
    Scene,
    _seen,
    coin_scene,
    random_scene,
    smear_scene,
)


def _scenes() -> list[Scene]:
    rng = np.random.default_rng(1)
    return [make(rng, 96, 128) for make in (coin_scene, smear_scene) for _ in range(6)]


def test_boxes_hold_what_is_seen_and_those_of_coins_no_more() -> None:
    seen = 0
    for scene in _scenes():
        assert len(scene.boxes) == len(scene.labels) == scene.instances.max()
        for number, (box, label) in enumerate(zip(scene.boxes, scene.labels, strict=True), start=1):
            ys, xs = np.nonzero(scene.instances == number)
            on_top = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert (box[:2] <= on_top[:2]).all()
            assert (box[2:] >= on_top[2:]).all()
            assert label != COIN or (box == on_top).all()
            seen += 1
    assert seen > 30


def _disc(x: float, radius_px: float) -> Outline:
    rng = np.random.default_rng(0)
    return random_outline(rng, (60, 60), (x, 30), radius_px, flattening=0, dents=0)


@pytest.mark.parametrize(("is_translucent", "labels"), [(False, [2]), (True, [1, 2])])
def test_a_thing_that_is_all_but_covered_counts_where_light_falls_through(
    *, is_translucent: bool, labels: list[int]
) -> None:
    rng, canvas = np.random.default_rng(0), np.full((60, 60, 3), 200, np.float32)
    things = [(1, _disc(30, 12)), (2, _disc(31, 12))]
    scene = _seen(rng, canvas, things, grey_share=0, is_translucent=is_translucent)
    assert scene.labels.tolist() == labels
    assert scene.boxes[:, 2].tolist() == [42, 43][-len(labels) :]


@pytest.mark.parametrize(("x", "is_there"), [(-3, True), (-10, False)])
def test_what_hardly_reaches_into_the_picture_does_not_count(x: float, *, is_there: bool) -> None:
    rng, canvas = np.random.default_rng(0), np.full((60, 60, 3), 200, np.float32)
    scene = _seen(rng, canvas, [(1, _disc(x, 12))], grey_share=0, is_translucent=True)
    assert len(scene.labels) == is_there


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


def test_pieces_and_classes_say_what_lies_on_top() -> None:
    for scene in _scenes():
        counted = scene.instances > 0
        assert ((scene.pieces > 0) >= counted).all()
        assert np.array_equal(scene.pieces > 0, scene.classes > 0)
        assert np.array_equal(scene.classes[counted], scene.labels[scene.instances[counted] - 1])
        for piece in np.unique(scene.pieces)[1:]:
            is_piece = scene.pieces == piece
            assert len(np.unique(scene.classes[is_piece])) == len(np.unique(scene.instances[is_piece])) == 1


def test_what_does_not_count_is_a_piece_nevertheless() -> None:
    rng, canvas = np.random.default_rng(0), np.full((60, 60, 3), 200, np.float32)
    scene = _seen(rng, canvas, [(3, _disc(-10, 12))], grey_share=0, is_translucent=False)
    assert not scene.instances.any()
    assert set(np.unique(scene.classes)) == {0, 3}
    assert np.array_equal(scene.pieces, scene.classes > 0)
