"""Laws of scaling: torch's answer up to roundings, nothing outside what it blends, sides apart from each other."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from retinue.ops import resize_bilinear

Picture = NDArray[np.uint8]
SIDES = st.integers(1, 40) | st.sampled_from([127, 1000])
SIZES = st.tuples(SIDES, SIDES)
# Two blends, one after the other, each of two products and a sum, which torch may fuse: units of the last place of 255.
ROUNDINGS = 3 * float(np.spacing(np.float32(255)))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Pictures of noise, of any size and a few channels; hypothesis chooses the pixels of small ones."""
    height, width = draw(SIZES)
    channels = draw(st.sampled_from([1, 3, 4]))
    if height * width * channels < 50:
        return draw(arrays(np.uint8, (height, width, channels)))
    return np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, (height, width, channels), np.uint8)


@given(pictures(), SIZES)
@example(np.full((480, 640, 3), 255, np.uint8), (800, 1066))
@settings(deadline=None)
def test_torch_gives_the_same(picture: Picture, size: tuple[int, int]) -> None:
    planes = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float()
    expected = torch.nn.functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)

    np.testing.assert_allclose(
        resize_bilinear(picture, *size), expected[0].permute(1, 2, 0).numpy(), rtol=0, atol=ROUNDINGS
    )


def naive(picture: Picture, height: int, width: int) -> NDArray[np.float64]:
    """The same in float64, from its definition: each place of the result between four pixels, edges repeated."""
    y = np.clip((np.arange(height) + 0.5) * picture.shape[0] / height - 0.5, 0, picture.shape[0] - 1)
    x = np.clip((np.arange(width) + 0.5) * picture.shape[1] / width - 0.5, 0, picture.shape[1] - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, picture.shape[0] - 1), np.minimum(left + 1, picture.shape[1] - 1)
    down, along = (y - top)[:, None, None], (x - left)[None, :, None]
    upper = picture[top][:, left] * (1 - along) + picture[top][:, right] * along
    lower = picture[bottom][:, left] * (1 - along) + picture[bottom][:, right] * along
    blended: NDArray[np.float64] = upper * (1 - down) + lower * down
    return blended


@given(pictures(), SIZES)
@settings(deadline=None)
def test_the_definition_gives_the_same(picture: Picture, size: tuple[int, int]) -> None:
    """A place of up to 1000 pixels in float32 is known to 3e-5 of a pixel, and pixels differ by up to 255."""
    tolerance = 255 * 2 * float(np.spacing(np.float32(max(picture.shape)))) + ROUNDINGS

    np.testing.assert_allclose(resize_bilinear(picture, *size), naive(picture, *size), rtol=0, atol=tolerance)


@given(pictures())
def test_the_same_size_is_the_same_picture(picture: Picture) -> None:
    np.testing.assert_array_equal(resize_bilinear(picture, *picture.shape[:2]), picture)


@given(st.integers(0, 255), SIZES, SIZES)
@settings(deadline=None)
def test_one_colour_stays_one_colour(grey: int, full: tuple[int, int], size: tuple[int, int]) -> None:
    scaled = resize_bilinear(np.full((*full, 1), grey, np.uint8), *size)

    np.testing.assert_allclose(scaled, grey, rtol=0, atol=ROUNDINGS)


@given(pictures(), SIZES)
@settings(deadline=None)
def test_no_pixel_is_darker_or_brighter_than_all_of_the_picture(picture: Picture, size: tuple[int, int]) -> None:
    scaled = resize_bilinear(picture, *size)

    assert scaled.shape == (*size, picture.shape[2])
    assert scaled.min() >= picture.min() - ROUNDINGS
    assert scaled.max() <= picture.max() + ROUNDINGS


@given(pictures(), SIZES)
@settings(deadline=None)
def test_a_picture_on_its_side_is_scaled_on_its_side(picture: Picture, size: tuple[int, int]) -> None:
    """Rows first or columns first: only roundings tell."""
    turned = resize_bilinear(picture.transpose(1, 0, 2), size[1], size[0]).transpose(1, 0, 2)

    np.testing.assert_allclose(resize_bilinear(picture, *size), turned, rtol=0, atol=ROUNDINGS)


@given(pictures(), SIZES, st.integers(0, 9), st.integers(0, 9))
@settings(deadline=None)
def test_room_around_the_result_changes_nothing_and_is_not_changed(
    picture: Picture, size: tuple[int, int], below: int, beside: int
) -> None:
    out = np.full((size[0] + below, size[1] + beside, picture.shape[2]), -7, np.float32)
    scaled = resize_bilinear(picture, *size, out=out)

    assert np.shares_memory(scaled, out)
    np.testing.assert_array_equal(out[: size[0], : size[1]], resize_bilinear(picture, *size))
    out[: size[0], : size[1]] = -7
    assert (out == -7).all()


@given(pictures(), SIZES, st.data())
@settings(deadline=None)
def test_bands_laid_below_each_other_are_the_whole(
    picture: Picture, size: tuple[int, int], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, size[0]), max_size=4)))
    floats = picture.astype(np.float32) - 100
    edges = [0, *cuts, size[0]]
    bands = [resize_bilinear(floats, *size, rows=band) for band in pairwise(edges)]

    np.testing.assert_array_equal(np.concatenate(bands), resize_bilinear(floats, *size))
