"""Codes against what a loop over pixels says."""

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from retinue.ops import rle_decode
from services.segmentation.codes import NO_CLASS, by_thresholds, class_counts, class_masks, class_png, most_probable
from services.segmentation.segmentations import Codes, Floats


def some_probabilities(class_count: int = 4, height: int = 7, width: int = 5, seed: int = 0) -> Floats:
    """Return probabilities of few values, so that some are equal."""
    return (np.random.default_rng(seed).integers(0, 5, (class_count, height, width)) / 4).astype(np.float32)


def naive_classes(
    probabilities: Floats, thresholds: tuple[float | None, ...], place: tuple[int, int]
) -> tuple[list[int], int]:
    """Return the classes of one pixel, and the most probable of them, or `NO_CLASS`."""
    values = probabilities[:, place[0], place[1]].tolist()
    first = values.index(max(values))
    classes = [
        class_id
        for class_id, (value, threshold) in enumerate(zip(values, thresholds, strict=True))
        if (class_id == first if threshold is None else value >= threshold)
    ]
    return classes, max(classes, key=lambda class_id: (values[class_id], -class_id), default=NO_CLASS)


def png_pixels(data: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(pixels, np.uint8)


@pytest.mark.parametrize("class_count", [1, 2, 4, 256])
def test_of_equal_logits_the_lower_class_counts(class_count: int) -> None:
    logits = some_probabilities(class_count)
    codes = most_probable(logits)
    assert codes.dtype == np.uint8
    assert_array_equal(codes, logits.argmax(axis=0))


def test_more_classes_than_a_byte_holds_have_their_numbers() -> None:
    logits = np.zeros((300, 2, 3), np.float32)
    logits[299, 0, 1] = logits[255, 1, 1] = logits[256, 1, 2] = 1
    codes = most_probable(logits)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [[0, 299, 0], [0, 255, 256]]


def test_the_logits_are_left_as_they_are() -> None:
    logits = some_probabilities()
    before = logits.copy()
    most_probable(logits)
    assert_array_equal(logits, before)


@pytest.mark.parametrize(
    "thresholds",
    [
        (None, None, None, None),
        (0.5, 0.5, 0.5, 0.5),
        (0.0, 0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0, 1.0),
        (None, 0.75, None, None),
        (0.25, None, 1.0, 0.5),
    ],
)
def test_thresholds_give_each_pixel_all_classes_that_reach_theirs(thresholds: tuple[float | None, ...]) -> None:
    probabilities = some_probabilities()
    codes = by_thresholds(probabilities, thresholds)
    assert codes.shape == (7, 5, 5)
    for place in np.ndindex(7, 5):
        classes, best = naive_classes(probabilities, thresholds, place)
        assert codes[place][:4].nonzero()[0].tolist() == classes
        assert codes[place][4] == best


def test_a_threshold_is_reached_where_the_probability_is_the_same_float() -> None:
    """0.1 as a caller sends it, a float32, is not 0.1 as Python has it."""
    sent = float(np.float32(0.1))
    probabilities = np.full((1, 1, 1), 0.1, np.float32)
    assert by_thresholds(probabilities, (sent,))[0, 0, 0] == 1
    assert by_thresholds(probabilities, (0.1,))[0, 0, 0] == 1


def test_more_classes_than_a_byte_holds_have_their_numbers_also_with_thresholds() -> None:
    probabilities = np.zeros((300, 1, 3), np.float32)
    probabilities[299, 0, 0] = probabilities[255, 0, 1] = 0.9
    codes = by_thresholds(probabilities, (0.5,) * 300)
    assert codes[0, :, -1].tolist() == [299, 255, np.iinfo(np.uint16).max]
    assert class_counts(codes, 300).sum() == 2
    assert rle_decode(class_masks(codes, 300)[299]).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("thresholds", [None, (0.5, None, 0.75, 0.0)])
def test_counts_and_masks_say_the_same_as_the_codes(thresholds: tuple[float | None, ...] | None) -> None:
    probabilities = some_probabilities()
    codes: Codes = most_probable(probabilities) if thresholds is None else by_thresholds(probabilities, thresholds)
    masks = [rle_decode(mask) for mask in class_masks(codes, 4)]
    for class_id, mask in enumerate(masks):
        is_of = codes == class_id if codes.ndim == 2 else codes[..., class_id] == 1
        assert_array_equal(mask, is_of)
    assert class_counts(codes, 4).tolist() == [int(mask.sum()) for mask in masks]


def test_a_class_without_a_pixel_has_an_empty_mask_of_full_size() -> None:
    codes = np.full((2, 3), 1, np.uint8)
    masks = class_masks(codes, 3)
    assert [(mask.height, mask.width) for mask in masks] == [(2, 3)] * 3
    assert class_counts(codes, 3).tolist() == [0, 6, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (6, 7)])
def test_a_png_holds_class_ids_in_one_8_bit_channel(shape: tuple[int, int]) -> None:
    codes = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    data = class_png(codes)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert tuple(data[24:26]) == (8, 0)  # bits, and the colour type of grey
    assert_array_equal(png_pixels(data), codes)


def test_a_png_of_several_classes_holds_the_most_probable_one() -> None:
    probabilities = some_probabilities()
    thresholds = (0.75,) * 4
    pixels = png_pixels(class_png(by_thresholds(probabilities, thresholds)))
    for place in np.ndindex(7, 5):
        assert pixels[place] == naive_classes(probabilities, thresholds, place)[1]
    assert NO_CLASS in pixels


def test_columns_cut_from_codes_can_be_written() -> None:
    """As tiles of a stream are."""
    codes = np.random.default_rng(0).integers(0, 3, (6, 20)).astype(np.uint8)
    cut = codes[:, 5:12]
    assert_array_equal(png_pixels(class_png(cut)), cut)
    assert class_counts(cut, 3).tolist() == np.bincount(cut.ravel(), minlength=3).tolist()
    assert_array_equal(rle_decode(class_masks(cut, 3)[2]), cut == 2)
