"""Single things against what plain sums over their pixels say."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from retinue.ops import MaskCrop, SeamMerger
from retinue.runtime.segmentation_manifest import Splitting
from services.segmentation.segmentations import Floats, Found, Thing
from services.segmentation.things import (
    best_first,
    class_sums,
    foreground_of,
    is_wanted,
    split,
    thing_of,
    things_of,
    whole_mask,
)
from tests.unit.services.segmentation.tiny_segmenters import options_with


def some_map(height: int = 9, width: int = 12, count: int = 5, seed: int = 0) -> NDArray[np.int32]:
    labels = np.random.default_rng(seed).integers(0, count + 1, (height, width)).astype(np.int32)
    labels[0, :count] = np.arange(1, count + 1)  # so that none is missing
    return labels


def some_probabilities(height: int = 9, width: int = 12, seed: int = 1) -> Floats:
    values = np.random.default_rng(seed).random((3, height, width)).astype(np.float32)
    return np.asarray(values / values.sum(axis=0), np.float32)


def found_of(labels: NDArray[np.int32], probabilities: Floats) -> Found:
    return Found(labels, class_sums(labels, [probabilities]))


def test_foreground_is_all_but_the_first_class() -> None:
    probabilities = some_probabilities()
    assert_allclose(foreground_of(probabilities), probabilities[1:].sum(axis=0), rtol=1e-6)


def test_sums_are_those_of_each_class_over_each_thing() -> None:
    labels, probabilities = some_map(), some_probabilities()
    sums = class_sums(labels, [probabilities])
    assert sums.shape == (5, 4)
    for label in range(1, 6):
        is_of = labels == label
        assert_allclose(sums[label - 1, :3], [layer[is_of].sum() for layer in probabilities], rtol=1e-6)
        assert sums[label - 1, 3] == is_of.sum()


def test_sums_over_bands_are_those_over_all() -> None:
    labels, probabilities = some_map(), some_probabilities()
    bands = [probabilities[:, top : top + 4] for top in (0, 4, 8)]
    assert_allclose(class_sums(labels, bands), class_sums(labels, [probabilities]), rtol=1e-12)


def test_without_things_there_are_no_sums() -> None:
    nothing = np.zeros((3, 4), np.int32)
    sums = class_sums(nothing, [some_probabilities(3, 4)])
    assert sums.shape == (0, 4)
    assert things_of(Found(nothing, sums), options_with()) == []


def test_a_thing_is_of_the_class_that_has_most_probability_on_it() -> None:
    labels, probabilities = some_map(), some_probabilities()
    things = things_of(found_of(labels, probabilities), options_with())
    assert len(things) == 5
    for thing in things:
        (label,) = np.unique(
            labels[thing.crop.y :, thing.crop.x :][: len(thing.crop.mask), : thing.crop.mask.shape[1]][thing.crop.mask]
        )
        is_of = labels == label
        y, x = is_of.nonzero()
        means = [float(layer[is_of].mean()) for layer in probabilities]
        assert thing.label_id == 1 + int(np.argmax(means[1:]))  # never the background
        assert thing.score == pytest.approx(means[thing.label_id], rel=1e-6)
        assert thing.area == is_of.sum() == thing.crop.mask.sum()
        assert (thing.crop.y, thing.crop.x) == (y.min(), x.min())
        assert thing.crop.mask.shape == (y.max() - y.min() + 1, x.max() - x.min() + 1)
        assert_allclose(thing.centroid_xy, (x.mean() + 0.5, y.mean() + 0.5), rtol=1e-12)


def test_a_thing_that_is_mostly_background_has_the_score_of_its_class() -> None:
    labels = np.ones((1, 2), np.int32)
    probabilities = np.array([[[0.8, 0.8]], [[0.05, 0.05]], [[0.15, 0.15]]], np.float32)
    (thing,) = things_of(found_of(labels, probabilities), options_with())
    assert thing.label_id == 2
    assert thing.score == pytest.approx(0.15)


def test_a_score_does_not_exceed_one() -> None:
    probabilities = np.zeros((2, 1, 3), np.float32)
    probabilities[1] = np.float32(1) + np.float32(1e-7)
    (thing,) = things_of(found_of(np.ones((1, 3), np.int32), probabilities), options_with())
    assert thing.score == 1


def test_things_come_best_first_and_equal_ones_from_top_to_bottom() -> None:
    """Whatever their ids: those follow the seeds, which need not begin in the order of the things."""
    labels = np.array([[0, 0, 2, 3], [1, 0, 0, 0], [1, 4, 0, 0]], np.int32)
    scores = {1: 0.5, 2: 0.5, 3: 0.5, 4: 0.75}
    probabilities = np.zeros((2, 3, 4), np.float32)
    for label, score in scores.items():
        probabilities[1][labels == label] = score
    things = things_of(found_of(labels, probabilities), options_with())
    assert [(thing.crop.y, thing.crop.x) for thing in things] == [(2, 1), (0, 2), (0, 3), (1, 0)]


@pytest.mark.parametrize(
    ("options", "areas"),
    [
        ({}, [3, 2, 1]),
        ({"min_area_px": 2}, [3, 2]),
        ({"min_area_px": 4}, []),
        ({"score_threshold": 0.5}, [3, 2]),
        ({"score_threshold": 0.75}, [3]),
        ({"score_threshold": 1.0}, []),
        ({"max_instances": 2}, [3, 2]),
        ({"max_instances": 1, "min_area_px": 1}, [3]),
    ],
)
def test_options_leave_things_out(options: dict[str, Any], areas: list[int]) -> None:
    labels = np.array([[1, 1, 1, 0, 2, 2, 0, 3]], np.int32)
    probabilities = np.zeros((2, 1, 8), np.float32)
    probabilities[1] = [[0.75, 0.75, 0.75, 0, 0.5, 0.5, 0, 0.25]]
    chosen = options_with(**options)
    things = things_of(found_of(labels, probabilities), chosen)
    assert [thing.area for thing in things] == areas
    assert all(is_wanted(thing, chosen) for thing in things)


def test_one_by_one_the_options_let_the_same_through() -> None:
    thing = Thing(MaskCrop(0, 0, np.ones((2, 2), np.bool_)), 4, (1.0, 1.0), 1, 0.5)
    assert is_wanted(thing, options_with(min_area_px=4, score_threshold=0.5))
    assert not is_wanted(thing, options_with(min_area_px=5))
    assert not is_wanted(thing, options_with(score_threshold=0.6))


def test_the_best_are_chosen_and_equal_ones_by_their_place() -> None:
    def thing(score: float, y: int, x: int) -> Thing:
        return Thing(MaskCrop(y, x, np.ones((1, 1), np.bool_)), 1, (0.5, 0.5), 1, score)

    things = [thing(0.5, 3, 0), thing(0.5, 1, 9), thing(0.9, 8, 8), thing(0.5, 1, 2)]
    best = best_first(things, 3)
    assert [(one.crop.y, one.crop.x) for one in best] == [(8, 8), (1, 2), (1, 9)]


def test_a_thing_put_together_across_a_seam_is_as_if_it_had_been_seen_at_once() -> None:
    """But what both tiles see counts twice for its class and score."""
    labels, probabilities = np.zeros((6, 10), np.int32), some_probabilities(6, 10)
    labels[1:5, 2:9] = 1
    labels[2, 4] = 0
    merger = SeamMerger()

    class Place:
        y = 0

        def __init__(self, x: int) -> None:
            self.x = x

    for x in (0, 4):
        own = labels[:, x : x + 6].copy()
        assert merger.add(Place(x), own, class_sums(own, [probabilities[:, :, x : x + 6]])) == []
    (merged,) = merger.finish()
    thing = thing_of(merged)
    (whole,) = things_of(found_of(labels, probabilities), options_with())
    assert_array_equal(thing.crop.mask, whole.crop.mask)
    assert (thing.crop.y, thing.crop.x, thing.area) == (whole.crop.y, whole.crop.x, whole.area)
    assert_allclose(thing.centroid_xy, whole.centroid_xy, rtol=1e-12)
    twice = np.concatenate([probabilities[:, :, :6], probabilities[:, :, 4:]], axis=2)
    (expected,) = things_of(found_of(np.concatenate([labels[:, :6], labels[:, 4:]], axis=1), twice), options_with())
    assert thing.label_id == expected.label_id
    assert thing.score == pytest.approx(expected.score)


def test_a_mask_in_its_own_frame_begins_at_zero() -> None:
    crop = MaskCrop(5, 7, np.ones((2, 3), np.bool_))
    own = whole_mask(crop)
    assert (own.y, own.x) == (0, 0)
    assert own.mask is crop.mask


def test_splitting_is_done_as_the_manifest_says() -> None:
    foreground = np.array([[0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.7]], np.float32)
    guide = np.array([[0.0, 0.1, 0.8, 0.1, 0.0, 0.0, 0.0]], np.float32)
    manifest = Splitting(method="boundary", guide="guide", min_marker_area_px=1, min_area_px=99)
    assert split(foreground, guide, manifest, 0).tolist() == [[1, 1, 1, 2, 2, 0, 3]]
    assert split(foreground, guide, manifest, 2).tolist() == [[1, 1, 1, 2, 2, 0, 0]]
    changed = manifest.model_copy(update={"interior_threshold": 0.8, "guide_threshold": 0.9})
    assert split(foreground, guide, changed, 0).tolist() == [[1, 1, 1, 1, 1, 0, 0]]
    assert split(foreground, guide, manifest.model_copy(update={"min_marker_area_px": 2}), 0).tolist() == [
        [1, 1, 1, 2, 2, 0, 0]
    ]


def test_a_distance_needs_no_guide() -> None:
    foreground = np.zeros((9, 20), np.float32)
    foreground[1:8, 1:8] = foreground[1:8, 11:18] = 1
    foreground[4, 8:11] = 1
    labels = split(foreground, None, Splitting(method="distance"), 0)
    assert labels.max() == 2
    assert labels[4, 3] != labels[4, 14]
