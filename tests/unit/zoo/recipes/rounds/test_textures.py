import numpy as np

from retinue.zoo.recipes.rounds.textures import cloud, clouds, slope, sunlit


def test_clouds_are_about_normal() -> None:
    texture = cloud(np.random.default_rng(0), 200, 200, 4)
    assert abs(texture.mean()) < 0.1
    assert 0.7 < texture.std() < 1.3


def test_larger_scales_are_smoother() -> None:
    rng = np.random.default_rng(0)
    fine, coarse = (np.abs(np.diff(cloud(rng, 100, 100, scale))).mean() for scale in (2, 20))
    assert coarse < fine / 3
    assert clouds(rng, 9, 7, (2, 20)).shape == (9, 7)


def test_light_is_about_as_uneven_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    away = np.abs([slope(rng, 30, 40, 0.5) - 1 for _ in range(50)])
    assert 0.05 < away.mean() < 0.25
    assert (away > 0.5).mean() < 0.1
    assert (slope(rng, 30, 40, 0) == 1).all()


def test_the_side_that_rises_towards_the_light_is_bright() -> None:
    ramp = np.tile(np.arange(10, dtype=np.float32), (10, 1))
    assert sunlit(ramp, 0.0)[5, 5] == 1
    assert sunlit(ramp, np.pi)[5, 5] == -1
