import numpy as np
import pytest

from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.image_info import ImageInfo
from retinue.client.legend import MAX_ROWS, legend
from retinue.client.palette import class_colour
from retinue.client.timings import Timings


def answer(*counts: tuple[int, str, int]) -> DetectionAnswer:
    """Return so many detections of each class."""
    return DetectionAnswer(
        image_id="x",
        detections=tuple(
            Detection((0.0, 0.0, 1.0, 1.0), class_id, label, 0.5)
            for class_id, label, count in counts
            for _ in range(count)
        ),
        image_info=ImageInfo(640, 480, 1, False, "png"),
        model_name="rounds",
        model_version="1",
        timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, 1),
    )


def swatches(strip: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], class_id: int) -> int:
    """Return how far from the left the swatch of a class starts; -1 where there is none."""
    columns = np.flatnonzero((strip == np.array(class_colour(class_id), np.uint8)).all(axis=2).any(axis=0))
    return int(columns[0]) if len(columns) else -1


def test_the_most_frequent_class_comes_first() -> None:
    strip = legend(answer((0, "coin", 1), (2, "white cell", 5)), 640, 1.0)
    assert strip.shape == (60, 640, 3)
    assert 0 < swatches(strip, 2) < swatches(strip, 0)
    assert swatches(strip, 1) == -1


def test_lines_are_broken_and_end() -> None:
    few = legend(answer((0, "coin", 1)), 320, 1.0)
    many = legend(answer(*((number, f"a class of things {number}", 1) for number in range(24))), 320, 1.0)
    too_many = legend(answer(*((number, f"a class of things {number}", 1) for number in range(200))), 320, 1.0)
    assert len(few) < len(many) == len(too_many) == len(few) + (MAX_ROWS - 1) * 24


@pytest.mark.parametrize("unit", [1.0, 2.5])
def test_nothing_is_written_beyond_the_margin(unit: float) -> None:
    width = round(320 * unit)
    margin = round(12 * unit) - round(3 * unit)  # a letter may start a little beside its origin
    for labels in (("x" * 500,), ("",), tuple("a name of some length" for _ in range(60))):
        strip = legend(answer(*((number, label, 10**3) for number, label in enumerate(labels))), width, unit, 7)
        assert (strip[:, width - margin :] == 255).all()


def test_names_without_room_are_told() -> None:
    found = answer((0, "coin", 3))
    assert (legend(found, 640, 1.0, 2) != legend(found, 640, 1.0)).any()


def test_nothing_found_is_said_in_words() -> None:
    assert (legend(answer(), 320, 1.0)[:30] < 128).any()
