"""Laws of OpenMax."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retinue.ops import OpenMax

seeds = st.integers(0, 2**32 - 1)


def _fitted(rng: np.random.Generator) -> OpenMax:
    labels = np.arange(60) % 3
    activations = rng.normal(0, 1, (60, 5))
    activations[np.arange(60), labels] += 6
    return OpenMax.fit(activations, activations[:, :3], labels, alpha=2)


@given(seeds)
def test_probabilities_are_a_distribution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = _fitted(rng).probabilities(rng.normal(0, 10, (9, 5)), rng.normal(0, 10, (9, 3)))
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-14)  # roundings


@given(seeds)
def test_batched_equals_single(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fitted, activations, logits = _fitted(rng), rng.normal(0, 10, (9, 5)), rng.normal(0, 10, (9, 3))
    single = [fitted.score(a[None], z[None])[0] for a, z in zip(activations, logits, strict=True)]
    # Sums of rows may be taken in another order by the machine's vector units.
    np.testing.assert_allclose(fitted.score(activations, logits), single, rtol=1e-12)


@given(seeds)
def test_logits_keep_their_sum(seed: int) -> None:
    """Mass is moved to the unknown, none is lost: log-probabilities sum to the logits less K + 1 normalisers."""
    rng = np.random.default_rng(seed)
    fitted, activations, logits = _fitted(rng), rng.normal(0, 3, (9, 5)), rng.normal(0, 3, (9, 3))
    revised = np.log(fitted.probabilities(activations, logits))
    # The class of the lowest logit is not revised (alpha 2 of 3), so it gives the normaliser away.
    lowest = logits.argmin(axis=1)[:, None]
    normaliser = np.take_along_axis(logits, lowest, 1) - np.take_along_axis(revised[:, :3], lowest, 1)
    np.testing.assert_allclose((revised + normaliser).sum(axis=1), logits.sum(axis=1), atol=1e-9)  # logs of exps


@given(seeds)
def test_the_order_of_samples_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    activations = rng.normal(0, 1, (30, 4))
    logits = activations[:, :2]
    labels = logits.argmax(axis=1)
    order = rng.permutation(30)
    one = OpenMax.fit(activations, logits, labels, tail_size=6)
    other = OpenMax.fit(activations[order], logits[order], labels[order], tail_size=6)
    for name in ("means", "shifts", "scales", "shapes"):
        # Means are summed in another order; the fit carries that on.
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-7, atol=1e-9)
