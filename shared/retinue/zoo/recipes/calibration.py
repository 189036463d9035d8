"""Which open-set score a model gets, and from where on a picture counts as unknown: measured, then chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops import OpenMax, energy_score, max_softmax_score, roc_auc

Method = Literal["max_softmax", "energy", "openmax"]

KEPT = 0.95
"""Share of known pictures of the validation part that must stay known."""
EQUAL_AUROC = 0.005
"""Areas this near each other do not speak for one method over another."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of n pictures."""

    logits: NDArray[np.float32]
    """(n, classes)."""
    embeddings: NDArray[np.float32]
    """(n, embedding size)."""

    def scores(self, method: Method, openmax: OpenMax) -> NDArray[np.floating[Any]]:
        """Return how strange each picture is by a method, (n,)."""
        by_method: Mapping[Method, Callable[[], NDArray[np.floating[Any]]]] = {
            "max_softmax": lambda: max_softmax_score(self.logits),
            "energy": lambda: energy_score(self.logits),
            "openmax": lambda: openmax.score(self.embeddings, self.logits),
        }
        return by_method[method]()


METHODS: tuple[Method, ...] = ("max_softmax", "energy", "openmax")


def auroc(method: Method, openmax: OpenMax, known: Answers, strangers: Answers) -> float:
    """Return how often a stranger scores above a known picture."""
    scores = [answers.scores(method, openmax) for answers in (known, strangers)]
    return roc_auc(np.concatenate(scores), np.repeat([False, True], [len(part) for part in scores]))


def choose_method(areas: Mapping[Method, float], preferred: Method) -> Method:
    """Return the preferred method unless another has an area larger by more than `EQUAL_AUROC`; then the best one.

    >>> choose_method({"max_softmax": 0.990, "energy": 0.994, "openmax": 0.9}, preferred="max_softmax")
    'max_softmax'
    >>> choose_method({"max_softmax": 0.990, "energy": 0.994, "openmax": 0.9}, preferred="openmax")
    'energy'
    """
    best = max(areas, key=lambda method: areas[method])
    return best if areas[best] - areas[preferred] > EQUAL_AUROC else preferred


def threshold_that_keeps(scores: NDArray[np.floating[Any]], share: float = KEPT) -> float:
    """Return the smallest of the scores that at least this share of them does not exceed.

    >>> threshold_that_keeps(np.arange(1.0, 101.0), 0.95)
    95.0
    """
    return float(np.quantile(scores, share, method="inverted_cdf"))
