"""Laws of tiles and of what is stitched from them."""

from typing import Any, Literal

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.ops import plan_tiles, stitch
from retinue.ops.stitching import RowStitcher
from retinue.ops.tiles import TilePlan

edges: st.SearchStrategy[Literal["shift", "pad"]] = st.sampled_from(["shift", "pad"])
blends = st.sampled_from(["crop", "mean", "gaussian"])
sides = st.integers(1, 24)


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    height, width, align = draw(sides), draw(sides), draw(st.integers(1, 5))
    rows, columns = draw(st.integers(1, 12 // align)), draw(st.integers(1, 12 // align))
    overlap = (align * draw(st.integers(0, rows - 1)), align * draw(st.integers(0, columns - 1)))
    return plan_tiles(height, width, (align * rows, align * columns), overlap, edge=draw(edges), align=align)


def size_of(plan: TilePlan) -> tuple[int, int]:
    return plan.rows.size, plan.columns.size


def cut(picture: NDArray[Any], plan: TilePlan) -> list[NDArray[Any]]:
    """Each tile's part of a picture; what lies beyond is filled with something that would show."""
    tiles = []
    for tile in plan:
        margin = [(0, tile.height - tile.valid_height), (0, tile.width - tile.valid_width)]
        tiles.append(np.pad(picture[tile.slices], margin + [(0, 0)] * (picture.ndim - 2), constant_values=77))
    return tiles


def noise(plan: TilePlan, seed: int) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(tile.height, tile.width)) for tile in plan]


@given(plans())
def test_every_pixel_is_covered_and_every_tile_touches_the_picture(plan: TilePlan) -> None:
    covered = np.zeros(size_of(plan), np.bool_)
    for tile in plan:
        assert covered[tile.slices].shape == (tile.valid_height, tile.valid_width)
        assert tile.valid_height >= 1
        assert tile.valid_width >= 1
        covered[tile.slices] = True
    assert covered.all()


@given(plans())
def test_every_tile_begins_at_a_multiple_and_is_cut_only_by_the_picture(plan: TilePlan) -> None:
    for axis in (plan.rows, plan.columns):
        for index in range(axis.count):
            assert axis.start(index) % axis.align == 0
            assert axis.length(index) == axis.tile or axis.start(index) + axis.length(index) == axis.size
            assert axis.tile - axis.length(index) < axis.align


@given(sides, st.integers(1, 12), st.data())
def test_no_plan_of_the_same_overlap_has_fewer_tiles(size: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    count = len(plan_tiles(1, size, (1, tile), (0, overlap)))
    assert count == 1 or tile + (count - 2) * (tile - overlap) < size  # one fewer would not reach the end


@given(plans())
def test_neighbours_share_at_least_the_overlap(plan: TilePlan) -> None:
    for axis in (plan.rows, plan.columns):
        starts = [axis.start(index) for index in range(axis.count)]
        steps = np.diff(starts)
        assert (steps >= 1).all()
        assert (steps <= axis.stride).all()
        assert (steps[:-1] == axis.stride).all()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.data())
def test_shifted_tiles_are_those_of_the_loop_of_sahi(height: int, width: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    expected = []
    y_end = y = 0
    while y_end < height:
        y_end = y + tile
        x_end = x = 0
        while x_end < width:
            x_end = x + tile
            bottom, right = min(y_end, height), min(x_end, width)
            expected.append((max(0, bottom - tile), max(0, right - tile), bottom, right))
            x = x_end - overlap
        y = y_end - overlap
    plan = plan_tiles(height, width, tile, overlap)
    assert [(t.y, t.x, t.y + t.height, t.x + t.width) for t in plan] == expected


@given(plans(), blends, st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32 - 1))
def test_a_picture_that_is_cut_and_stitched_is_itself(plan: TilePlan, blend: Any, dtype: Any, seed: int) -> None:
    picture = np.random.default_rng(seed).normal(size=(*size_of(plan), 2)).astype(dtype)
    result = stitch(plan, cut(picture, plan), blend=blend)
    assert result.dtype == dtype
    assert result.tolist() == picture.tolist()


@given(plans(), st.integers(0, 2**32 - 1))
def test_a_label_map_that_is_cut_and_stitched_is_itself(plan: TilePlan, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2**31, size_of(plan), dtype=np.int32)
    assert stitch(plan, cut(labels, plan)).tolist() == labels.tolist()


@given(plans(), blends, st.integers(0, 2**32 - 1))
def test_rows_that_are_streamed_are_the_rows_of_the_picture(plan: TilePlan, blend: Any, seed: int) -> None:
    outputs = noise(plan, seed)
    stitcher = RowStitcher(plan, blend=blend)
    streamed = np.concatenate([stitcher.add(output) for output in outputs])
    assert streamed.tolist() == stitch(plan, outputs, blend=blend).tolist()


@given(plans(), st.integers(0, 2**32 - 1))
def test_a_crop_takes_each_pixel_from_the_tile_of_the_nearest_centre(plan: TilePlan, seed: int) -> None:
    outputs = noise(plan, seed)
    nearest = []
    for axis in (plan.rows, plan.columns):
        centres = np.array([axis.start(index) + axis.tile / 2 for index in range(axis.count)])
        distances = np.abs(np.arange(axis.size)[:, None] + 0.5 - centres)
        nearest.append(axis.count - 1 - distances[:, ::-1].argmin(axis=1))  # of two equally near the later
    result = stitch(plan, outputs)
    for y, row in enumerate(nearest[0]):
        for x, column in enumerate(nearest[1]):
            place = row * plan.columns.count + column
            tile = plan[int(place)]
            assert result[y, x] == outputs[place][y - tile.y, x - tile.x]


@given(plans(), st.sampled_from(["mean", "gaussian"]), st.integers(0, 2**32 - 1))
def test_a_blend_is_the_weighted_mean_of_a_plain_loop(plan: TilePlan, blend: Any, seed: int) -> None:
    outputs = noise(plan, seed)
    total, weights = np.zeros(size_of(plan)), np.zeros(size_of(plan))
    for tile, output in zip(plan, outputs, strict=True):
        window = np.ones((tile.height, tile.width))
        if blend == "gaussian":
            rows, columns = (
                np.exp(-0.5 * ((np.arange(length) + 0.5 - size / 2) / (size / 8)) ** 2)
                for length, size in ((tile.height, plan.rows.tile), (tile.width, plan.columns.tile))
            )
            window = np.outer(rows, columns)
        valid = np.s_[: tile.valid_height, : tile.valid_width]
        total[tile.slices] += (window * output)[valid]
        weights[tile.slices] += window[valid]
    # A running mean of up to 12 x 12 tiles rounds at each of them.
    np.testing.assert_allclose(stitch(plan, outputs, blend=blend), total / weights, rtol=1e-11, atol=1e-13)


@given(plans(), st.sampled_from(["mean", "gaussian"]), st.integers(0, 2**32 - 1))
def test_a_blend_stays_within_what_the_tiles_say(plan: TilePlan, blend: Any, seed: int) -> None:
    assume(len(plan) > 1)
    outputs = noise(plan, seed)
    least, most = np.full(size_of(plan), np.inf), np.full(size_of(plan), -np.inf)
    for tile, output in zip(plan, outputs, strict=True):
        valid = output[: tile.valid_height, : tile.valid_width]
        least[tile.slices] = np.minimum(least[tile.slices], valid)
        most[tile.slices] = np.maximum(most[tile.slices], valid)
    result = stitch(plan, outputs, blend=blend)
    assert (result >= least - 1e-13).all()  # rounding
    assert (result <= most + 1e-13).all()
