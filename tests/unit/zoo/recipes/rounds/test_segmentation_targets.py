import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops.splitting import split_instances
from retinue.zoo.recipes.rounds.scenes import CLASSES, coin_scene, random_scene
from retinue.zoo.recipes.rounds.segmentation_targets import boundary_of, targets_of


def _discs(radius_px: float, *middles: float) -> NDArray[np.int32]:
    y, x = np.mgrid[:60, :90]
    instances = np.zeros((60, 90), np.int32)
    for number, middle in enumerate(middles, start=1):
        instances[np.hypot(y - 30, x - middle) <= radius_px] = number
    return instances


@pytest.mark.parametrize(("radius_px", "width_px"), [(20, 2), (3, 1)])
def test_boundaries_are_two_pixels_wide_and_of_small_things_one(radius_px: float, width_px: int) -> None:
    instances = _discs(radius_px, 45)
    row = boundary_of(instances)[30]
    inside = np.flatnonzero(instances[30])
    assert np.flatnonzero(row).tolist() == [*inside[:width_px], *inside[-width_px:]]


def test_things_that_touch_are_parted_by_their_boundaries() -> None:
    instances = _discs(15, 30, 59)
    is_boundary = boundary_of(instances)
    found = split_instances(
        (instances > 0).astype(np.float32), is_boundary.astype(np.float32), method="boundary", min_marker_area=1
    )
    assert found.max() == 2
    # On the contact itself either may get a pixel.
    assert (found == instances).mean() > 0.99


def test_the_ground_and_where_the_picture_cuts_are_no_boundary() -> None:
    instances = _discs(15, 0)
    is_boundary = boundary_of(instances)
    assert not is_boundary[instances == 0].any()
    assert not is_boundary[20:41, 0].any()
    for ids in (np.ones((5, 7), np.int32), np.zeros((5, 7), np.int32)):
        assert not boundary_of(ids).any()


def test_targets_are_of_all_pieces_of_each_scene() -> None:
    rng = np.random.default_rng(0)
    scenes = [coin_scene(rng, 64, 80), random_scene(rng, 64, 80)]
    classes, boundaries = targets_of(scenes)
    assert classes.shape == (2, 64, 80)
    assert boundaries.shape == (2, 1, 64, 80)
    assert classes.max() <= len(CLASSES)
    for scene, own, boundary in zip(scenes, classes.numpy(), boundaries.numpy(), strict=True):
        assert np.array_equal(own > 0, scene.pieces > 0)
        assert np.array_equal(boundary[0] > 0, boundary_of(scene.pieces))
