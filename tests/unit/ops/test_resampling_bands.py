"""Bands of a scaled picture are the rows of the whole, of bytes and of floats."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from retinue.ops import resize_bilinear

SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (5, 3)),
    ((7, 5), (7, 5)),
    ((7, 5), (13, 20)),
    ((20, 31), (9, 7)),
    ((3, 40), (50, 1)),
]


def picture(size: tuple[int, int], dtype: Any, channels: int = 2) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    shape = (*size, channels)
    return rng.integers(0, 256, shape, np.uint8) if dtype == np.uint8 else rng.normal(0, 9, shape).astype(np.float32)


def naive(source: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """Return the mean of four pixels, weighted by nearness, pixel by pixel."""
    result = np.empty((height, width, source.shape[2]))
    for y, x in np.ndindex(height, width):
        row = min(max((y + 0.5) * source.shape[0] / height - 0.5, 0), source.shape[0] - 1)
        column = min(max((x + 0.5) * source.shape[1] / width - 0.5, 0), source.shape[1] - 1)
        top, left = int(row), int(column)
        bottom, right = min(top + 1, source.shape[0] - 1), min(left + 1, source.shape[1] - 1)
        down, along = row - top, column - left
        above = source[top, left] * (1 - along) + source[top, right] * along
        below = source[bottom, left] * (1 - along) + source[bottom, right] * along
        result[y, x] = above * (1 - down) + below * down
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_pictures_of_bytes_and_of_floats_are_scaled_alike(
    dtype: Any, source: tuple[int, int], target: tuple[int, int]
) -> None:
    pixels = picture(source, dtype)
    # Places are float32, so that a weight is off by some 1e-6, and a byte by some 1e-4.
    assert_allclose(resize_bilinear(pixels, *target), naive(pixels, *target), rtol=1e-5, atol=2e-3)


def test_floats_are_not_clipped_and_a_whole_float_is_as_a_byte() -> None:
    pixels = picture((6, 7), np.uint8)
    assert_array_equal(resize_bilinear(pixels.astype(np.float32), 9, 4), resize_bilinear(pixels, 9, 4))
    assert resize_bilinear(np.array([[[-1e6]], [[1e6]]], np.float32), 1, 1)[0, 0, 0] == 0
    assert resize_bilinear(np.full((1, 1, 1), -3.5, np.float32), 2, 2).min() == -3.5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("step", [1, 2, 7])
def test_bands_put_together_are_the_whole_to_the_last_bit(
    dtype: Any, source: tuple[int, int], target: tuple[int, int], step: int
) -> None:
    pixels = picture(source, dtype)
    height, width = target
    bands = [
        resize_bilinear(pixels, height, width, rows=(top, min(top + step, height))) for top in range(0, height, step)
    ]
    assert_array_equal(np.concatenate(bands), resize_bilinear(pixels, height, width))


def test_no_rows_are_an_empty_band() -> None:
    assert resize_bilinear(picture((4, 5), np.float32), 9, 3, rows=(4, 4)).shape == (0, 3, 2)


def test_a_band_is_written_into_the_corner_of_what_is_given() -> None:
    pixels = picture((4, 5), np.float32)
    out = np.full((6, 8, 2), -1, np.float32)
    band = resize_bilinear(pixels, 9, 3, rows=(2, 5), out=out)
    assert np.shares_memory(band, out)
    assert_array_equal(band, resize_bilinear(pixels, 9, 3)[2:5])
    assert (out[3:] == -1).all()
    assert (out[:, 3:] == -1).all()


@pytest.mark.parametrize("rows", [(0, 10), (3, 2), (10, 10)])
def test_rows_that_are_not_of_the_result_are_refused(rows: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="rows: must be within"):
        resize_bilinear(picture((4, 5), np.float32), 9, 3, rows=rows)


@pytest.mark.parametrize("rows", [(-1, 3), (0, 2.5), (0, None)])
def test_rows_that_are_no_rows_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError, match="rows"):
        resize_bilinear(picture((4, 5), np.float32), 9, 3, rows=rows)


def test_out_has_room_for_the_band_and_need_not_have_it_for_the_whole() -> None:
    pixels = picture((4, 5), np.float32)
    resize_bilinear(pixels, 9, 3, rows=(2, 5), out=np.empty((3, 3, 2), np.float32))
    with pytest.raises(ValueError, match="out"):
        resize_bilinear(pixels, 9, 3, rows=(2, 5), out=np.empty((2, 3, 2), np.float32))


def test_what_is_not_finite_stays_where_it_is_seen() -> None:
    pixels = np.zeros((4, 4, 1), np.float32)
    pixels[0, 0] = np.nan
    scaled = resize_bilinear(pixels, 8, 8)
    assert np.isnan(scaled[:2, :2]).all()
    assert np.isfinite(scaled[4:]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.bool_])
def test_pictures_of_another_type_are_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="uint8 or float32"):
        resize_bilinear(np.zeros((2, 2, 1), dtype), 3, 3)
