"""The mask of a box becomes a mask of the image."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import Rle, paste_masks, rle_area, rle_bbox, rle_decode

FULL = np.ones((1, 2, 2), np.float32)
EMPTY = Rle(6, 8, np.array([48]))


def test_torchvision_fills_the_pixels_that_the_box_touches() -> None:
    """Box 2, 1, 4, 3 grows to 1, 0, 5, 4: five pixels, with scores 0, 0.7, 1, 0.7, 0 along both axes."""
    [rle] = paste_masks(FULL, np.array([[2, 1, 4, 3]], np.float32), 6, 8)
    assert rle_bbox(rle).tolist() == [2, 1, 3, 3]
    assert rle_area(rle) == 5  # 0.7 * 0.7 is below one half


def test_detectron2_fills_the_pixels_whose_centres_lie_within() -> None:
    [rle] = paste_masks(FULL, np.array([[2, 1, 4, 3]], np.float32), 6, 8, convention="detectron2")
    assert rle_bbox(rle).tolist() == [2, 1, 2, 2]
    assert rle_area(rle) == 4


@pytest.mark.parametrize(("convention", "is_included"), [("torchvision", False), ("detectron2", True)])
def test_a_score_of_the_threshold_counts_as_the_convention_says(convention: Any, is_included: bool) -> None:  # noqa: FBT001
    half = np.full((1, 3, 3), 0.5)
    [rle] = paste_masks(half, np.array([[0.0, 0, 6, 6]]), 6, 6, convention=convention)
    assert bool(rle_decode(rle)[3, 3]) is is_included


@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_box_beyond_the_image_is_cut(convention: Any, dtype: Any) -> None:
    boxes = np.array([[-1000, -1000, 1000, 1000], [-9, -9, -5, -5], [100, 0, 200, 6]], dtype)
    full, left, right = paste_masks(np.ones((3, 4, 4), dtype), boxes, 6, 8, convention=convention)
    assert full == Rle(6, 8, np.array([0, 48]))
    assert left == right == EMPTY


@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
def test_the_largest_boxes_cost_no_more_than_the_image(convention: Any) -> None:
    box = np.array([[-(2.0**31), -(2.0**31), 2.0**31, 2.0**31]])
    assert paste_masks(np.ones((1, 28, 28)), box, 6, 8, convention=convention) == [Rle(6, 8, np.array([0, 48]))]


def test_a_run_goes_on_from_column_to_column() -> None:
    [rle] = paste_masks(np.ones((1, 28, 28)), np.array([[-100.0, -100, 4, 100]]), 6, 8, convention="detectron2")
    assert rle.counts.tolist() == [0, 24, 24]


@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
def test_an_inverted_box_gives_an_empty_mask(convention: Any) -> None:
    assert paste_masks(FULL, np.array([[5.0, 4, 1, 1]]), 6, 8, convention=convention) == [EMPTY]


def test_a_box_inverted_by_less_than_a_pixel_is_empty_to_detectron2() -> None:
    assert paste_masks(FULL, np.array([[2.8, 1, 2.2, 4]]), 6, 8, convention="detectron2") == [EMPTY]


def test_a_box_without_area_is_a_pixel_to_torchvision_and_nothing_to_detectron2() -> None:
    box = np.array([[2.0, 2, 2, 2]])
    assert rle_area(paste_masks(FULL, box, 6, 8)[0]) == 1
    assert paste_masks(FULL, box, 6, 8, convention="detectron2") == [EMPTY]


@pytest.mark.parametrize("shape", [(0, 28, 28), (0, 1, 1)])
def test_no_detections_give_no_masks(shape: tuple[int, ...]) -> None:
    assert paste_masks(np.empty(shape, np.float32), np.empty((0, 4), np.float32), 6, 8) == []
    assert paste_masks(np.empty(shape, np.float32), np.empty(0, np.float32), 6, 8) == []


@pytest.mark.parametrize(("height", "width"), [(0, 8), (6, 0), (0, 0)])
def test_an_image_without_pixels_has_masks_without_pixels(height: int, width: int) -> None:
    expected = [Rle(height, width, np.array([0]))]
    assert paste_masks(FULL, np.array([[0.0, 0, 4, 4]]), height, width) == expected


def test_dtypes_may_differ_and_layouts_too() -> None:
    masks = np.asfortranarray(np.random.default_rng(3).random((2, 7, 7), dtype=np.float32))
    boxes = np.array([[0, 0, 5, 5], [1, 1, 7, 5]])
    masks.flags.writeable = False
    expected = paste_masks(masks.copy(order="C"), boxes.astype(np.float32), 6, 8)
    assert paste_masks(masks, boxes.astype(np.float32), 6, 8) == expected
    assert paste_masks(masks[:, ::-1, ::-1][:, ::-1, ::-1], boxes, 6, 8) == expected


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"masks": np.ones((1, 2, 3))}, "masks"),
        ({"masks": np.ones((2, 2))}, "masks"),
        ({"masks": np.ones((1, 0, 0))}, "masks"),
        ({"masks": np.full((1, 2, 2), np.nan)}, "masks"),
        ({"boxes": np.ones((2, 4))}, "boxes"),
        ({"boxes": np.ones((1, 5))}, "boxes"),
        ({"boxes": np.array([[0, 0, np.inf, 1]])}, "boxes"),
        ({"boxes": np.array([[0, 0, 1e30, 1]])}, "boxes"),
        ({"height": -1}, "height"),
        ({"width": 1.5}, "width"),
        ({"height": 2**16, "width": 2**16}, "height"),
        ({"threshold": np.nan}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"convention": "mmdet"}, "convention"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, Any], name: str) -> None:
    given: dict[str, Any] = {"masks": FULL, "boxes": np.array([[0.0, 0, 4, 4]]), "height": 6, "width": 8}
    with pytest.raises(ValueError, match=rf"^{name}: "):
        paste_masks(**(given | arguments))


def test_the_arguments_are_left_as_they_were() -> None:
    masks, boxes = FULL.copy(), np.array([[1.0, 1, 4, 4]], np.float32)
    for convention in ("torchvision", "detectron2"):
        paste_masks(masks, boxes, 6, 8, convention=convention)
    assert (masks == FULL).all()
    assert boxes.tolist() == [[1, 1, 4, 4]]
