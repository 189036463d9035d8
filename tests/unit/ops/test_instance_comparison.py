"""Everything that is said of two segmentations, from one look at them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from retinue.ops import (
    InstanceComparison,
    Rle,
    aggregated_jaccard,
    aggregated_jaccard_plus,
    compare_label_maps,
    compare_masks,
    dice,
    match_instances,
    panoptic_quality,
    rle_encode,
    rle_encode_labels,
)

EMPTY = np.zeros((3, 4), np.int32)


def random_maps(seed: int) -> tuple[Any, Any]:
    """Return two label maps of blobs with gaps in their ids; the second is the first, disturbed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 9, (6, 7)) * 3
    true = np.kron(coarse, np.ones((5, 5), np.int64))
    predicted = np.roll(true, rng.integers(-2, 3, 2), (0, 1))
    predicted[rng.random(true.shape) < 0.1] = 0
    return true, predicted


def figures(found: InstanceComparison) -> list[float]:
    quality = found.quality
    return [
        quality.panoptic_quality,
        quality.segmentation_quality,
        quality.recognition_quality,
        found.aggregated_jaccard,
        found.aggregated_jaccard_plus,
        found.dice,
    ]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_label_maps_get_the_figures_of_the_single_operations(seed: int, threshold: float) -> None:
    true, predicted = random_maps(seed)
    found = compare_label_maps(true, predicted, threshold=threshold)
    match = match_instances(true, predicted, threshold=threshold)
    quality = panoptic_quality(true, predicted, threshold=threshold)
    assert found.true_ids[found.pairing.index_a].tolist() == match.true_ids.tolist()
    assert found.predicted_ids[found.pairing.index_b].tolist() == match.predicted_ids.tolist()
    assert found.pairing.values.tolist() == match.overlaps.tolist()
    assert found.true_ids[found.pairing.unpaired_a].tolist() == match.unpaired_true_ids.tolist()
    assert found.predicted_ids[found.pairing.unpaired_b].tolist() == match.unpaired_predicted_ids.tolist()
    assert figures(found) == [
        quality.panoptic_quality,
        quality.segmentation_quality,
        quality.recognition_quality,
        aggregated_jaccard(true, predicted),
        aggregated_jaccard_plus(true, predicted),
        dice(true > 0, predicted > 0),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_masks_of_a_label_map_get_its_figures(seed: int) -> None:
    true, predicted = random_maps(seed)
    by_maps = compare_label_maps(true, predicted, threshold=0.2)
    by_masks = compare_masks(rle_encode_labels(true)[1], rle_encode_labels(predicted)[1], threshold=0.2)
    assert figures(by_masks) == figures(by_maps)
    assert by_masks.pairing.index_b.tolist() == by_maps.pairing.index_b.tolist()
    assert by_masks.pairing.values.tolist() == by_maps.pairing.values.tolist()


def test_masks_of_one_list_may_overlap() -> None:
    """Two true masks share their best partner; what is covered twice counts once in dice."""
    lower, upper, whole = (rle_encode(np.arange(8)[None] // part % 2 == one) for part, one in ((4, 0), (4, 1), (8, 0)))
    found = compare_masks([lower, whole], [whole, upper])
    assert found.pairing.index_a.tolist() == [1]
    assert found.pairing.unpaired_b.tolist() == [1]
    assert found.aggregated_jaccard == (4 + 8) / (8 + 8 + 4)
    assert found.dice == 1.0


@pytest.mark.parametrize(
    ("true", "predicted"), [(EMPTY, EMPTY), (EMPTY, EMPTY + 1), (EMPTY + 1, EMPTY)], ids=["neither", "no a", "no b"]
)
def test_figures_of_nothing_are_nan_and_of_one_side_alone_zero(true: Any, predicted: Any) -> None:
    maps = figures(compare_label_maps(true, predicted))
    masks = figures(compare_masks(rle_encode_labels(true)[1], rle_encode_labels(predicted)[1]))
    expected = [0.0 if (true + predicted).any() else np.nan] * 6
    np.testing.assert_array_equal(maps, expected)
    np.testing.assert_array_equal(masks, expected)


def test_a_mask_of_no_pixel_is_an_instance_without_a_partner() -> None:
    nothing = rle_encode(np.zeros((2, 2), np.bool_))
    found = compare_masks([nothing], [nothing], threshold=0.0)
    assert found.pairing.unpaired_a.tolist() == found.pairing.unpaired_b.tolist() == [0]
    assert figures(found)[:3] == [0.0, 0.0, 0.0]
    assert np.isnan(figures(found)[3:]).all()


@pytest.mark.parametrize("masks", [[Rle(1, 2, np.array([2]))], [None]])
def test_masks_of_other_sizes_and_no_masks_are_refused(masks: Sequence[Any]) -> None:
    with pytest.raises(ValueError, match=r"^rle"):
        compare_masks(masks, [Rle(2, 1, np.array([2]))])


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"^threshold: must be"):
        compare_label_maps(EMPTY, EMPTY, threshold=threshold)


def test_more_pairs_of_labels_than_asked_for_are_refused() -> None:
    true, predicted = np.array([[0, 1, 2]]), np.array([[0, 5, 5]])
    assert len(compare_label_maps(true, predicted, most_pairs=3).true_ids) == 2
    with pytest.raises(ValueError, match=r"^predicted_map: must share pixels in at most 2 pairs of labels"):
        compare_label_maps(true, predicted, most_pairs=2)
