"""Segmentations compared."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import rle_encode_labels
from retinue.runtime.errors import InvalidImage, InvalidInput
from services.matching.instances import InstanceLimits, InstancesProblem, MaskList
from services.matching.label_map import open_label_map
from tests.unit.services.matching.pngs import built, png_of

LIMITS = InstanceLimits(100, 10_000, 100)
TRUE = np.kron(np.array([[0, 9], [4, 4]]), np.ones((4, 4), np.int64))
PREDICTED = np.kron(np.array([[7, 7], [300, 300]]), np.ones((4, 4), np.int64))


def as_map(labels: Any, side: str) -> Any:
    dtype = np.uint16 if labels.max() > 255 else np.uint8
    return open_label_map(png_of(labels.astype(dtype)), 1000, f"{side}.label_map_png")


def as_list(labels: Any, _: str) -> Any:
    return MaskList(rle_encode_labels(labels)[1])


@pytest.mark.parametrize("form_a", [as_map, as_list])
@pytest.mark.parametrize("form_b", [as_map, as_list])
def test_both_forms_get_the_same_figures(form_a: Any, form_b: Any) -> None:
    found = InstancesProblem(form_a(TRUE, "a"), form_b(PREDICTED, "b"), 0.4, LIMITS).solve()
    assert (found.pairing.index_a.tolist(), found.pairing.index_b.tolist()) == ([0, 1], [1, 0])
    assert found.pairing.values.tolist() == [1.0, 0.5]
    assert found.comparison.quality.panoptic_quality == 0.75
    assert found.comparison.dice == 2 * 48 / (48 + 64)
    for values, form, expected in ((found.a_values, form_a, [4, 9]), (found.b_values, form_b, [7, 300])):
        assert values is None if form is as_list else values is not None and values.tolist() == expected


@pytest.mark.parametrize("form", [as_map, as_list])
def test_a_list_of_no_masks_finds_nothing(form: Any) -> None:
    found = InstancesProblem(form(TRUE, "a"), None, 0.5, LIMITS).solve()
    assert (len(found.pairing), found.pairing.unpaired_a.tolist()) == (0, [0, 1])
    assert (found.comparison.quality.panoptic_quality, found.comparison.aggregated_jaccard) == (0.0, 0.0)


def test_large_maps_and_long_lists_are_large_problems() -> None:
    maps = InstancesProblem(as_map(TRUE, "a"), as_list(PREDICTED, "b"), 0.5, LIMITS)
    lists = InstancesProblem(as_list(TRUE, "a"), as_list(PREDICTED, "b"), 0.5, LIMITS)
    assert maps.cell_count == 64
    assert lists.cell_count >= 4
    assert InstancesProblem(None, None, 0.5, LIMITS).cell_count == 0


@pytest.mark.parametrize(("limits", "words"), [((3, 10**6), "limit of 3 pairs"), ((100, 5), "above the limit of 5")])
def test_more_masks_than_may_be_compared_are_refused(limits: tuple[int, int], words: str) -> None:
    problem = InstancesProblem(as_map(TRUE, "a"), as_list(PREDICTED, "b"), 0.5, InstanceLimits(*limits, 100))
    with pytest.raises(InvalidInput, match=words):
        problem.solve()


def test_a_damaged_map_is_told_with_its_side() -> None:
    damaged = open_label_map(built(8, 8, b"few"), 100, "b.label_map_png")
    with pytest.raises(InvalidImage, match=r"b\.label_map_png: .* damaged"):
        InstancesProblem(as_map(TRUE, "a"), damaged, 0.5, LIMITS).solve()


def test_maps_whose_labels_meet_in_too_many_pairs_are_refused() -> None:
    """Small files can hold as many pairs as pixels."""
    problem = InstancesProblem(as_map(TRUE, "a"), as_map(PREDICTED, "b"), 0.5, InstanceLimits(100, 10_000, 2))
    with pytest.raises(InvalidInput, match="b: shares pixels with a in more pairs of labels than the limit of 2"):
        problem.solve()
    assert len(InstancesProblem(problem.a, problem.b, 0.4, InstanceLimits(1, 1, 3)).solve().pairing) == 2
