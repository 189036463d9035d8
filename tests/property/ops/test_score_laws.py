"""Laws of scores and rankings, against plain references and the ecosystem's own."""

from random import Random
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import special
from sklearn.metrics import roc_auc_score

from retinue.ops import energy_score, max_logit_score, max_softmax_score, roc_auc, sigmoid, softmax, top_k

logits = arrays(np.float64, array_shapes(max_dims=3, max_side=6), elements=st.floats(-200, 200))
# Few distinct values, so that ties are common; widths on both sides of where sorting outright ends.
tied_scores = arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.sampled_from([1, 7, 300])),
    elements=st.integers(-3, 3).map(float),
)


@given(logits, st.data())
def test_softmax_agrees_with_scipy(values: NDArray[Any], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    np.testing.assert_allclose(softmax(values, axis), special.softmax(values, axis), rtol=1e-12, atol=1e-300)


@given(logits, st.integers(-1000, 1000))
def test_softmax_does_not_see_a_shift(values: NDArray[Any], shift: int) -> None:
    # Adding the shift rounds each logit by up to 2e-13, which is the relative error of its score.
    np.testing.assert_allclose(softmax(values + shift), softmax(values), rtol=1e-11, atol=1e-300)


@given(logits)
def test_sigmoid_agrees_with_scipy_and_is_symmetric(values: NDArray[Any]) -> None:
    np.testing.assert_allclose(sigmoid(values), special.expit(values), rtol=1e-13)
    np.testing.assert_allclose(sigmoid(-values), 1 - sigmoid(values), atol=1e-15)


@given(tied_scores, st.integers(0, 301))
def test_top_k_is_a_stable_descending_sort_cut_short(scores: NDArray[np.float32], k: int) -> None:
    reference = [sorted(range(len(row)), key=lambda i: -row[i])[:k] for row in scores.tolist()]
    assert top_k(scores, k).tolist() == reference


@given(tied_scores, st.integers(0, 8))
def test_top_k_of_a_batch_is_top_k_of_each_row(scores: NDArray[np.float32], k: int) -> None:
    assert top_k(scores, k).tolist() == [top_k(row, k).tolist() for row in scores]


@given(logits, st.randoms(use_true_random=False))
def test_open_set_scores_do_not_see_the_order_of_classes(values: NDArray[Any], random: Random) -> None:
    order = random.sample(range(values.shape[-1]), values.shape[-1])
    for score in (max_softmax_score, max_logit_score, energy_score):
        # Sums of exponentials are taken in another order.
        np.testing.assert_allclose(score(values[..., order]), score(values), rtol=1e-12, atol=1e-300)


@given(logits, st.floats(0.1, 10))
def test_energy_agrees_with_scipy(values: NDArray[Any], temperature: float) -> None:
    expected = -temperature * special.logsumexp(values / temperature, axis=-1)
    np.testing.assert_allclose(energy_score(values, temperature), expected, rtol=1e-11, atol=1e-11)  # near 0 it cancels


@given(logits)
def test_energy_lies_between_max_logit_and_max_logit_less_log_classes(values: NDArray[Any]) -> None:
    energy, most = energy_score(values), max_logit_score(values)
    assert (energy <= most).all()
    assert (energy >= most - np.log(values.shape[-1]) - 1e-12).all()  # rounding


two_kinds = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({kind for _, kind in pairs}) == 2
)


@given(two_kinds)
def test_roc_auc_agrees_with_sklearn_and_with_counting_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores, kinds = np.array([s for s, _ in pairs], dtype=np.float64), np.array([k for _, k in pairs])
    wins = [(p > n) + (p == n) / 2 for p in scores[kinds] for n in scores[~kinds]]
    assert roc_auc(scores, kinds) == sum(wins) / len(wins)
    np.testing.assert_allclose(roc_auc(scores, kinds), roc_auc_score(kinds, scores), atol=1e-12)  # it sums trapezia


@given(two_kinds, st.randoms(use_true_random=False))
def test_roc_auc_does_not_see_order_and_mirrors_with_the_kinds(pairs: list[tuple[int, bool]], random: Random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    scores, kinds = np.array([s for s, _ in pairs], dtype=np.float64), np.array([k for _, k in pairs])
    area = roc_auc(scores, kinds)
    assert roc_auc(np.array([s for s, _ in shuffled]), [k for _, k in shuffled]) == area
    assert roc_auc(scores, ~kinds) == roc_auc(-scores, kinds)
    np.testing.assert_allclose(roc_auc(scores, ~kinds), 1 - area, atol=1e-15)
