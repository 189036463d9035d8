"""What can be said of a drawing without looking at it; its looks were judged by eye."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.detection_drawing import draw_detections
from retinue.client.image_info import ImageInfo
from retinue.client.palette import class_colour
from retinue.client.timings import Timings

LEGEND = 60


def answer(height: int, width: int, found: Sequence[Detection] = ()) -> DetectionAnswer:
    return DetectionAnswer(
        image_id="x",
        detections=tuple(found),
        image_info=ImageInfo(width, height, 1, False, "png"),
        model_name="rounds",
        model_version="1",
        timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, 1),
    )


def thing(box: tuple[float, float, float, float], class_id: int = 0, score: float = 0.9) -> Detection:
    return Detection(box, class_id, f"class {class_id}", score)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def of_colour(drawn: NDArray[np.uint8], class_id: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (drawn == np.array(class_colour(class_id), np.uint8)).all(axis=2)
    return found


def test_a_picture_without_things_stands_untouched_above_its_legend() -> None:
    picture = noise(600, 700)
    drawn = draw_detections(picture, answer(600, 700))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (600 + LEGEND, 700, 3)
    np.testing.assert_array_equal(drawn[:600], picture)


def test_the_input_is_not_changed_and_things_are_not_covered() -> None:
    picture = noise(600, 700)
    kept = picture.copy()
    drawn = draw_detections(picture, answer(600, 700, [thing((200, 300, 400, 500))]))
    np.testing.assert_array_equal(picture, kept)
    np.testing.assert_array_equal(drawn[310:490, 210:390], kept[310:490, 210:390])
    np.testing.assert_array_equal(drawn[:250], kept[:250])


def test_lines_lie_just_inside_their_box() -> None:
    drawn = draw_detections(np.zeros((600, 700, 3), np.uint8), answer(600, 700, [thing((200, 300, 400, 500))]))
    rows, columns = np.nonzero(of_colour(drawn[300:600], 0))
    assert (columns.min(), columns.max()) == (200, 399)
    assert (rows.min(), rows.max()) == (0, 199)


@pytest.mark.parametrize("background", [0, 100, 128, 255])
@pytest.mark.parametrize("class_id", range(8))
def test_lines_stand_out_from_any_background(background: int, class_id: int) -> None:
    """Seen from outside, either the line or its casing differs much from what is around it."""
    picture = np.full((600, 700, 3), background, np.uint8)
    drawn = draw_detections(picture, answer(600, 700, [thing((200, 300, 400, 500), class_id)]))
    row = drawn[400, 190:202].astype(int)
    assert np.abs(row - background).max() >= 100


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 1), (960, 960)),
        ((16, 16), (960, 960)),
        ((303, 384), (606, 768)),
        ((512, 512), (1024, 1024)),
        ((2000, 3000), (2000, 3000)),
        ((16, 3000), (96, 3000)),
        ((3000, 16), (3000, 320)),
    ],
)
def test_small_pictures_grow_by_whole_numbers_and_narrow_ones_stand_on_paper(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    drawn = draw_detections(noise(*shape), answer(*shape, [thing((0, 0, shape[1], shape[0]))]))
    assert drawn.shape[1] == size[1]
    assert drawn.shape[0] > size[0] + LEGEND // 2
    bare = draw_detections(noise(*shape), answer(*shape))
    assert bare.shape == drawn.shape


def test_boxes_of_enlarged_pictures_stand_on_their_pixels() -> None:
    drawn = draw_detections(np.zeros((16, 16), np.uint8), answer(16, 16, [thing((4, 8, 12, 16))]))
    _, columns = np.nonzero(of_colour(drawn[500:960], 0))
    assert (columns.min(), columns.max()) == (240, 719)


def test_boxes_on_paper_stand_on_their_picture() -> None:
    drawn = draw_detections(np.zeros((16, 3000), np.uint8), answer(16, 3000, [thing((0, 0, 3000, 16))]))
    rows, _ = np.nonzero(of_colour(drawn[:96, 1000:2000], 0))
    assert (rows.min(), rows.max()) == (40, 55)


def test_text_grows_with_the_picture_and_shrinks_with_the_boxes() -> None:
    def plate_height(side: int, box_side: int) -> int:
        box = (side / 2, side / 2, side / 2 + box_side, side / 2 + box_side)
        drawn = draw_detections(np.zeros((side, side), np.uint8), answer(side, side, [thing(box)]))
        return int(of_colour(drawn[: side // 2 - 1], 0).any(axis=1).sum())

    assert plate_height(1000, 500) < plate_height(3000, 1500)
    assert plate_height(3000, 60) < plate_height(3000, 1500)
    assert plate_height(3000, 60) >= 12, "it can still be read"


def test_hundreds_of_things_leave_each_other_in_sight() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 900, (400, 2))
    found = [
        thing((x, y, x + 40.0, y + 40.0), int(class_id), score)
        for (x, y), class_id, score in zip(
            corners.tolist(), generator.integers(0, 4, 400), np.linspace(1, 0, 400).tolist(), strict=True
        )
    ]
    drawn = draw_detections(np.zeros((1000, 1000, 3), np.uint8), answer(1000, 1000, found))
    for class_id in range(4):
        assert of_colour(drawn[:1000], class_id).any()
    assert (drawn[:1000] == 0).all(axis=2).mean() > 0.2


@pytest.mark.parametrize(
    "box",
    [
        (float("nan"), 0.0, 10.0, 10.0),
        (0.0, 0.0, float("inf"), 10.0),
        (-1e30, -1e30, 1e30, 1e30),
        (300.0, 300.0, 300.0, 300.0),
        (200.0, 200.0, 100.0, 100.0),
        (5000.0, 5000.0, 6000.0, 6000.0),
        (-50.0, -50.0, -10.0, -10.0),
        (639.9, 479.9, 640.0, 480.0),
    ],
)
def test_an_odd_box_is_no_failure(box: tuple[float, float, float, float]) -> None:
    drawn = draw_detections(noise(480, 640), answer(480, 640, [thing(box), thing((10, 10, 60, 60), 1)]))
    assert of_colour(drawn, 1).any()


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0, 1e30])
def test_an_odd_score_or_name_is_no_failure(score: float) -> None:
    odd = Detection((100.0, 100.0, 200.0, 200.0), -5, "菊\n" * 500, score)
    draw_detections(noise(480, 640), answer(480, 640, [odd]))


@pytest.mark.parametrize("shape", [(640, 480), (481, 640)])
def test_a_picture_of_another_size_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="the answer is for one of 640x480"):
        draw_detections(noise(*shape), answer(480, 640))


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_picture_is_refused(pixels: Any) -> None:
    with pytest.raises(ValueError, match="pixels"):
        draw_detections(pixels, answer(4, 4))
