"""Logits become scores, and the best scores are found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import sigmoid, softmax, top_k


def test_softmax_of_equal_logits_is_even() -> None:
    assert softmax(np.zeros(4)).tolist() == [0.25] * 4


def test_softmax_sums_to_one_along_the_axis_that_is_asked_for() -> None:
    scores = softmax(np.arange(24.0).reshape(2, 3, 4), axis=1)
    assert scores.shape == (2, 3, 4)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-15)  # a few roundings of float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_survives_logits_at_both_ends_of_the_range(dtype: type[np.floating[Any]]) -> None:
    most = np.finfo(dtype).max
    assert softmax(np.array([most, -most, most], dtype=dtype)).tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("operation", [softmax, sigmoid])
def test_scores_keep_the_dtype_of_floats(operation: Callable[..., NDArray[Any]], dtype: type[np.floating[Any]]) -> None:
    assert operation(np.ones(3, dtype=dtype)).dtype == dtype


def test_whole_numbers_count_as_float64() -> None:
    assert softmax(np.array([1, 1])).dtype == np.float64


@pytest.mark.parametrize("shape", [(0,), (0, 10), (3, 0), (2, 0, 5)])
def test_empty_input_gives_empty_output(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, dtype=np.float32)
    assert softmax(empty).shape == shape
    assert sigmoid(empty).shape == shape
    assert top_k(empty, 5).shape == (*shape[:-1], min(5, shape[-1]))


def test_sigmoid_reaches_both_ends_without_overflow() -> None:
    most = np.finfo(np.float32).max
    assert sigmoid(np.array([-most, 0, most], dtype=np.float32)).tolist() == [0, 0.5, 1]


def test_sigmoid_keeps_the_digits_of_small_scores() -> None:
    assert sigmoid(np.array(-50.0)) == pytest.approx(np.exp(-50), rel=1e-15)  # 1 + exp(-50) rounds to 1


def test_arguments_are_left_as_they_were() -> None:
    logits = np.array([3.0, 1.0, 2.0])
    softmax(logits)
    sigmoid(logits)
    top_k(logits, 2)
    assert logits.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_name(bad: Any) -> None:
    array = np.array([[0.0, 1.0], [bad, 0.0]])
    for operation in (softmax, sigmoid):
        with pytest.raises(ValueError, match="logits: must be finite"):
            operation(array)
    with pytest.raises(ValueError, match="scores: must be finite"):
        top_k(array, 1)


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_what_is_no_real_number_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(ValueError, match="logits: must be real numbers"):
        softmax(bad)


@pytest.mark.parametrize("axis", [-3, 2])
def test_an_axis_that_is_not_there_is_refused(axis: int) -> None:
    with pytest.raises(ValueError, match="axis"):
        softmax(np.zeros((2, 2)), axis=axis)


def test_a_single_number_has_no_softmax_and_no_best() -> None:
    with pytest.raises(ValueError, match="logits: must have at least one axis"):
        softmax(np.array(1.0))
    with pytest.raises(ValueError, match="scores: must have at least one axis"):
        top_k(np.array(1.0), 1)


@pytest.mark.parametrize("count", [6, 6000])
def test_equal_scores_come_by_lowest_index(count: int) -> None:
    """Few scores are sorted outright, many are searched: both say the same."""
    scores = np.zeros(count)
    scores[[3, 5]] = 1
    assert top_k(scores, 4).tolist() == [3, 5, 0, 1]


def test_both_zeros_are_equal() -> None:
    assert top_k(np.array([-0.0, 0.0, -0.0]), 2).tolist() == [0, 1]


def test_k_above_the_count_gives_all() -> None:
    assert top_k(np.array([0.2, 0.7, 0.1]), 10).tolist() == [1, 0, 2]


def test_k_of_zero_gives_none() -> None:
    assert top_k(np.ones((2, 3)), 0).shape == (2, 0)


def test_each_row_is_ranked_by_itself() -> None:
    scores = np.tile(np.arange(300.0), (2, 3, 1))
    scores[1] *= -1
    best = top_k(scores, 2)
    assert best.shape == (2, 3, 2)
    assert best[0, 2].tolist() == [299, 298]
    assert best[1, 0].tolist() == [0, 1]


@pytest.mark.parametrize("k", [-1, 1.5, "1", None])
def test_a_k_that_is_no_count_is_refused(k: Any) -> None:
    with pytest.raises(ValueError, match=r"^k: "):
        top_k(np.ones(3), k)
