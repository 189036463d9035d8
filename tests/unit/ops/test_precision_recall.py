"""Precision and recall at each score of a ranking."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import average_precision, precision_recall_curve


def test_the_published_example_of_scikit_learn() -> None:
    precision, recall, thresholds = precision_recall_curve(np.array([0.1, 0.4, 0.35, 0.8]), [0, 0, 1, 1])
    assert precision.tolist() == [0.5, 2 / 3, 0.5, 1, 1]
    assert recall.tolist() == [1, 1, 0.5, 0.5, 0]
    assert thresholds.tolist() == [0.1, 0.35, 0.4, 0.8]


def test_a_perfect_ranking_has_average_precision_one() -> None:
    assert average_precision(np.array([3.0, 2.0, 1.0]), [True, True, False]) == 1


def test_precision_is_not_interpolated() -> None:
    # Right at places 1 and 4: (1 + 2/4) / 2.
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), [1, 0, 0, 1]) == 0.75


def test_equal_scores_make_one_threshold() -> None:
    scores = np.ones(4)
    assert average_precision(scores, [True, False, False, False]) == 0.25
    precision, _, thresholds = precision_recall_curve(scores, [True, False, False, False])
    assert (precision.tolist(), thresholds.tolist()) == ([0.25, 1], [1])


def test_both_zeros_are_one_threshold() -> None:
    assert average_precision(np.array([0.0, -0.0]), [False, True]) == 0.5
    assert precision_recall_curve(np.array([0.0, -0.0]), [False, True])[2].size == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thresholds_keep_the_dtype_of_scores(dtype: Any) -> None:
    precision, recall, thresholds = precision_recall_curve(np.array([1, 2], dtype), [True, False])
    assert precision.dtype == recall.dtype == np.float64
    assert thresholds.dtype == np.dtype(dtype)


def test_any_layout_is_taken_and_left_as_it_was() -> None:
    scores = np.array([3.0, 9, 1, 9, 2, 9])[::2]
    scores.flags.writeable = False
    assert average_precision(scores, np.array([0, 1, 0])) == 1 / 3
    assert scores.tolist() == [3, 1, 2]


@pytest.mark.parametrize("operation", [average_precision, precision_recall_curve])
@pytest.mark.parametrize(
    ("scores", "claims", "message"),
    [
        ([], [], "is_positive: must be true for one"),
        ([0.5], [False], "is_positive: must be true for one"),
        ([0.5], [True, False], "is_positive: must be"),
        ([0.5], [2], "is_positive: must be booleans"),
        ([0.5, 0.6], ["a", "b"], "is_positive: must be booleans"),
        ([np.nan], [True], "scores: must be finite"),
        (0.5, True, "is_positive: must be"),
    ],
)
def test_wrong_input_is_refused_by_name(operation: Any, scores: Any, claims: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        operation(scores, claims)
