"""Masks, and maps of classes, against each other."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import dice, mask_iou
from retinue.ops.class_overlap import class_dice, class_iou

LEFT = np.array([[1, 1, 0, 0]], bool)
MIDDLE = np.array([[0, 1, 1, 0]], bool)
NONE = np.zeros((1, 4), bool)


def test_a_half_shared() -> None:
    assert dice(LEFT, MIDDLE) == 0.5
    assert mask_iou(LEFT, MIDDLE) == 1 / 3


def test_two_masks_give_a_plain_float() -> None:
    assert type(dice(LEFT, MIDDLE)) is float
    assert type(mask_iou(LEFT, MIDDLE)) is float


@pytest.mark.parametrize("operation", [dice, mask_iou])
def test_two_empty_masks_are_what_was_asked_for(operation: Any) -> None:
    assert operation(NONE, NONE) == 1
    assert operation(NONE, NONE, empty=0) == 0
    assert np.isnan(operation(NONE, NONE, empty=np.nan))
    assert operation(np.zeros((0, 5), bool), np.zeros((0, 5), bool)) == 1


@pytest.mark.parametrize("operation", [dice, mask_iou])
def test_one_empty_mask_shares_nothing(operation: Any) -> None:
    assert operation(NONE, LEFT) == 0


@pytest.mark.parametrize("operation", [dice, mask_iou])
def test_a_stack_is_taken_mask_by_mask(operation: Any) -> None:
    a, b = np.stack([LEFT, LEFT, NONE]), np.stack([LEFT, MIDDLE, NONE])
    assert operation(a, b, empty=0.25).tolist() == [1, operation(LEFT, MIDDLE), 0.25]
    assert operation(a[None], b[None]).shape == (1, 3)
    assert operation(a[:0], b[:0]).shape == (0,)


def test_integers_are_set_where_they_are_not_zero() -> None:
    assert dice(LEFT.astype(np.uint8) * 255, LEFT.astype(np.int64)) == 1


def test_masks_may_have_any_layout_and_stay_as_they_were() -> None:
    big = np.zeros((6, 8), bool)
    big[::2, :4] = True
    part = np.asfortranarray(big)[::2, ::2]
    part.flags.writeable = False
    assert dice(part, part[:, ::-1]) == 0
    assert part.sum() == 6


@pytest.mark.parametrize("operation", [dice, mask_iou])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (LEFT, LEFT[:, :2], r"mask_b: must be \(1, 4\) like mask_a"),
        (LEFT[0], LEFT[0], "mask_a: must be"),
        (LEFT, LEFT * 0.5, "mask_b: must be"),
    ],
)
def test_wrong_masks_are_refused_by_name(operation: Any, a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        operation(a, b)


@pytest.mark.parametrize("empty", [np.inf, "one"])
def test_a_wrong_empty_is_refused(empty: Any) -> None:
    with pytest.raises(ValueError, match=r"^empty: must be"):
        dice(LEFT, MIDDLE, empty=empty)
    with pytest.raises(ValueError, match=r"^empty: must be"):
        class_iou([0], [0], 1, empty=empty)


def test_each_class_is_a_mask() -> None:
    true, predicted = np.array([[0, 1, 1, 2]]), np.array([[0, 0, 1, 2]])
    assert class_dice(true, predicted, 4).tolist() == [
        dice(true == k, predicted == k) for k in range(4)
    ]  # fmt: skip
    assert class_iou(true, predicted, 4, empty=0).tolist() == [0.5, 0.5, 1, 0]


def test_a_class_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^true: must be in \[0, 2\)"):
        class_dice([2], [0], 2)
