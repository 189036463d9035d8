"""Laws of components and floods, against plain references and scikit-image."""

import heapq
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure, morphology, segmentation

from retinue.ops import connected_components
from retinue.ops.flooding import deep_minima, watershed

# scikit-image has no types
label: Callable[..., NDArray[np.int64]] = measure.label
h_maxima: Callable[..., NDArray[np.uint8]] = morphology.h_maxima
watershed_of_skimage: Callable[..., NDArray[np.int32]] = segmentation.watershed

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
# Wide enough for runs that cross the words of 64 in which starts are looked for.
wide_masks = arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(60, 140)))
masks = arrays(np.bool_, shapes) | wide_masks
label_maps = arrays(np.int32, shapes, elements=st.integers(0, 3))
connectivities: st.SearchStrategy[Literal[4, 8]] = st.sampled_from([4, 8])


@given(masks, connectivities)
@settings(deadline=None)
def test_components_are_those_of_scipy_in_the_same_order(mask: NDArray[np.bool_], connectivity: Literal[4, 8]) -> None:
    labels, count = connected_components(mask, connectivity=connectivity)
    expected, expected_count = ndimage.label(mask, np.ones((3, 3)) if connectivity == 8 else None)
    assert labels.tolist() == expected.tolist()
    assert count == expected_count


@given(label_maps, connectivities)
@settings(deadline=None)
def test_components_of_a_label_map_are_those_of_skimage(
    label_map: NDArray[np.int32], connectivity: Literal[4, 8]
) -> None:
    labels, count = connected_components(label_map, connectivity=connectivity)
    expected = label(label_map, connectivity=connectivity // 4)
    assert labels.tolist() == expected.tolist()
    assert count == expected.max()


@st.composite
def landscapes(draw: st.DrawFn, *, ties: bool) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.bool_]]:
    shape = draw(shapes)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    if ties:
        elevation = draw(arrays(dtype, shape, elements=st.integers(-2, 2).map(float)))
    else:
        heights = draw(st.permutations(range(shape[0] * shape[1])))
        elevation = (np.array(heights, dtype=dtype).reshape(shape) - 9) / 7
    markers = draw(arrays(np.int64, shape, elements=st.sampled_from([0, 0, 0, 0, 1, 2, 3])))
    return elevation, markers, draw(arrays(np.bool_, shape, elements=st.sampled_from([True, True, True, False])))


def flooded(
    elevation: NDArray[Any], markers: NDArray[np.int64], mask: NDArray[np.bool_], connectivity: int
) -> NDArray[np.int64]:
    """The plain reference: one heap by height and by age."""
    steps = [(-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)][:connectivity]
    labels = np.where(mask, markers, 0)
    heap = [
        (float(elevation[y, x]), age, int(y), int(x)) for age, (y, x) in enumerate(zip(*labels.nonzero(), strict=True))
    ]
    heapq.heapify(heap)
    age = len(heap)
    while heap:
        level, _, y, x = heapq.heappop(heap)
        for down, right in steps:
            to_y, to_x = y + down, x + right
            if not (0 <= to_y < labels.shape[0] and 0 <= to_x < labels.shape[1]):
                continue
            if mask[to_y, to_x] and not labels[to_y, to_x]:
                labels[to_y, to_x] = labels[y, x]
                age += 1
                heapq.heappush(heap, (max(level, float(elevation[to_y, to_x])), age, to_y, to_x))
    return labels


@given(landscapes(ties=True) | landscapes(ties=False), connectivities)
@settings(deadline=None)
def test_a_watershed_is_a_priority_flood(
    landscape: tuple[NDArray[Any], NDArray[np.int64], NDArray[np.bool_]], connectivity: Literal[4, 8]
) -> None:
    elevation, markers, mask = landscape
    labels = watershed(elevation, markers, mask=mask, connectivity=connectivity)
    assert labels.tolist() == flooded(elevation, markers, mask, connectivity).tolist()


@given(landscapes(ties=False), connectivities)
@settings(deadline=None)
def test_a_watershed_is_that_of_skimage_where_heights_differ(
    landscape: tuple[NDArray[Any], NDArray[np.int64], NDArray[np.bool_]], connectivity: Literal[4, 8]
) -> None:
    elevation, markers, mask = landscape
    expected = watershed_of_skimage(elevation, markers, mask=mask, connectivity=connectivity // 4)
    assert watershed(elevation, markers, mask=mask, connectivity=connectivity).tolist() == expected.tolist()


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_a_watershed_of_a_large_noisy_picture_is_that_of_skimage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    elevation = rng.permutation(100 * 130).reshape(100, 130).astype(np.float32) - 5000
    markers = rng.integers(1, 50, (100, 130)) * (rng.random((100, 130)) < 0.02)
    mask = ndimage.gaussian_filter(rng.random((100, 130)), 2) > 0.49
    expected = watershed_of_skimage(elevation, markers, mask=mask)
    assert (watershed(elevation, markers, mask=mask) == expected).all()


@given(landscapes(ties=True))
@settings(deadline=None)
def test_labels_stay_within_their_components(
    landscape: tuple[NDArray[Any], NDArray[np.int64], NDArray[np.bool_]],
) -> None:
    elevation, markers, mask = landscape
    labels = watershed(elevation, markers, mask=mask)
    components, _ = connected_components(mask, connectivity=4)
    marked = {(int(part), int(marker)) for part, marker in zip(components[mask], markers[mask], strict=True) if marker}
    assert set(zip(components[labels > 0].tolist(), labels[labels > 0].tolist(), strict=True)) <= marked
    assert ((labels > 0) == np.isin(components, [part for part, _ in marked])).all()


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.permutations(range(shape[0] * shape[1])))), st.data())
@settings(deadline=None)
def test_deep_minima_are_as_many_as_skimage_finds(
    drawn: tuple[tuple[int, int], list[int]], data: st.DataObject
) -> None:
    shape, heights = drawn
    elevation = np.array(heights).reshape(shape)
    depth = data.draw(st.integers(1, max(1, elevation.size // 3)))
    peaks = label(h_maxima(elevation.max() - elevation, depth), connectivity=2).max()
    markers = deep_minima(elevation.astype(np.float64), np.ones(shape, dtype=bool), float(depth))
    assert markers.max() == max(1, peaks)  # it finds none where the whole picture is shallower
    assert elevation[markers > 0].min() == 0
