import numpy as np
import pytest

from retinue.client.legend import MAX_ROWS, LegendEntry, legend
from retinue.client.palette import class_colour

FOOTER = ("rounds@1", "0.0 ms")


def entries(*counts: tuple[int, str, int]) -> list[LegendEntry]:
    return [LegendEntry(class_id, label, str(count)) for class_id, label, count in counts]


def swatches(strip: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], class_id: int) -> int:
    """Return how far from the left the swatch of a class starts; -1 where there is none."""
    columns = np.flatnonzero((strip == np.array(class_colour(class_id), np.uint8)).all(axis=2).any(axis=0))
    return int(columns[0]) if len(columns) else -1


def test_classes_stand_in_their_order() -> None:
    strip = legend(entries((2, "white cell", 5), (0, "coin", 1)), FOOTER, 640, 1.0)
    assert strip.shape == (60, 640, 3)
    assert 0 < swatches(strip, 2) < swatches(strip, 0)
    assert swatches(strip, 1) == -1


def test_lines_are_broken_and_end() -> None:
    few = legend(entries((0, "coin", 1)), FOOTER, 320, 1.0)
    many = legend(entries(*((number, f"a class of things {number}", 1) for number in range(24))), FOOTER, 320, 1.0)
    too_many = legend(entries(*((number, f"a class of things {number}", 1) for number in range(200))), FOOTER, 320, 1.0)
    assert len(few) < len(many) == len(too_many) == len(few) + (MAX_ROWS - 1) * 24


@pytest.mark.parametrize("unit", [1.0, 2.5])
def test_nothing_is_written_beyond_the_margin(unit: float) -> None:
    width = round(320 * unit)
    margin = round(12 * unit) - round(3 * unit)  # a letter may start a little beside its origin
    for labels in (("x" * 500,), ("",), tuple("a name of some length" for _ in range(60))):
        strip = legend(entries(*((number, label, 10**3) for number, label in enumerate(labels))), FOOTER, width, unit)
        assert (strip[:, width - margin :] == 255).all()


def test_small_print_is_shown() -> None:
    found = entries((0, "coin", 3))
    assert (legend(found, ("rounds@1", "2 without room; 0.0 ms"), 640, 1.0) != legend(found, FOOTER, 640, 1.0)).any()


def test_nothing_found_is_said_in_words() -> None:
    assert (legend([], FOOTER, 320, 1.0)[:30] < 128).any()
