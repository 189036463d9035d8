"""Laws of label maps and of the instances in them, against plain references and scikit-image."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure, segmentation

from retinue.ops import (
    connected_components,
    instance_contours,
    instance_properties,
    instance_sums,
    instances_to_label_map,
    label_map_to_instances,
    relabel_sequential,
)
from retinue.ops.instances import fill_holes, remove_small

# scikit-image has no types
table_of_skimage: Callable[..., dict[str, NDArray[Any]]] = measure.regionprops_table
renumbered_by_skimage: Callable[..., tuple[NDArray[Any], Any, Any]] = segmentation.relabel_sequential

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
few_ids = arrays(np.int32, shapes, elements=st.integers(0, 4))
far_ids = arrays(np.int32, shapes, elements=st.sampled_from([0, 1, 5, 10**6, 2**31 - 1]))
label_maps = few_ids | far_ids | arrays(np.int32, st.tuples(st.integers(1, 3), st.integers(60, 140)))
label_maps = label_maps.map(np.abs)
any_label_maps = label_maps.filter(lambda values: bool((values >= 0).all()))  # of the least int32 there is no absolute


@given(any_label_maps)
@settings(deadline=None)
def test_properties_are_those_of_each_mask(label_map: NDArray[np.int32]) -> None:
    found = instance_properties(label_map)
    ids = [int(label) for label in np.unique(label_map) if label]
    assert found.labels.tolist() == ids
    for row, label in enumerate(ids):
        y, x = (label_map == label).nonzero()
        assert found.areas[row] == len(y)
        assert found.boxes[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        np.testing.assert_allclose(found.centroids[row], [x.mean(), y.mean()], rtol=1e-15)  # the order of the sum


@given(any_label_maps, st.integers(0, 3), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_sums_are_those_of_each_mask(label_map: NDArray[np.int32], count: int, dtype: Any, seed: int) -> None:
    layers = np.random.default_rng(seed).normal(size=(count, *label_map.shape)).astype(dtype)
    ids, sums = instance_sums(label_map, layers)
    assert ids.tolist() == [int(label) for label in np.unique(label_map) if label]
    for label, own in zip(ids, sums, strict=True):
        mask = label_map == label
        expected = [*(layer[mask].sum(dtype=np.float64) for layer in layers), mask.sum()]
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-12)  # the order of the sum


@given(few_ids)
@settings(deadline=None, max_examples=30)
def test_properties_are_those_of_skimage(label_map: NDArray[np.int32]) -> None:
    found = instance_properties(label_map)
    table = table_of_skimage(label_map, properties=("label", "area", "centroid", "bbox"))
    assert found.labels.tolist() == table["label"].tolist()
    assert found.areas.tolist() == table["area"].tolist()
    if len(found):  # its table has no column to speak of otherwise
        assert found.boxes.T.tolist() == [table[f"bbox-{place}"].tolist() for place in (1, 0, 3, 2)]
        np.testing.assert_allclose(found.centroids.T, [table["centroid-1"], table["centroid-0"]], rtol=1e-14)


@given(any_label_maps)
@settings(deadline=None)
def test_instances_painted_again_are_the_map_renumbered(label_map: NDArray[np.int32]) -> None:
    renumbered, old_ids = relabel_sequential(label_map)
    pairs = list(label_map_to_instances(label_map))
    assert [label for label, _ in pairs] == old_ids.tolist()
    painted = instances_to_label_map((crop for _, crop in pairs), *label_map.shape)
    assert painted.tolist() == renumbered.tolist()
    assert np.append(0, old_ids)[renumbered].tolist() == label_map.tolist()


@given(few_ids)
@settings(deadline=None)
def test_renumbering_is_that_of_skimage(label_map: NDArray[np.int32]) -> None:
    assert relabel_sequential(label_map)[0].tolist() == renumbered_by_skimage(label_map)[0].tolist()


@given(any_label_maps, st.integers(0, 20))
@settings(deadline=None)
def test_what_stays_is_what_is_large_enough(label_map: NDArray[np.int32], min_area: int) -> None:
    ids, areas = np.unique(label_map, return_counts=True)
    expected = np.where(np.isin(label_map, ids[areas >= min_area]), label_map, 0)
    assert remove_small(label_map, min_area).tolist() == expected.tolist()


def filled(label_map: NDArray[Any]) -> NDArray[Any]:
    """The plain reference: each part of the background by itself."""
    result = label_map.copy()
    parts, count = ndimage.label(label_map == 0)
    for part in range(1, count + 1):
        inside = parts == part
        if not inside[1:-1, 1:-1].any() or inside.sum() > inside[1:-1, 1:-1].sum():
            continue  # at the edge
        around = np.unique(label_map[ndimage.binary_dilation(inside) & ~inside])
        if len(around) == 1:
            result[inside] = around[0]
    return result


@given(few_ids | few_ids.map(lambda values: (values > 1).astype(np.int32)))
@settings(deadline=None, max_examples=200)
def test_holes_go_to_the_only_instance_around_them(label_map: NDArray[np.int32]) -> None:
    assert fill_holes(label_map).tolist() == filled(label_map).tolist()


@given(arrays(np.bool_, shapes, elements=st.sampled_from([True, True, False])))
@settings(deadline=None)
def test_holes_of_a_mask_are_those_of_scipy(mask: NDArray[np.bool_]) -> None:
    assert (fill_holes(mask) > 0).tolist() == ndimage.binary_fill_holes(mask).tolist()


@given(few_ids, st.booleans())
@settings(deadline=None)
def test_contours_filled_are_the_instances_without_their_holes(
    label_map: NDArray[np.int32],
    is_simplified: bool,  # noqa: FBT001 - drawn
) -> None:
    outlines = instance_contours(label_map, is_simplified=is_simplified)
    found = instance_properties(label_map)
    assert len(outlines) == len(found)
    for label, parts in zip(found.labels.tolist(), outlines, strict=True):
        components, count = connected_components(label_map == label, connectivity=8)
        shown = []
        for points in parts:
            picture = np.zeros(label_map.shape, dtype=np.uint8)
            cv2.drawContours(picture, [points], 0, 1, thickness=cv2.FILLED)
            shown.append(picture > 0)
        # A part within a hole of another lies inside that one's outline, and has no outline of its own.
        outer = [place for place in range(1, count + 1) if not lies_within_another(components, place)]
        assert [picture.tolist() for picture in shown] == [
            without_holes(components == place).tolist() for place in outer
        ]


def without_holes(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_fill_holes(part), dtype=np.bool_)


def lies_within_another(components: NDArray[np.int32], place: int) -> bool:
    others = set(np.unique(components).tolist()) - {0, place}
    return any(without_holes(components == other)[components == place].any() for other in others)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), max_size=6))
@settings(deadline=None)
def test_a_pixel_goes_to_the_best_score_and_then_to_the_earliest(drawn: list[tuple[int, int, int]]) -> None:
    full = np.ones((2, 3), dtype=bool)
    scores = [score for _, _, score in drawn]
    label_map = instances_to_label_map([(y, x, full) for y, x, _ in drawn], 6, 7, scores=scores)
    for y, x in np.ndindex(6, 7):
        there = [n for n, (top, left, _) in enumerate(drawn) if top <= y < top + 2 and left <= x < left + 3]
        assert label_map[y, x] == (min(there, key=lambda n: (-scores[n], n)) + 1 if there else 0)
