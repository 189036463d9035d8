from typing import Any

import numpy as np
import pytest

from retinue.client.drawing_pixels import checked_rgb, filled, resized


def test_grey_becomes_three_equal_channels_and_colours_stay() -> None:
    grey = np.array([[1, 2]], np.uint8)
    assert checked_rgb(grey).tolist() == [[[1, 1, 1], [2, 2, 2]]]
    colours = np.zeros((2, 2, 3), np.uint8)
    assert checked_rgb(colours) is colours


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: Any) -> None:
    with pytest.raises(ValueError, match="pixels"):
        checked_rgb(pixels)


def test_few_pixels_become_squares() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(resized(picture, (10, 10)), picture.repeat(5, axis=0).repeat(5, axis=1))


def test_a_picture_of_that_size_is_itself() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    assert resized(picture, (3, 2)) is picture


def test_a_reduced_picture_keeps_its_mean() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    assert resized(picture, (4, 4)).mean() == pytest.approx(picture.mean(), abs=1)


def test_filled_is_of_one_colour() -> None:
    assert filled(1, 2, (1, 2, 3)).tolist() == [[[1, 2, 3], [1, 2, 3]]]
