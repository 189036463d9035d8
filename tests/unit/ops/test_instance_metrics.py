"""Instances of two label maps are paired, and the pairing is judged."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import (
    aggregated_jaccard,
    aggregated_jaccard_plus,
    match_instances,
    panoptic_quality,
)
from retinue.ops._label_overlap import label_overlap
from retinue.ops.instance_metrics import PanopticQuality

TRUE = np.array([[1, 1, 1, 0, 4, 4, 4, 0, 0, 9]])
PREDICTED = np.array([[7, 7, 7, 7, 0, 0, 2, 2, 2, 0]])
EMPTY = np.zeros((2, 3), int)


def pairs(true: Any, predicted: Any, **options: Any) -> list[tuple[int, int]]:
    match = match_instances(true, predicted, **options)
    return list(zip(match.true_ids.tolist(), match.predicted_ids.tolist(), strict=True))


def test_pairs_and_those_without_a_partner() -> None:
    match = match_instances(TRUE, PREDICTED)
    assert (match.true_ids.tolist(), match.predicted_ids.tolist(), match.overlaps.tolist()) == ([1], [7], [0.75])
    assert (match.unpaired_true_ids.tolist(), match.unpaired_predicted_ids.tolist()) == ([4, 9], [2])
    assert len(match) == 1


def test_overlap_must_exceed_the_threshold_and_with_stardist_reach_it() -> None:
    assert pairs(TRUE, PREDICTED, threshold=0.75) == []
    assert pairs(TRUE, PREDICTED, threshold=0.75, mode="stardist") == [(1, 7)]


def test_criteria_measure_by_either_area_or_both() -> None:
    for criterion, expected in (("iou", 0.75), ("iot", 1.0), ("iop", 0.75)):
        match = match_instances(TRUE, PREDICTED, criterion=criterion, threshold=0.7)  # type: ignore[arg-type]
        assert match.overlaps.tolist() == [expected]


def test_a_low_threshold_makes_as_many_pairs_as_can_be() -> None:
    """The best single pair stands in the way of two; HoVer-Net's sum of overlaps keeps it, and then drops the other."""
    # Instance 1 covers 0..8, 2 covers 9..18; 5 covers 0..1 (weak), 6 covers 2..18.
    true, predicted = np.zeros((1, 30), int), np.zeros((1, 30), int)
    true[0, :9], true[0, 9:19] = 1, 2
    predicted[0, :2], predicted[0, 2:14] = 5, 6
    # IoU: (1, 5) 2/9, (1, 6) 7/14, (2, 6) 5/17.
    assert pairs(true, predicted, threshold=0.2) == [(1, 5), (2, 6)]
    true[0, 15:30] = 2
    # Now (2, 6) is 5/28 with instance 2 longer: the sum of both, 2/9 + 5/28, is below 7/14.
    assert pairs(true, predicted, threshold=0.15) == [(1, 5), (2, 6)]
    assert pairs(true, predicted, threshold=0.15, mode="hovernet") == [(1, 6)]


def test_stardist_weighs_overlaps_below_the_threshold_too() -> None:
    true, predicted = np.zeros((1, 41), int), np.zeros((1, 41), int)
    true[0, 6:26], true[0, 26:] = 1, 2
    predicted[0, :15], predicted[0, 16:31] = 6, 5
    # IoU: (1, 5) 10/25, (1, 6) 9/26, (2, 5) 5/25: at 0.3 there can be one pair, and the third speaks for (1, 6).
    assert pairs(true, predicted, threshold=0.3) == [(1, 5)]
    assert pairs(true, predicted, threshold=0.3, mode="stardist") == [(1, 6)]


def test_with_one_pair_for_all_thresholds_modes_agree() -> None:
    for mode in ("panoptic", "stardist", "hovernet"):
        assert pairs(TRUE, PREDICTED, mode=mode, threshold=0.1) == [(1, 7), (4, 2)]


def test_instances_that_share_nothing_are_never_paired() -> None:
    assert pairs([[1, 0]], [[0, 1]], threshold=0, mode="stardist") == []


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_any_integers_will_do(dtype: Any) -> None:
    mask = np.array([[0, 1], [1, 1]], dtype)
    assert pairs(mask, mask.astype(np.int32)) == [(1, 1)]


def test_ids_may_be_huge_and_need_no_order_nor_a_background() -> None:
    true = np.array([[2**62, 5], [2**62, 5]])
    predicted = np.array([[3, 2**63 - 1], [3, 2**63 - 1]])
    assert pairs(true, predicted) == [(5, 2**63 - 1), (2**62, 3)]


def test_maps_may_have_any_layout_and_shape() -> None:
    true = np.asfortranarray(np.arange(24).reshape(2, 3, 4) // 5)[:, ::-1]
    true.flags.writeable = False
    assert pairs(true, true.copy()) == [(k, k) for k in range(1, 5)]


def test_many_pairs_are_counted_as_few_are() -> None:
    """The table of pairs grows several times, and every pixel is an instance of its own."""
    rng = np.random.default_rng(0)
    true, predicted = rng.permutation(5000).reshape(50, 100), rng.integers(0, 10**12, (50, 100))
    overlap = label_overlap(true, predicted)
    assert overlap.true_ids.tolist() == list(range(1, 5000))
    assert overlap.predicted_areas.tolist() == [1] * 5000
    assert len(overlap.shared) == 4999


def test_empty_maps_have_no_pairs() -> None:
    for shape in ((0, 0), (0, 5), (2, 3)):
        match = match_instances(np.zeros(shape, int), np.zeros(shape, int))
        assert (len(match), match.unpaired_true_ids.size) == (0, 0)


def test_panoptic_quality_is_the_product_of_its_parts() -> None:
    quality = panoptic_quality(TRUE, PREDICTED)
    assert quality == PanopticQuality(0.75, 1, 1, 2)
    assert (quality.segmentation_quality, quality.recognition_quality) == (0.75, 1 / 2.5)
    assert quality.panoptic_quality == pytest.approx(0.75 / 2.5)


def test_qualities_of_pictures_add_up() -> None:
    total = sum((panoptic_quality(TRUE, PREDICTED) for _ in range(2)), panoptic_quality(TRUE, TRUE))
    assert total == PanopticQuality(4.5, 5, 2, 4)


def test_instances_without_any_pair_have_quality_zero() -> None:
    quality = panoptic_quality([[1]], [[0]])
    assert (quality.panoptic_quality, quality.segmentation_quality, quality.recognition_quality) == (0, 0, 0)


def test_without_any_instance_figures_are_what_was_asked_for() -> None:
    assert panoptic_quality(EMPTY, EMPTY).panoptic_quality == 1
    assert panoptic_quality(EMPTY, EMPTY, empty=0).segmentation_quality == 0
    assert aggregated_jaccard(EMPTY, EMPTY) == 1
    assert aggregated_jaccard_plus(EMPTY, EMPTY, empty=0.5) == 0.5


def test_a_quality_cannot_be_added_to_a_number() -> None:
    with pytest.raises(TypeError):
        panoptic_quality(EMPTY, EMPTY) + 1  # type: ignore[operator]


def test_one_prediction_may_serve_two_instances_but_not_with_plus() -> None:
    true, predicted = [[1, 1, 2, 2]], [[1, 1, 1, 0]]
    assert aggregated_jaccard(true, predicted) == 3 / 7  # (2 + 1) / (3 + 4)
    assert aggregated_jaccard_plus(true, predicted) == 2 / 5  # 2 / (3 + 2)


def test_of_equal_overlaps_the_lowest_id_is_the_partner() -> None:
    # Instance 1 shares a third with 3 and with 8; the other, which is left, adds its area to the union.
    true = [[1, 1, 1, 1, 0, 0, 0]]
    predicted = [[8, 8, 3, 3, 0, 0, 0]]
    assert aggregated_jaccard(true, predicted) == 2 / (4 + 2)


@pytest.mark.parametrize("figure", [aggregated_jaccard, aggregated_jaccard_plus])
def test_predictions_without_a_partner_add_to_the_union(figure: Any) -> None:
    assert figure([[1, 0, 0]], [[1, 5, 5]]) == 1 / 3


@pytest.mark.parametrize("figure", [match_instances, panoptic_quality, aggregated_jaccard, aggregated_jaccard_plus])
@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([[1]], [[1, 2]], r"predicted_map: must be \(1, 1\) like true_map"),
        ([[-1]], [[1]], "true_map: ids must be at least 0, got -1"),
        ([[1]], [[-1]], "predicted_map: ids must be at least 0, got -1"),
        ([[0.5]], [[1]], "true_map: must be an array of integers"),
        (1, 1, "true_map: must be an array of integers"),
        ([[1]], np.array([[2**63]], np.uint64), "predicted_map: ids must fit int64"),
    ],
)
def test_wrong_maps_are_refused_by_name(figure: Any, true: Any, predicted: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        figure(true, predicted)


@pytest.mark.parametrize(
    "wrong", [{"threshold": -0.1}, {"threshold": 1.1}, {"threshold": np.nan}, {"criterion": "dice"}, {"mode": "best"}]
)
def test_wrong_options_are_refused_by_name(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: must be"):
        match_instances(TRUE, PREDICTED, **wrong)


def test_a_wrong_empty_is_refused() -> None:
    for figure in (panoptic_quality, aggregated_jaccard, aggregated_jaccard_plus):
        with pytest.raises(ValueError, match=r"^empty: must be"):
            figure(TRUE, PREDICTED, empty=np.inf)
