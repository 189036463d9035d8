"""The area under the ROC curve counts pairs."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import roc_auc


def test_positives_above_all_negatives_fill_the_area() -> None:
    assert roc_auc(np.array([1.0, 2.0, 3.0, 4.0]), [False, False, True, True]) == 1


def test_positives_below_all_negatives_leave_none() -> None:
    assert roc_auc(np.array([4.0, 3.0, 2.0, 1.0]), [False, False, True, True]) == 0


def test_a_tie_counts_one_half() -> None:
    assert roc_auc(np.array([1.0, 1.0, 1.0]), [True, False, False]) == 0.5


def test_zeros_and_ones_count_as_claims() -> None:
    assert roc_auc(np.array([1, 2], dtype=np.float32), np.array([0, 1])) == 1


@pytest.mark.parametrize("claims", [[], [True, True], [False]])
def test_one_kind_alone_has_no_area(claims: Any) -> None:
    with pytest.raises(ValueError, match="is_positive: needs both kinds"):
        roc_auc(np.zeros(len(claims)), np.array(claims, dtype=bool))


@pytest.mark.parametrize("claims", [[0, 2], [0.5, 1], ["yes", "no"], [np.nan, 1], [None, True]])
def test_claims_that_are_neither_true_nor_false_are_refused(claims: Any) -> None:
    with pytest.raises(ValueError, match="is_positive: must be booleans"):
        roc_auc(np.zeros(2), claims)


@pytest.mark.parametrize("claims", [[True], [[True, False]], True])
def test_claims_of_another_shape_are_refused(claims: Any) -> None:
    with pytest.raises(ValueError, match="is_positive: must be"):
        roc_auc(np.zeros(2), claims)


def test_what_is_not_finite_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="scores: must be finite"):
        roc_auc(np.array([0.0, np.nan]), [True, False])
