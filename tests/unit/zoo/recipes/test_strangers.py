"""Pictures of no digit come from where they are said to come from."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.zoo.recipes.strangers import _DRAWINGS, PHOTOGRAPHS, crop_photographs, draw_pattern, read_photograph


def test_validation_and_test_share_no_photograph() -> None:
    assert not set(PHOTOGRAPHS["validation"]) & set(PHOTOGRAPHS["test"])


@pytest.mark.parametrize("name", [name for names in PHOTOGRAPHS.values() for name in names])
def test_every_photograph_is_bundled(name: str) -> None:
    pixels = read_photograph(name)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert min(pixels.shape[:2]) >= 150


def test_a_photograph_that_is_not_bundled_is_missed_by_name() -> None:
    with pytest.raises(FileNotFoundError, match=r"nobody\.png"):
        read_photograph("nobody.png")


def test_crops_are_square_and_the_same_for_the_same_seed() -> None:
    one = crop_photographs("validation", per_photograph=2, seed=4)
    other = crop_photographs("validation", per_photograph=2, seed=4)
    assert len(one) == 2 * len(PHOTOGRAPHS["validation"])
    for a, b in zip(one, other, strict=True):
        assert a.shape[0] == a.shape[1] >= 32
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("drawing", _DRAWINGS)
def test_every_drawing_is_finite_and_of_one_size(drawing: Callable[[np.random.Generator], NDArray[np.float64]]) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        canvas = drawing(rng)
        assert canvas.shape == (48, 48)
        assert np.isfinite(canvas).all()


def test_patterns_are_pictures() -> None:
    pattern = draw_pattern(np.random.default_rng(3))
    assert pattern.shape == (48, 48, 3)
    assert pattern.dtype == np.uint8
