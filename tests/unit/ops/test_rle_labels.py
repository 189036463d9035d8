"""A label map becomes one mask for each label."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import rle_encode
from retinue.ops.rle_labels import rle_encode_labels

LABELS = np.array([[0, 5, 5], [2, 2, 5], [0, 2, 9]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_each_label_has_the_mask_of_its_pixels(dtype: type[np.generic], order: Any) -> None:
    labels, rles = rle_encode_labels(LABELS.astype(dtype, order=order))
    assert labels.tolist() == [2, 5, 9]
    assert labels.dtype == np.int64
    assert rles == [rle_encode(np.equal(LABELS, label)) for label in (2, 5, 9)]


@pytest.mark.parametrize(
    ("background", "kept"), [(None, [0, 2, 5, 9]), (0, [2, 5, 9]), (5, [0, 2, 9]), (-3, [0, 2, 5, 9])]
)
def test_the_background_is_left_out(background: int | None, kept: list[int]) -> None:
    labels, rles = rle_encode_labels(LABELS, background=background)
    assert labels.tolist() == kept
    assert rles == [rle_encode(np.equal(LABELS, label)) for label in kept]


def test_labels_at_both_ends_of_the_range_are_kept_apart() -> None:
    ends = np.iinfo(np.int64)
    labels, _ = rle_encode_labels(np.array([[ends.min, -1, ends.max]]))
    assert labels.tolist() == [ends.min, -1, ends.max]


def test_a_mask_is_a_label_map() -> None:
    labels, rles = rle_encode_labels(np.eye(3, dtype=bool))
    assert labels.tolist() == [1]
    assert rles == [rle_encode(np.eye(3, dtype=bool))]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_a_map_without_pixels_has_no_labels(shape: tuple[int, int]) -> None:
    labels, rles = rle_encode_labels(np.zeros(shape, int), background=None)
    assert labels.shape == (0,)
    assert rles == []


def test_one_label_all_over_is_one_mask() -> None:
    assert rle_encode_labels(np.full((2, 3), 4))[1] == [rle_encode(np.ones((2, 3), bool))]


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.zeros(3, int), np.zeros((1, 2, 2), int), np.array([["a"]])])
def test_what_is_no_label_map_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^label_map: must be \(H, W\) integers"):
        rle_encode_labels(bad)


def test_labels_beyond_int64_are_refused() -> None:
    with pytest.raises(ValueError, match="label_map: labels must fit int64"):
        rle_encode_labels(np.array([[2**63]], dtype=np.uint64))


@pytest.mark.parametrize("bad", [0.5, "0"])
def test_a_background_that_is_no_label_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^background: must be a whole number"):
        rle_encode_labels(LABELS, background=bad)
