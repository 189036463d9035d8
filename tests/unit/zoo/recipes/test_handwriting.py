"""Digits become pictures, and no digit is in two parts of the data."""

from typing import get_args

import numpy as np
import pytest

from retinue.zoo.recipes.handwriting import (
    DARK_ON_LIGHT,
    LIGHT_ON_DARK,
    Part,
    Style,
    random_style,
    read_digits,
    write_digit,
)


def test_parts_share_no_digit_and_are_all_of_the_data() -> None:
    seen = [digit.tobytes() for part in get_args(Part) for digit in read_digits(part).ink]
    assert len(seen) == 1797
    assert len(set(seen)) == 1797  # the data has no two equal digits either


@pytest.mark.parametrize(("part", "share"), [("train", 0.6), ("validation", 0.15), ("test", 0.25)])
def test_each_part_has_its_share_of_every_digit(part: Part, share: float) -> None:
    everything = sum(np.bincount(read_digits(each).labels) for each in get_args(Part))
    # Stratified: off by one digit through rounding at each of the two cuts.
    np.testing.assert_allclose(np.bincount(read_digits(part).labels), share * everything, atol=2)


def test_polarities_are_each_others_negative() -> None:
    ink = read_digits("train").ink[0]
    light, dark = write_digit(ink, LIGHT_ON_DARK).astype(int), write_digit(ink, DARK_ON_LIGHT).astype(int)
    assert np.abs(light + dark - 255).max() <= 1  # each rounded to 8 bits


def test_a_shift_moves_the_digit_and_a_turn_turns_it() -> None:
    ink = np.zeros((8, 8), dtype=np.float32)
    ink[3:5, 3:5] = 1
    y, x = np.argwhere(write_digit(ink, Style(shift_xy=(0.25, -0.125)))[..., 0] > 127).mean(axis=0)
    assert (x, y) == pytest.approx((31.5 + 16, 31.5 - 8), abs=0.1)  # symmetric but for 8-bit rounding
    ink[:] = 0
    ink[0:2, 3:5] = 1  # at the top; a quarter turn clockwise brings it to the right
    y, x = np.argwhere(write_digit(ink, Style(angle_rad=np.pi / 2))[..., 0] > 127).mean(axis=0)
    assert x > 50
    assert y == pytest.approx(31.5, abs=0.1)


def test_random_pictures_are_the_same_for_the_same_seed() -> None:
    ink = read_digits("train").ink[0]
    one, other = (
        [write_digit(ink, random_style(rng)) for _ in range(20)]
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_pictures_have_both_polarities_and_many_sizes() -> None:
    rng = np.random.default_rng(0)
    styles = [random_style(rng) for _ in range(100)]
    lighter_ink = [style.ink_rgb[0] > style.paper_rgb[0] for style in styles]
    assert 30 < sum(lighter_ink) < 70
    assert len({style.size_px for style in styles}) > 30


def test_without_strength_the_digit_is_light_on_dark_and_in_place() -> None:
    style = random_style(np.random.default_rng(1), strength=0)
    assert style.ink_rgb > style.paper_rgb
    assert (style.scale, style.shift_xy, style.angle_rad, style.jpeg_quality) == (1, (0, 0), 0, None)
