"""A mask becomes runs and pixels again, and nothing but a mask becomes an Rle."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import Rle, rle_area, rle_bbox, rle_decode, rle_encode
from retinue.ops.rle import rle_encode_batch, rle_encode_crop

MASK = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=np.uint8)
COUNTS = [4, 1, 2, 1, 4]


def test_runs_go_down_the_columns_and_start_with_zeros() -> None:
    assert rle_encode(MASK).counts.tolist() == COUNTS


@pytest.mark.parametrize(
    ("mask", "counts"), [(np.ones((2, 2)), [0, 4]), (np.zeros((2, 2)), [4]), (np.eye(2), [0, 1, 2, 1])]
)
def test_published_vectors(mask: NDArray[Any], counts: list[int]) -> None:
    assert rle_encode(mask.astype(bool)).counts.tolist() == counts


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_dtype_and_order_gives_the_same_runs(dtype: type[np.generic], order: Any) -> None:
    mask = (MASK * 7).astype(dtype, order=order)
    assert rle_encode(mask).counts.tolist() == COUNTS


@pytest.mark.parametrize("value", [-128, -1, 127])
def test_what_is_not_zero_is_set(value: int) -> None:
    mask = (MASK.astype(np.int8) * value).astype(np.int8)
    mask[1, 2] = 1  # beside another value that is set as well
    assert rle_encode(mask).counts.tolist() == COUNTS


@pytest.mark.parametrize("order", ["C", "F"])
def test_read_only_and_strided_masks_are_taken(order: Any) -> None:
    large = np.zeros((6, 8), np.uint8, order=order)
    large[::2, ::2] = MASK
    large.flags.writeable = False
    assert rle_encode(large[::2, ::2]) == rle_encode(MASK)
    assert rle_encode(large[:, ::-1]).counts.tolist() == rle_encode(large[:, ::-1].copy()).counts.tolist()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("height", [1, 7, 8, 63, 64, 65, 200])
def test_runs_go_on_from_column_to_column(height: int, order: Any) -> None:
    mask = np.zeros((height, 3), np.uint8, order=order)
    mask[-1, 0] = mask[0, 1] = 1
    expected = [height - 1, 2, 2 * height - 1] if height > 1 else [0, 2, 1]
    assert rle_encode(mask).counts.tolist() == expected


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_a_mask_without_pixels_has_one_empty_run(shape: tuple[int, int]) -> None:
    rle = rle_encode(np.zeros(shape, bool))
    assert (rle.height, rle.width, rle.counts.tolist()) == (*shape, [0])
    assert rle_decode(rle).shape == shape
    assert rle_area(rle) == 0
    assert rle == Rle(*shape, np.array([], dtype=np.uint32))


def test_a_noisy_mask_outgrows_the_first_guess_of_its_runs() -> None:
    mask = np.indices((200, 300)).sum(axis=0) % 2
    for layout in (mask, np.asfortranarray(mask)):
        rle = rle_encode(layout)
        assert len(rle.counts) > 59_000
        assert (rle_decode(rle) == mask).all()


@pytest.mark.parametrize("bad", [np.zeros(4), np.zeros((1, 2, 2), bool), np.zeros((2, 2)), np.array([["a"]]), None])
def test_what_is_no_mask_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^mask: must be \(H, W\) bool or integers"):
        rle_encode(bad)


def test_a_batch_is_encoded_mask_by_mask() -> None:
    assert rle_encode_batch(np.stack([MASK, 1 - MASK])) == [rle_encode(MASK), rle_encode(1 - MASK)]
    assert rle_encode_batch([]) == []


def test_the_argument_is_left_as_it_was() -> None:
    mask = MASK.copy()
    rle_encode(mask)
    assert (mask == MASK).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("y", "x", "height", "width"), [(0, 0, 3, 4), (2, 1, 9, 9), (0, 0, 3, 9), (0, 5, 3, 9), (1, 0, 4, 4), (0, 1, 4, 5)]
)
def test_a_crop_is_the_same_as_the_canvas_that_it_lies_in(y: int, x: int, height: int, width: int, order: Any) -> None:
    for crop in (MASK, np.ones_like(MASK)):
        canvas = np.zeros((height, width), np.uint8)
        canvas[y : y + 3, x : x + 4] = crop
        assert rle_encode_crop(crop.copy(order=order), y, x, height, width) == rle_encode(canvas)


def test_an_empty_crop_leaves_zeros() -> None:
    assert rle_encode_crop(np.zeros((0, 3), bool), 2, 1, 4, 5) == rle_encode(np.zeros((4, 5), bool))


@pytest.mark.parametrize(
    ("y", "x", "name"), [(-1, 0, "y"), (8, 0, "y"), (0.5, 0, "y"), (0, -1, "x"), (0, 7, "x"), (0, None, "x")]
)
def test_a_crop_outside_its_canvas_is_refused_by_name(y: Any, x: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        rle_encode_crop(MASK, y, x, 10, 10)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pixels_are_written_where_asked(dtype: type[np.generic], order: Any) -> None:
    out = np.ones((3, 4), dtype, order=order)
    assert rle_decode(rle_encode(MASK), out=out) is out
    assert out.tolist() == MASK.astype(dtype).tolist()


def test_pixels_are_written_into_a_part_of_an_array() -> None:
    large = np.full((6, 8), 9, np.uint8)
    rle_decode(rle_encode(MASK), out=large[::2, ::2])
    assert (large[::2, ::2] == MASK).all()
    assert (large[1::2] == 9).all()


def test_pixels_come_as_bool_by_rows() -> None:
    pixels = rle_decode(rle_encode(MASK))
    assert pixels.dtype == np.bool_
    assert pixels.flags.c_contiguous
    assert (pixels == MASK).all()


def _read_only() -> NDArray[np.uint8]:
    array = np.zeros((3, 4), np.uint8)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("out", [np.zeros((4, 3), bool), np.zeros((3, 4)), np.zeros(12, bool), _read_only()])
def test_an_array_that_cannot_take_the_pixels_is_refused(out: Any) -> None:
    with pytest.raises(ValueError, match=r"^out: must be a writeable \(3, 4\) bool or uint8"):
        rle_decode(rle_encode(MASK), out=out)


def test_area_and_box_are_those_of_the_pixels() -> None:
    rle = rle_encode(MASK)
    assert rle_area(rle) == 2
    assert rle_bbox(rle).tolist() == [1, 1, 2, 1]


def test_a_run_over_two_columns_reaches_from_top_to_foot() -> None:
    mask = np.zeros((5, 4), bool)
    mask[4, 1] = mask[0, 2] = True
    assert rle_bbox(rle_encode(mask)).tolist() == [1, 0, 2, 5]


def test_a_mask_without_pixels_set_has_a_box_of_zeros() -> None:
    assert rle_bbox(Rle(3, 4, np.array([12]))).tolist() == [0, 0, 0, 0]


def test_the_largest_mask_costs_nothing() -> None:
    rle = Rle(1, 2**32 - 1, np.array([1, 2**32 - 2]))
    assert rle_area(rle) == 2**32 - 2
    assert rle_bbox(rle).tolist() == [1, 0, 2**32 - 2, 1]


@pytest.mark.parametrize("operation", [rle_area, rle_bbox, rle_decode])
def test_what_is_no_rle_is_refused(operation: Any) -> None:
    with pytest.raises(ValueError, match=r"^rle: must be an Rle, got dict"):
        operation({"size": [3, 4], "counts": b"41202"})


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ([2, 0, 2], [4]),
        ([2, 2, 0], [2, 2]),
        ([1, 1, 0, 0, 0, 1, 1], [1, 2, 1]),
        ([0, 0, 4], [4]),
        ([0, 0, 0, 4], [0, 4]),
        ([0, 4, 0, 0], [0, 4]),
    ],
)
def test_empty_runs_are_joined_so_that_each_mask_has_one_form(counts: list[int], kept: list[int]) -> None:
    assert Rle(2, 2, np.array(counts)).counts.tolist() == kept


@pytest.mark.parametrize(
    ("height", "width", "counts", "match"),
    [
        (-1, 2, [0], r"^height: must be at least 0"),
        (2, 1.5, [0], r"^width: must be a whole number"),
        (2, "2", [0], r"^width: must be a whole number"),
        (2**16, 2**16, [0], r"^height: by width must be at most 4294967295 pixels"),
        (10**30, 0, [0], r"^height: by width must be at most"),
        (2, 2, [3], r"^counts: must sum to the mask's 4 pixels, got 3"),
        (2, 2, [], r"^counts: must sum to the mask's 4 pixels, got 0"),
        (2, 2, [2, 3], r"^counts: must sum to the mask's 4 pixels, got 5"),
        (2, 2, [5, -1], r"^counts: must be between 0 and the mask's 4 pixels, got -1 to 5"),
        (2, 2, [2**40], r"^counts: must be between 0"),
        (2, 2, [4.0], r"^counts: must be \(n,\) integers"),
        (2, 2, [[4]], r"^counts: must be \(n,\) integers"),
        (2, 2, "4", r"^counts: must be \(n,\) integers"),
        (2**16 - 1, 2**16 - 1, [2**31] * 10, r"^counts: must sum"),
    ],
)
def test_what_is_no_mask_does_not_become_an_rle(height: Any, width: Any, counts: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Rle(height, width, counts)


def test_runs_are_a_copy_that_cannot_be_written() -> None:
    given = np.array([1, 3])
    rle = Rle(2, 2, given)
    given[0] = 2
    assert rle.counts.tolist() == [1, 3]
    assert rle.counts.dtype == np.uint32
    for made in (rle, rle_encode(MASK), rle_encode_crop(MASK, 0, 0, 9, 9)):
        assert not made.counts.flags.writeable


def test_masks_are_equal_by_value_and_can_be_keys() -> None:
    rle = rle_encode(MASK)
    assert rle == Rle(3, 4, np.array(COUNTS))
    assert len({rle, Rle(3, 4, np.array(COUNTS)), rle_encode(1 - MASK)}) == 2
    assert rle != rle_encode(MASK.reshape(4, 3))
    assert rle != COUNTS


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda rle: pickle.loads(pickle.dumps(rle))])  # noqa: S301
def test_copies_are_equal_and_serve_again(copied: Any) -> None:
    twin = copied(rle_encode(MASK))
    assert twin == rle_encode(MASK)
    assert not twin.counts.flags.writeable
    assert (rle_decode(twin) == MASK).all()
