"""Logits alone tell strangers: the higher the score, the stranger."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import energy_score, max_logit_score, max_softmax_score, softmax

SCORES = [max_softmax_score, max_logit_score, energy_score]


@pytest.mark.parametrize("score", SCORES)
def test_a_flat_row_is_stranger_than_a_peaked_one(score: Callable[..., NDArray[Any]]) -> None:
    flat, peaked = score(np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]))
    assert flat > peaked


def test_max_softmax_is_one_minus_the_largest_score() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 7))
    np.testing.assert_allclose(max_softmax_score(logits), 1 - softmax(logits).max(axis=1), atol=1e-15)  # rounding


def test_max_softmax_still_ranks_rows_that_are_all_but_certain() -> None:
    sure, surer = max_softmax_score(np.array([[50.0, 0.0], [60.0, 0.0]]))
    assert sure > surer > 0


def test_max_softmax_of_a_tie_counts_one_winner() -> None:
    assert max_softmax_score(np.array([5.0, 5.0])) == 0.5


def test_max_softmax_of_one_class_is_zero() -> None:
    assert max_softmax_score(np.array([[3.0]])).tolist() == [0]


def test_max_logit_is_minus_the_largest() -> None:
    assert max_logit_score(np.array([[1.0, 4.0], [-3.0, -2.0]])).tolist() == [-4, 2]


def test_energy_of_one_class_is_minus_its_logit() -> None:
    assert energy_score(np.array([[3.0]]), 2.5).tolist() == [-3]


def test_energy_scales_with_the_temperature() -> None:
    logits = np.array([1.0, 2.0, 3.0])
    assert energy_score(2 * logits, 2.0) == pytest.approx(2 * energy_score(logits), rel=1e-15)  # rounding


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_energy_at_the_smallest_temperature_is_the_max_logit(dtype: type[np.floating[Any]]) -> None:
    logits = np.array([[1.0, 1.0, -4.0]], dtype=dtype)
    energy = energy_score(logits, 5e-324)
    assert energy.tolist() == max_logit_score(logits).tolist()
    assert energy.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", SCORES)
def test_scores_stay_finite_at_the_ends_of_the_range(
    score: Callable[..., NDArray[Any]], dtype: type[np.floating[Any]]
) -> None:
    most = np.finfo(dtype).max
    values = score(np.array([[most, -most], [-most, -most]], dtype=dtype) / 2)
    assert np.isfinite(values).all()
    assert values.dtype == dtype


@pytest.mark.parametrize("score", SCORES)
def test_no_rows_give_no_scores(score: Callable[..., NDArray[Any]]) -> None:
    assert score(np.zeros((0, 10), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("score", SCORES)
def test_rows_without_classes_are_refused(score: Callable[..., NDArray[Any]]) -> None:
    with pytest.raises(ValueError, match="logits: must have at least one class"):
        score(np.zeros((3, 0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("score", SCORES)
def test_what_is_not_finite_is_refused_by_name(score: Callable[..., NDArray[Any]], bad: Any) -> None:
    with pytest.raises(ValueError, match="logits: must be finite"):
        score(np.array([[0.0, bad]]))


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature: must be a finite number above 0"):
        energy_score(np.zeros((1, 2)), temperature)
