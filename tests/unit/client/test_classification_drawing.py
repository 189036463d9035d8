"""What can be said of a drawing without looking at it; its looks were judged by eye."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.client.classification_answer import Classification, Label, ScoredLabel
from retinue.client.classification_drawing import draw_classification
from retinue.client.image_info import ImageInfo
from retinue.client.timings import Timings

ANSWER = Classification(
    image_id="x",
    labels=tuple(ScoredLabel(Label(index, f"label {index}"), score) for index, score in enumerate((0.5, 0.25, 0.0))),
    unknown_score=0.9,
    is_unknown=False,
    logits=None,
    embedding=None,
    image_info=ImageInfo(640, 480, 1, False, "png"),
    model_name="pets",
    model_version="1",
    timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, 1),
)
WARNING = (194, 65, 12)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def has_colour(drawn: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((drawn == np.array(colour, np.uint8)).all(axis=2).any())


def test_a_picture_of_fitting_size_stands_untouched_above_its_panel() -> None:
    picture = noise(480, 640)
    kept = picture.copy()
    drawn = draw_classification(picture, ANSWER)
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] == 640
    np.testing.assert_array_equal(drawn[:480], kept)
    np.testing.assert_array_equal(picture, kept)
    assert len(drawn) > 480 + 3 * 24


@pytest.mark.parametrize(
    ("shape", "picture_size"),
    [
        ((1, 1), (320, 320)),
        ((28, 28), (320, 320)),
        ((100, 200), (160, 320)),
        ((4000, 2000), (1600, 800)),
        ((10, 9000), (2, 1600)),
        ((9000, 1), (1600, 320)),
    ],
)
def test_text_is_readable_on_any_picture(shape: tuple[int, int], picture_size: tuple[int, int]) -> None:
    """A narrow one stands on paper; the panel never is narrower than 320 pixels."""
    panel_height = len(draw_classification(noise(*picture_size), ANSWER)) - picture_size[0]
    drawn = draw_classification(noise(*shape), ANSWER)
    assert drawn.shape == (picture_size[0] + panel_height, picture_size[1], 3)


def test_a_grey_picture_is_drawn_grey() -> None:
    drawn = draw_classification(np.full((400, 400), 77, np.uint8), ANSWER)
    assert (drawn[:400] == 77).all()


def test_bars_are_as_long_as_the_scores() -> None:
    drawn = draw_classification(np.zeros((480, 480, 3), np.uint8), ANSWER)
    panel = drawn[480:]
    best = (panel == (147, 197, 253)).all(axis=2).any(axis=0)
    track = 480 - 2 * 6
    assert int(best.sum()) == round(track * 0.5)


def test_unknown_is_marked_and_known_is_not() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    assert has_colour(draw_classification(picture, replace(ANSWER, is_unknown=True)), WARNING)
    assert not has_colour(draw_classification(picture, ANSWER), WARNING)
    assert not has_colour(draw_classification(picture, replace(ANSWER, is_unknown=None, unknown_score=None)), WARNING)
    assert has_colour(draw_classification(picture, replace(ANSWER, is_unknown=True, unknown_score=None)), WARNING)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0, 2.0])
def test_a_score_that_is_no_share_is_drawn_all_the_same(score: float) -> None:
    odd = replace(ANSWER, labels=(ScoredLabel(Label(0, "odd"), score),))
    draw_classification(noise(100, 100), odd)


def test_long_strange_and_many_labels_fit() -> None:
    labels = tuple(ScoredLabel(Label(index, "菊\n" * 500), 0.001) for index in range(1000))
    few = draw_classification(noise(320, 320), replace(ANSWER, labels=labels[:10]))
    many = draw_classification(noise(320, 320), replace(ANSWER, labels=labels))
    assert few.shape[1] == many.shape[1] == 320
    assert len(few) < len(many) < len(few) + 30, "one line says how many more there are"


def test_no_label_is_said_in_words() -> None:
    drawn = draw_classification(noise(320, 320), replace(ANSWER, labels=()))
    assert len(drawn) > 320


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
        draw_classification(pixels, ANSWER)
