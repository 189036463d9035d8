"""A method is chosen by what it measures, and its threshold keeps what it should."""

import numpy as np
import pytest

from retinue.ops import OpenMax
from retinue.zoo.recipes.calibration import METHODS, Answers, Method, auroc, choose_method, threshold_that_keeps


@pytest.fixture(scope="module")
def openmax() -> OpenMax:
    clusters = np.array([[9.0, 0.0], [8.0, 0.5], [0.0, 9.0], [0.5, 8.0]])
    return OpenMax.fit(clusters, clusters, [0, 0, 1, 1])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_strangers_higher(method: Method, openmax: OpenMax) -> None:
    known = np.array([[8.5, 0.2], [0.2, 8.5]], dtype=np.float32)
    strange = np.array([[4.0, 3.9], [3.9, 4.0]], dtype=np.float32)
    assert auroc(method, openmax, Answers(known, known), Answers(strange, strange)) == 1


def test_a_clearly_better_method_is_taken_before_the_preferred_one() -> None:
    areas: dict[Method, float] = {"max_softmax": 0.999, "energy": 0.998, "openmax": 0.95}
    assert choose_method(areas, "energy") == "energy"
    assert choose_method(areas, "openmax") == "max_softmax"


@pytest.mark.parametrize("count", [1, 7, 100, 101])
def test_the_threshold_keeps_the_share_and_no_lower_one_does(count: int) -> None:
    scores = np.random.default_rng(count).normal(size=count)
    threshold = threshold_that_keeps(scores, 0.95)
    assert (scores <= threshold).mean() >= 0.95
    assert (scores < threshold).mean() < 0.95
