import cv2
import numpy as np
import pytest

from retinue.client.class_regions import NO_CLASS, ClassRegion, decode_class_map, read_class_regions
from tests.unit.client.scripted_segmentation import CLASS_OF, regions, things

CLASSES = np.array(CLASS_OF)[things()]
HEIGHT, WIDTH = CLASSES.shape


def test_masks_make_the_map_that_they_were_made_from() -> None:
    read = read_class_regions(regions(CLASSES), HEIGHT, WIDTH)
    class_map = decode_class_map(read, b"", HEIGHT, WIDTH)
    assert class_map.dtype == np.uint8
    np.testing.assert_array_equal(class_map, CLASSES)
    for class_id, region in enumerate(read):
        np.testing.assert_array_equal(region.mask(), class_id == CLASSES)
        assert region.pixel_count == region.mask().sum()


def test_a_png_is_the_map() -> None:
    png = cv2.imencode(".png", CLASSES.astype(np.uint8))[1].tobytes()
    np.testing.assert_array_equal(decode_class_map((), png, HEIGHT, WIDTH), CLASSES)
    with pytest.raises(ValueError, match="the class map is 40x30 pixels, its frame 40x31"):
        decode_class_map((), png, HEIGHT + 1, WIDTH)


def test_more_classes_than_a_byte_can_tell_need_two() -> None:
    labels = [f"class {number}" for number in range(300)]
    classes = np.array([[0, 299], [255, 256]])
    read = read_class_regions(regions(classes, labels), 2, 2)
    class_map = decode_class_map(read, b"", 2, 2)
    assert class_map.dtype == np.uint16
    assert class_map.tolist() == classes.tolist()


def test_pixels_of_no_class_are_told_and_of_several_the_last_counts() -> None:
    read = [*read_class_regions(regions(np.array([[0, 1, 9]])), 1, 3)]
    read[2] = ClassRegion(2, "token", 1, read[1].encoded)
    assert decode_class_map(read, b"", 1, 3).tolist() == [[0, 2, NO_CLASS]]


def test_what_was_not_asked_for_is_not_made_up() -> None:
    counted = [ClassRegion(0, "background", 12)]
    with pytest.raises(ValueError, match="class_map='rle'"):
        counted[0].mask()
    with pytest.raises(ValueError, match="no class map"):
        decode_class_map(counted, b"", 3, 4)


def test_a_map_cannot_be_written() -> None:
    class_map = decode_class_map(read_class_regions(regions(CLASSES), HEIGHT, WIDTH), b"", HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="read-only"):
        class_map[0, 0] = 1
