"""DETR's matcher."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retinue.ops import assign, detr_cost
from retinue.runtime.errors import InvalidInput
from services.matching import detr
from services.matching.detr import DetrProblem


def problem(query_count: int, target_count: int, **weights: float) -> DetrProblem:
    rng = np.random.default_rng(query_count)
    logits = rng.random((query_count, 5))
    given: Any = {"class_weight": 1.0, "box_weight": 5.0, "giou_weight": 2.0} | weights
    return DetrProblem(
        logits / logits.sum(axis=1, keepdims=True),
        rng.uniform(0.1, 0.9, (query_count, 4)),
        rng.integers(0, 5, target_count),
        rng.uniform(0.1, 0.9, (target_count, 4)),
        **given,
    )


@pytest.mark.parametrize(("query_count", "target_count"), [(0, 0), (0, 3), (3, 0), (20, 7), (7, 20)])
def test_pairs_are_those_of_the_cost(query_count: int, target_count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where costs are made part by part."""
    one = problem(query_count, target_count)
    monkeypatch.setattr(detr, "_BLOCK_CELLS", 40)
    pairing = one.solve().pairing
    cost = detr_cost(one.probabilities, one.boxes, one.target_class_ids, one.target_boxes)
    rows, columns = assign(cost)
    assert (pairing.index_a.tolist(), pairing.index_b.tolist()) == (rows.tolist(), columns.tolist())
    assert pairing.values.tolist() == cost[rows, columns].tolist()


def test_weights_count() -> None:
    assert problem(4, 4, class_weight=0.0, box_weight=0.0, giou_weight=0.0).solve().total == 0.0


def test_costs_that_overflow_are_refused() -> None:
    with pytest.raises(InvalidInput, match="box_weight: makes costs that are not finite"):
        replace(problem(2, 2, box_weight=1e308), boxes=np.full((2, 4), 1e3)).solve()
