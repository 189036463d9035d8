import itertools

import pytest

from retinue.client.lettering import Colour
from retinue.client.palette import class_colour, ink_on

# What each kind of dichromat sees of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
PROTAN = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
DEUTAN = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


def linear(colour: Colour) -> list[float]:
    return [((value / 255 + 0.055) / 1.055) ** 2.4 if value > 10 else value / 255 / 12.92 for value in colour]


def luminance(colour: Colour) -> float:
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def test_a_class_always_has_its_colour() -> None:
    assert [class_colour(0), class_colour(1), class_colour(8)] == [(230, 159, 0), (0, 114, 178), (242, 207, 128)]


def test_the_first_24_classes_have_colours_of_their_own() -> None:
    assert len({class_colour(class_id) for class_id in range(24)}) == 24


@pytest.mark.parametrize("matrix", [PROTAN, DEUTAN])
def test_the_first_classes_stay_apart_for_people_who_see_no_red_or_no_green(
    matrix: tuple[tuple[float, float, float], ...],
) -> None:
    seen = []
    for class_id in range(8):
        values = linear(class_colour(class_id))
        light = (sum(a * b for a, b in zip(row, values, strict=True)) for row in matrix)
        seen.append([min(1.0, max(0.0, value)) ** (1 / 2.4) for value in light])
    distances = [
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for one, other in itertools.combinations(seen, 2)
    ]
    assert min(distances) > 0.1


@pytest.mark.parametrize("class_id", range(24))
def test_ink_can_be_read_on_every_colour(class_id: int) -> None:
    colour = class_colour(class_id)
    dark, light = sorted((luminance(colour), luminance(ink_on(colour))))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("class_id", [-1, -100, 2**31 - 1])
def test_any_number_has_a_colour(class_id: int) -> None:
    assert all(0 <= value <= 255 for value in class_colour(class_id))
