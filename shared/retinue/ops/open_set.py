"""Scores that tell pictures of no known class from logits alone; higher is stranger."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, class_logits


def max_softmax_score(logits: NDArray[Float]) -> NDArray[Float]:
    """Return 1 minus the largest softmax score of each row.

    Args:
        logits: [..., classes] float32 or float64, at least one class; other real dtypes count as float64.

    Returns:
        [...] same dtype, in [0, 1 - 1 / classes].

    Raises:
        ValueError: a logit is NaN, infinite or no real number, or there is no class.

    Notes:
        Summed over the other classes instead of subtracted from 1, so that two pictures of which the model is very sure
        still rank: the subtraction is 0 for both.

    Source:
        Hendrycks and Gimpel, ICLR 2017, arXiv:1610.02136.

    >>> max_softmax_score(np.array([[0.0, 0.0], [40.0, 0.0]]))
    array([5.00000000e-01, 4.24835426e-18])
    """
    array = class_logits(logits)
    others = _weight_of_others(array, 1.0)
    score: NDArray[Float] = others / (1 + others)
    return score


def max_logit_score(logits: NDArray[Float]) -> NDArray[Float]:
    """Return minus the largest logit of each row.

    Args:
        logits: [..., classes] float32 or float64, at least one class; other real dtypes count as float64.

    Returns:
        [...] same dtype, in logits.

    Raises:
        ValueError: a logit is NaN, infinite or no real number, or there is no class.

    Source:
        Hendrycks et al., ICML 2022, arXiv:1911.11132.

    >>> max_logit_score(np.array([[1.0, 3.0], [-2.0, -5.0]]))
    array([-3.,  2.])
    """
    score: NDArray[Float] = -class_logits(logits).max(axis=-1)
    return score


def energy_score(logits: NDArray[Float], temperature: float = 1.0) -> NDArray[Float]:
    """Return the free energy of each row, ``-T logsumexp(z / T)``.

    Args:
        logits: [..., classes] float32 or float64, at least one class; other real dtypes count as float64.
        temperature: T, above 0, without unit. Towards 0 the score becomes `max_logit_score`.

    Returns:
        [...] same dtype, in logits.

    Raises:
        ValueError: a logit is NaN, infinite or no real number, there is no class, or the temperature is not a finite
            number above 0.

    Source:
        Liu et al., NeurIPS 2020, arXiv:2010.03759; there the negative of it is called the score.

    >>> energy_score(np.array([[0.0, 0.0], [10.0, 0.0]])).round(4)
    array([ -0.6931, -10.    ])
    """
    array = class_logits(logits)
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature: must be a finite number above 0, got {temperature}")
    # In float64 whatever comes in: in float32 a tiny temperature is 0, and the largest logit would divide 0 by it.
    wide = array.astype(np.float64, copy=False)
    energy = -(wide.max(axis=-1) + temperature * np.log1p(_weight_of_others(wide, temperature)))
    with np.errstate(over="ignore", under="ignore"):
        score: NDArray[Float] = energy.astype(array.dtype)
    return score


def _weight_of_others(logits: NDArray[Float], temperature: float) -> NDArray[Float]:
    """Return ``sum exp((z - max z) / T)`` over all classes but the best, whose own weight is exactly 1."""
    best = logits.argmax(axis=-1)[..., None]
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((logits - np.take_along_axis(logits, best, axis=-1)) / temperature)
    np.put_along_axis(weights, best, 0, axis=-1)
    others: NDArray[Float] = weights.sum(axis=-1)
    return others
