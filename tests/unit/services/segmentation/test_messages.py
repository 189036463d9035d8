"""Codes and things as messages: whatever the form, the same pixels."""

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from retinue.common.v1 import geometry_pb2
from retinue.ops import MaskCrop, rle_decode, rle_from_polygons, rle_from_string
from services.segmentation.codes import by_thresholds, most_probable
from services.segmentation.messages import class_map_png, class_regions, instance_of, slide_instance_of
from services.segmentation.options import MaskForm
from services.segmentation.segmentations import Thing
from tests.unit.services.segmentation.tiny_segmenters import LABELS

FORMS: tuple[MaskForm, ...] = ("rle", "png", "polygons")
RING = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 1, 0], [1, 0, 1, 1, 0], [1, 1, 1, 0, 1]], np.bool_)  # holes and a corner


def decoded(mask: geometry_pb2.Mask, height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels of a mask in any form; one that is written with its size has to have this one."""
    kind = mask.WhichOneof("encoding")
    if kind == "rle":
        assert (mask.rle.height, mask.rle.width) == (height, width)
        return rle_decode(rle_from_string(mask.rle.counts, height, width)).astype(np.bool_)
    if kind == "png":
        pixels = np.asarray(cv2.imdecode(np.frombuffer(mask.png, np.uint8), cv2.IMREAD_UNCHANGED))
        assert pixels.shape == (height, width)
        assert set(np.unique(pixels)) <= {0, 255}
        return np.asarray(pixels > 0)
    rings = [np.array(polygon.vertices_xy).reshape(-1, 2) for polygon in mask.polygons.polygons]
    return rle_decode(rle_from_polygons(rings, height, width)).astype(np.bool_)


def thing_at(y: int, x: int, mask: NDArray[np.bool_], label_id: int = 2) -> Thing:
    rows, columns = mask.nonzero()
    return Thing(
        MaskCrop(y, x, mask), int(mask.sum()), (columns.mean() + x + 0.5, rows.mean() + y + 0.5), label_id, 0.75
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", [(0, 0), (3, 2), (6, 7)])
def test_a_mask_is_the_same_pixels_of_the_picture_in_every_form(form: MaskForm, place: tuple[int, int]) -> None:
    message = instance_of(thing_at(*place, RING), LABELS, form, (10, 12))
    expected = np.zeros((10, 12), np.bool_)
    expected[place[0] : place[0] + 4, place[1] : place[1] + 5] = RING
    assert_array_equal(decoded(message.mask, 10, 12), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "mask", [RING, np.ones((1, 1), np.bool_), np.ones((1, 9), np.bool_), np.ones((9, 1), np.bool_)]
)
def test_a_mask_of_a_slide_is_in_the_frame_of_its_own_box(form: MaskForm, mask: NDArray[np.bool_]) -> None:
    message = slide_instance_of(5, thing_at(100_000, 150_000, mask), LABELS, form)
    assert_array_equal(decoded(message.box_mask, *mask.shape), mask)
    assert message.id == 5
    box = message.box
    assert (box.x_min, box.y_min) == (150_000, 100_000)
    assert (box.x_max - box.x_min, box.y_max - box.y_min) == mask.shape[::-1]


def test_a_thing_is_told_in_full() -> None:
    thing = thing_at(3, 2, RING)
    message = instance_of(thing, LABELS, "rle", (10, 12))
    assert (message.box.x_min, message.box.y_min, message.box.x_max, message.box.y_max) == (2, 3, 7, 7)
    assert (message.label.id, message.label.name, message.score, message.area_px) == (2, "green", 0.75, 14)
    assert (message.centroid.x, message.centroid.y) == pytest.approx(thing.centroid_xy)


def test_a_mask_that_is_not_wanted_is_absent() -> None:
    assert not instance_of(thing_at(0, 0, RING), LABELS, "none", (10, 12)).HasField("mask")
    assert not slide_instance_of(1, thing_at(0, 0, RING), LABELS, "none").HasField("box_mask")


@pytest.mark.parametrize("is_exclusive", [True, False])
@pytest.mark.parametrize("form", ["rle", "png", "none"])
def test_regions_are_one_for_each_class_in_every_form(*, is_exclusive: bool, form: str) -> None:
    probabilities = np.random.default_rng(0).random((3, 6, 7)).astype(np.float32)
    probabilities[1] = 0  # a class without a pixel is there too
    codes = most_probable(probabilities) if is_exclusive else by_thresholds(probabilities, (0.5, 0.5, 0.5))
    regions = class_regions(codes, LABELS, form)  # type: ignore[arg-type]  # one of three
    assert [(region.label.id, region.label.name) for region in regions] == list(enumerate(LABELS))
    expected = [codes == class_id if is_exclusive else codes[..., class_id] > 0 for class_id in range(3)]
    assert [region.pixel_count for region in regions] == [int(mask.sum()) for mask in expected]
    assert regions[1].pixel_count == 0
    assert [region.HasField("mask") for region in regions] == [form == "rle"] * 3
    if form == "rle":
        for region, mask in zip(regions, expected, strict=True):
            assert_array_equal(decoded(geometry_pb2.Mask(rle=region.mask), 6, 7), mask)
    assert bool(class_map_png(codes, form)) == (form == "png")  # type: ignore[arg-type]
