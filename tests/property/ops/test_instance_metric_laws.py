"""Laws of paired instances, against loops over whole pictures as the papers write them."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retinue.ops import aggregated_jaccard, aggregated_jaccard_plus, match_instances, panoptic_quality
from retinue.ops._label_overlap import label_overlap
from retinue.ops._listed_assignment import heaviest_pairs

Map = NDArray[np.integer[Any]]

small_maps = st.tuples(st.integers(1, 5), st.integers(1, 8)).flatmap(
    lambda shape: st.tuples(*[arrays(np.int32, shape, elements=st.integers(0, 5))] * 2)
)
thresholds = st.sampled_from([0.0, 0.1, 0.2, 1 / 3, 0.5, 0.6, 1.0])


def ids_of(label_map: Map) -> list[int]:
    return [int(label) for label in np.unique(label_map) if label]


def ious_of(true: Map, predicted: Map, criterion: str = "iou") -> NDArray[np.float64]:
    """The overlap of every instance with every other, picture by picture."""
    table = np.zeros((len(ids_of(true)), len(ids_of(predicted))))
    for i, t in enumerate(ids_of(true)):
        for j, p in enumerate(ids_of(predicted)):
            one, other = true == t, predicted == p
            whole = {"iou": one | other, "iot": one, "iop": other}[criterion]
            table[i, j] = (one & other).sum() / whole.sum()
    return table


def test_the_table_of_shared_pixels_is_that_of_numpy() -> None:
    rng = np.random.default_rng(3)
    true, predicted = rng.integers(0, 40, (60, 70)), rng.integers(0, 30, (60, 70))
    overlap = label_overlap(true, predicted)
    table = np.zeros((39, 29), int)
    np.add.at(table, (true[(true > 0) & (predicted > 0)] - 1, predicted[(true > 0) & (predicted > 0)] - 1), 1)
    ours = np.zeros_like(table)
    ours[overlap.true_places, overlap.predicted_places] = overlap.shared
    assert ours.tolist() == table.tolist()
    assert overlap.true_areas.tolist() == np.bincount(true.ravel())[1:].tolist()


@settings(deadline=None)
@given(small_maps, thresholds, st.sampled_from(["iou", "iot", "iop"]))
def test_pairs_are_as_many_as_can_be_and_then_overlap_the_most(
    maps: tuple[Map, Map], threshold: float, criterion: Any
) -> None:
    table = ious_of(*maps, criterion=criterion)
    weights = np.where(table > threshold, 1 + table / (2 * max(1, min(table.shape))), 0)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    match = match_instances(*maps, threshold=threshold, criterion=criterion)
    assert len(match) == (weights[rows, columns] > 0).sum()
    best = table[rows, columns][weights[rows, columns] > 0].sum()
    assert match.overlaps.sum() == pytest.approx(best, abs=1e-12)  # summed in another order
    assert (match.overlaps > threshold).all()


@settings(deadline=None)
@given(small_maps, thresholds)
def test_stardist_makes_as_many_pairs_as_its_costs_do(maps: tuple[Map, Map], threshold: float) -> None:
    table = ious_of(*maps)
    is_enough = (table >= threshold) & (table > 0)
    costs = -is_enough.astype(float) - table / (2 * max(1, min(table.shape)))
    rows, columns = linear_sum_assignment(costs)
    match = match_instances(*maps, threshold=threshold, mode="stardist")
    assert len(match) == is_enough[rows, columns].sum()


@settings(deadline=None)
@given(small_maps, thresholds, st.sampled_from(["panoptic", "stardist", "hovernet"]))
def test_each_instance_is_paired_once_or_left_once(maps: tuple[Map, Map], threshold: float, mode: Any) -> None:
    match = match_instances(*maps, threshold=threshold, mode=mode)
    assert sorted([*match.true_ids.tolist(), *match.unpaired_true_ids.tolist()]) == ids_of(maps[0])
    assert sorted([*match.predicted_ids.tolist(), *match.unpaired_predicted_ids.tolist()]) == ids_of(maps[1])
    table = ious_of(*maps)
    for t, p, overlap in zip(match.true_ids, match.predicted_ids, match.overlaps, strict=True):
        assert overlap == table[ids_of(maps[0]).index(t), ids_of(maps[1]).index(p)]


@settings(deadline=None)
@given(small_maps, st.sampled_from([0.5, 0.6, 0.9]))
def test_panoptic_quality_is_that_of_the_paper(maps: tuple[Map, Map], threshold: float) -> None:
    table = ious_of(*maps)
    paired = table[table > threshold]  # above a half there is no choice
    quality = panoptic_quality(*maps, threshold=threshold)
    false = len(table) + table.shape[1] - 2 * paired.size
    expected = paired.sum() / (paired.size + false / 2) if table.shape != (0, 0) else 1
    assert quality.panoptic_quality == pytest.approx(expected, abs=1e-12)
    assert quality.segmentation_quality * quality.recognition_quality == pytest.approx(expected, abs=1e-12)


def naive_jaccard(true: Map, predicted: Map, partners: dict[int, int]) -> float:
    """Sum over pairs, then the areas of all that was used in none."""
    shared = sum(int(((true == t) & (predicted == p)).sum()) for t, p in partners.items())
    covered = sum(int(((true == t) | (predicted == p)).sum()) for t, p in partners.items())
    covered += sum(int((true == t).sum()) for t in ids_of(true) if t not in partners)
    covered += sum(int((predicted == p).sum()) for p in ids_of(predicted) if p not in partners.values())
    return shared / covered if covered else 1.0


@settings(deadline=None)
@given(small_maps)
def test_aggregated_jaccard_is_that_of_the_paper(maps: tuple[Map, Map]) -> None:
    table, trues, predictions = ious_of(*maps), ids_of(maps[0]), ids_of(maps[1])
    partners = {
        t: predictions[int(row.argmax())] for t, row in zip(trues, table, strict=True) if row.max(initial=0) > 0
    }
    assert aggregated_jaccard(*maps) == naive_jaccard(*maps, partners)


@settings(deadline=None)
@given(small_maps)
def test_aggregated_jaccard_plus_is_one_of_the_best_one_to_one_choices(maps: tuple[Map, Map]) -> None:
    table, trues, predictions = ious_of(*maps), ids_of(maps[0]), ids_of(maps[1])
    size = max(table.shape)
    square = np.zeros((size, size))
    square[: table.shape[0], : table.shape[1]] = table
    choices = list(permutations(range(size)))
    sums = np.array([sum(square[i, j] for i, j in enumerate(choice)) for choice in choices])
    answers = [
        naive_jaccard(*maps, {trues[i]: predictions[j] for i, j in enumerate(choice) if square[i, j] > 0})
        for choice, total in zip(choices, sums, strict=True)
        if total > sums.max() - 1e-9
    ]
    assert any(aggregated_jaccard_plus(*maps) == pytest.approx(answer, abs=1e-12) for answer in answers)


@settings(deadline=None)
@given(small_maps, st.permutations(range(1, 6)), st.integers(1, 2**40))
def test_figures_do_not_see_names_or_transposition(maps: tuple[Map, Map], names: list[int], scale: int) -> None:
    renamed = np.array([0, *names]) * scale
    true, predicted = maps
    for figure in (lambda a, b: panoptic_quality(a, b).panoptic_quality, aggregated_jaccard):
        if figure is aggregated_jaccard and not _is_decided(true, predicted):
            continue
        expected = figure(true, predicted)
        assert figure(renamed[true], renamed[predicted]) == pytest.approx(expected, abs=1e-12)
        assert figure(true.T, predicted.T) == pytest.approx(expected, abs=1e-12)


def _is_decided(true: Map, predicted: Map) -> bool:
    """Whether every instance has one best partner, so that ids decide nothing."""
    table = ious_of(true, predicted)
    return all((row == row.max(initial=0)).sum() == 1 or row.max(initial=0) == 0 for row in table)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_the_heaviest_pairs_weigh_what_scipy_finds(seed: int, rows: int, columns: int, ties: bool) -> None:  # noqa: FBT001
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, (rows, columns)) / 4 if ties else rng.random((rows, columns)) + 0.01
    weights[rng.random((rows, columns)) > rng.random()] = 0
    i, j = np.nonzero(weights)
    chosen = heaviest_pairs(i, j, weights[i, j], rows, columns)
    assert len(set(i[chosen].tolist())) == len(chosen) == len(set(j[chosen].tolist()))
    expected = weights[linear_sum_assignment(weights, maximize=True)].sum()
    assert weights[i, j][chosen].sum() == pytest.approx(expected, abs=1e-12)


def test_the_heaviest_pairs_of_a_large_group_weigh_what_scipy_finds() -> None:
    rng = np.random.default_rng(1)
    weights = np.where(rng.random((150, 130)) < 0.1, rng.random((150, 130)), 0)
    i, j = np.nonzero(weights)
    expected = weights[linear_sum_assignment(weights, maximize=True)].sum()
    assert weights[i, j][heaviest_pairs(i, j, weights[i, j], 150, 130)].sum() == pytest.approx(expected, abs=1e-9)
