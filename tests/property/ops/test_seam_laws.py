"""Laws of merging: cut into tiles and put together again, a picture has the instances that it had."""

from collections.abc import Iterator
from random import Random
from typing import Literal, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from retinue.ops import connected_components, instances_to_label_map, merge_across_seams


class Place(NamedTuple):
    y: int
    x: int


class Cut(NamedTuple):
    height: int
    width: int
    overlap: int


cuts = st.integers(1, 4).flatmap(
    lambda overlap: st.builds(Cut, st.integers(overlap + 1, 12), st.integers(overlap + 1, 12), st.just(overlap))
)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
connectivities: st.SearchStrategy[Literal[4, 8]] = st.sampled_from([4, 8])


def cut_up(
    mask: NDArray[np.bool_], cut: Cut, connectivity: Literal[4, 8]
) -> Iterator[list[tuple[Place, NDArray[np.int32]]]]:
    """Yield the rows of tiles of a mask, with the components of each tile."""
    for y in range(0, max(1, mask.shape[0] - cut.overlap), cut.height - cut.overlap):
        row = []
        for x in range(0, max(1, mask.shape[1] - cut.overlap), cut.width - cut.overlap):
            tile = mask[y : y + cut.height, x : x + cut.width]
            row.append((Place(y, x), connected_components(tile, connectivity=connectivity)[0]))
        yield row


@given(masks, cuts, connectivities)
@settings(deadline=None)
def test_components_of_tiles_become_those_of_the_picture(
    mask: NDArray[np.bool_], cut: Cut, connectivity: Literal[4, 8]
) -> None:
    tiles = [tile for row in cut_up(mask, cut, connectivity) for tile in row]
    found = list(merge_across_seams(tiles, ios_threshold=0))
    label_map, count = connected_components(mask, connectivity=connectivity)
    assert [instance.label for instance in found] == list(range(1, count + 1))
    merged = instances_to_label_map([instance.crop() for instance in found], *mask.shape)
    assert ((merged > 0) == mask).all()
    assert len(set(zip(label_map[mask].tolist(), merged[mask].tolist(), strict=True))) == count
    assert sum(instance.area for instance in found) == mask.sum()


@given(st.integers(0, 2**32 - 1), cuts.filter(lambda cut: min(cut.height, cut.width) > cut.overlap + 3))
@settings(deadline=None, max_examples=30)
def test_convex_blobs_merge_at_any_threshold(seed: int, cut: Cut) -> None:
    """What is cut to a tile stays in one piece, so that two tiles see the same of it in the band."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((30, 30), dtype=bool)
    for top, left in rng.integers(0, 4, (16, 2)) + np.indices((4, 4)).reshape(2, -1).T * 7:
        mask[top : top + rng.integers(1, 4), left : left + rng.integers(1, 4)] = True  # apart: 7 to the next
    tiles = [tile for row in cut_up(mask, cut, 8) for tile in row]
    found = merge_across_seams(tiles, ios_threshold=1)
    label_map, count = connected_components(mask, connectivity=8)
    merged = instances_to_label_map([instance.crop() for instance in found], *mask.shape)
    assert len(set(zip(label_map[mask].tolist(), merged[mask].tolist(), strict=True))) == count == merged.max()


@given(masks, cuts, st.randoms(use_true_random=False), st.sampled_from([0, 0.3, 1]))
@settings(deadline=None)
def test_the_order_within_a_row_does_not_matter(
    mask: NDArray[np.bool_], cut: Cut, random: Random, threshold: float
) -> None:
    rows = list(cut_up(mask, cut, 4))
    shuffled = [tile for row in rows for tile in random.sample(row, len(row))]
    one = merge_across_seams([tile for row in rows for tile in row], ios_threshold=threshold)
    other = merge_across_seams(shuffled, ios_threshold=threshold)
    assert [(found.label, found.runs.tolist()) for found in one] == [
        (found.label, found.runs.tolist()) for found in other
    ]


@given(masks, cuts)
@settings(deadline=None)
def test_what_is_given_out_early_ends_above_the_row_that_comes(mask: NDArray[np.bool_], cut: Cut) -> None:
    rows = list(cut_up(mask, cut, 4))
    reached = [0]

    def walked() -> Iterator[tuple[Place, NDArray[np.int32]]]:
        for row in rows:
            for tile in row:
                reached[0] = tile[0].y
                yield tile
        reached[0] = mask.shape[0]

    for found in merge_across_seams(walked(), ios_threshold=0):
        assert found.box[3] <= reached[0]
        # Not one row later than it could be.
        assert not any(found.box[3] <= row[0][0].y < reached[0] for row in rows)
