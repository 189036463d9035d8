import numpy as np
import pytest

from retinue.client.lettering import Lettering, printable


@pytest.mark.parametrize("room", [-5, 0, 10, 60, 200, 10_000])
def test_a_shortened_text_fits_or_is_only_its_dots(room: int) -> None:
    lettering = Lettering(1.0)
    text = "a rather long name of a class of flowers " * 4
    short = lettering.shortened(text, room)
    assert lettering.width(short) <= room or short == "..."
    assert short.endswith("...") or short == text


def test_a_text_with_room_is_whole() -> None:
    assert Lettering(1.0).shortened("cat", 100) == "cat"


def test_a_shortened_text_is_as_long_as_can_be() -> None:
    lettering = Lettering(1.0)
    text = "i" * 100
    kept = len(lettering.shortened(text, 150)) - 3
    assert lettering.width("i" * (kept + 1) + "...") > 150


def test_both_ends_of_a_line_are_written() -> None:
    strip = np.zeros((24, 300, 3), np.uint8)
    Lettering(1.0).write_line(strip, "left", "right", colour=(255, 255, 255), margin=10)
    columns = np.flatnonzero(strip.any(axis=(0, 2)))
    assert 8 <= columns[0] <= 14  # a letter may start a little beside its origin
    assert 284 <= columns[-1] <= 292


def test_a_strip_of_a_texts_own_width_holds_all_of_it() -> None:
    """No text on the right takes no room from the one on the left."""
    lettering = Lettering(1.0)
    assert lettering.width("") == 0
    strip = np.zeros((24, lettering.width("red cell 0.97") + 8, 3), np.uint8)
    lettering.write_line(strip, "red cell 0.97", colour=(255, 255, 255), margin=4)
    wide = np.zeros((24, 400, 3), np.uint8)
    lettering.write_line(wide, "red cell 0.97", colour=(255, 255, 255), margin=4)
    np.testing.assert_array_equal(strip, wide[:, : strip.shape[1]])


def test_accents_go_and_the_rest_is_marked() -> None:
    assert printable("Café №5 \x1b\n€") == "Cafe No5 ???"
