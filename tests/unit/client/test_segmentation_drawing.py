from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.client.palette import class_colour
from retinue.client.segmentation_answer import SegmentationAnswer, read_segmentation_answer
from retinue.client.segmentation_drawing import draw_segmentation
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import answer, regions

SIDE = 1000
GREY = 128


def squares(side: int = SIDE) -> NDArray[np.int32]:
    """Return two things that touch, 1 of class 1 and 2 of class 2, and one of class 1 away from them."""
    label_map = np.zeros((side, side), np.int32)
    fifth = side // 5
    label_map[fifth : 2 * fifth, fifth : 2 * fifth] = 1
    label_map[fifth : 2 * fifth, 2 * fifth : 3 * fifth] = 2
    label_map[3 * fifth : 4 * fifth, fifth : 2 * fifth] = 3
    return label_map


def found(response: pb.SegmentResponse | None = None) -> SegmentationAnswer:
    return read_segmentation_answer(answer(label_map=squares()) if response is None else response)


def grey(side: int = SIDE) -> NDArray[np.uint8]:
    return np.full((side, side), GREY, np.uint8)


def of_colour(drawn: NDArray[np.uint8], class_id: int) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (drawn == np.array(class_colour(class_id), np.uint8)).all(axis=2)
    return same


def test_background_is_left_as_it_is_and_classes_are_veiled() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    kept = picture.copy()
    drawn = draw_segmentation(picture, found())
    np.testing.assert_array_equal(picture, kept)
    is_background = squares() == 0
    np.testing.assert_array_equal(drawn[:SIDE][is_background], kept[is_background])
    inside = np.s_[250:350, 250:350]
    assert (drawn[inside] != kept[inside]).any(axis=2).mean() > 0.99
    correlation = np.corrcoef(drawn[inside].ravel().astype(float), kept[inside].ravel().astype(float))[0, 1]
    assert correlation > 0.8, "what is below can be seen"


@pytest.mark.parametrize(("name", "is_veiled"), [("background", False), ("__background__", False), ("sky", True)])
def test_only_a_background_is_left_out(name: str, *, is_veiled: bool) -> None:
    response = answer(label_map=squares())
    response.classes[0].label.name = name
    drawn = draw_segmentation(grey(), found(response))
    assert (drawn[0, 0] != GREY).any() == is_veiled


def test_outlines_lie_on_the_outermost_pixels_and_part_what_touches() -> None:
    drawn = draw_segmentation(grey(), found())[:SIDE]
    rows, columns = np.nonzero((drawn != GREY).any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (200, 799, 200, 599)
    middle = drawn[300, 380:420]
    assert of_colour(middle[None, :20], 1).any()
    assert of_colour(middle[None, 20:], 2).any()
    veil = drawn[300, 300]
    assert not (middle == veil).all(axis=1)[17:23].any(), "there is a line on both sides of the seam"


@pytest.mark.parametrize("side", [1, 16, 200, 2000])
def test_outlines_are_crisp_at_any_size(side: int) -> None:
    label_map = squares(side) if side > 4 else np.ones((side, side), np.int32)
    drawn = draw_segmentation(grey(side), read_segmentation_answer(answer(label_map=label_map)))
    picture = drawn[: drawn.shape[1]]
    scale = picture.shape[0] // side
    assert scale == max(1, round(960 / side))
    changed = (picture != GREY).any(axis=2)
    np.testing.assert_array_equal(changed, np.kron(label_map > 0, np.ones((scale, scale), np.bool_)))


def test_numbers_are_written_where_there_is_room() -> None:
    plain, numbered = draw_segmentation(grey(), found()), draw_segmentation(grey(), found(), is_numbered=True)
    changed = (plain != numbered).any(axis=2)[:SIDE]
    for y, x in ((300, 300), (300, 500), (700, 300)):
        assert changed[y - 15 : y + 15, x - 20 : x + 20].any()
    assert changed.sum() < 3 * 40 * 40

    crowded = np.zeros((SIDE, SIDE), np.int32)
    crowded[100:104, 100:104] = 1
    answered = read_segmentation_answer(answer(label_map=crowded))
    plain, numbered = (draw_segmentation(grey(), answered, is_numbered=is_it) for is_it in (False, True))
    np.testing.assert_array_equal(plain[:SIDE], numbered[:SIDE])
    assert (plain[SIDE:] != numbered[SIDE:]).any(), "the legend says so"


def test_without_a_class_map_the_things_are_veiled() -> None:
    response = answer(label_map=squares())
    for region in response.classes:
        region.ClearField("mask")
    np.testing.assert_array_equal(draw_segmentation(grey(), found(response)), draw_segmentation(grey(), found()))


def test_without_masks_the_classes_are_veiled() -> None:
    response = answer(label_map=squares())
    for one in response.instances:
        one.ClearField("mask")
    drawn = draw_segmentation(grey(), found(response))[:SIDE]
    assert len(np.unique(drawn[::7, ::7].reshape(-1, 3), axis=0)) == 3, "background and two veils, no lines"


def test_without_either_the_picture_stands_above_its_legend() -> None:
    response = answer(label_map=squares())
    for region in response.classes:
        region.ClearField("mask")
    for one in response.instances:
        one.ClearField("mask")
    drawn = draw_segmentation(grey(), found(response))
    assert (drawn[:SIDE] == GREY).all()
    assert of_colour(drawn[SIDE:], 1).any()


def test_the_legend_has_the_classes_that_are_there() -> None:
    drawn = draw_segmentation(grey(), found())[SIDE:]
    assert of_colour(drawn, 1).any()
    assert of_colour(drawn, 2).any()
    assert not of_colour(drawn, 0).any()


def test_pixels_of_no_class_stay_as_they_are() -> None:
    response = answer(label_map=np.zeros((SIDE, SIDE), np.int32))
    classes = np.full((SIDE, SIDE), 255, np.uint8)
    classes[:10] = 2
    del response.classes[:]
    response.classes.extend(regions(classes))
    drawn = draw_segmentation(grey(), found(response))
    assert (drawn[10:SIDE] == GREY).all()
    assert (drawn[:10] != GREY).any(axis=2).all()


def test_an_odd_box_or_name_is_no_failure() -> None:
    response = answer(label_map=squares())
    response.instances[0].centroid.x = -1e6
    response.classes[1].label.name = "菊\n" * 300
    draw_segmentation(grey(), found(response), is_numbered=True)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_picture_is_refused(pixels: Any) -> None:
    with pytest.raises(ValueError, match="pixels"):
        draw_segmentation(pixels, found())


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="the answer is for one of 1000x1000"):
        draw_segmentation(grey(999), found())
