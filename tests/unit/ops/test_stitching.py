"""Outputs of tiles become one picture: seams, means, and what is refused."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import plan_tiles, stitch
from retinue.ops.stitching import RowStitcher

TWO = plan_tiles(1, 6, tile=(1, 4), overlap=(0, 2))  # columns 0 to 4 and 2 to 6


def constant(*values: float, shape: tuple[int, ...] = (1, 4), dtype: Any = np.float64) -> list[NDArray[Any]]:
    return [np.full(shape, value, dtype) for value in values]


def test_a_crop_has_its_seam_in_the_middle_of_the_overlap() -> None:
    assert stitch(TWO, constant(1, 2)).tolist() == [[1, 1, 1, 2, 2, 2]]


def test_a_pixel_half_way_belongs_to_the_later_tile() -> None:
    plan = plan_tiles(1, 5, tile=(1, 4), overlap=(0, 3))
    assert stitch(plan, constant(1, 2)).tolist() == [[1, 1, 2, 2, 2]]


def test_a_crop_keeps_the_middle_of_each_of_many_tiles() -> None:
    """As hover_net does: a window of 8, of which the middle 4 are kept."""
    plan = plan_tiles(16, 16, tile=8, overlap=4)
    labels = stitch(plan, [np.full((8, 8), place) for place in range(len(plan))])
    assert labels[6].tolist() == [3] * 6 + [4] * 4 + [5] * 6
    assert labels[:, 6].tolist() == [1] * 6 + [4] * 4 + [7] * 6


def test_a_mean_counts_every_tile_alike() -> None:
    assert stitch(TWO, constant(1, 2), blend="mean").tolist() == [[1, 1, 1.5, 1.5, 2, 2]]


def test_a_mean_of_four_counts_every_tile_alike() -> None:
    plan = plan_tiles(3, 3, tile=2, overlap=1)
    picture = stitch(plan, constant(0, 4, 8, 24, shape=(2, 2)), blend="mean")
    assert picture.tolist() == [[0, 2, 4], [4, 9, 14], [8, 16, 24]]


def test_a_gaussian_weighs_by_the_distance_to_the_centre() -> None:
    picture = stitch(TWO, constant(0, 1), blend="gaussian")
    near, far = (np.exp(-0.5 * (offset / 4 / 0.125) ** 2) for offset in (0.5, 1.5))
    np.testing.assert_allclose(picture, [[0, 0, far / (near + far), near / (near + far), 1, 1]], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16, np.float32, np.dtype("U3")])
def test_a_crop_keeps_any_dtype(dtype: Any) -> None:
    assert stitch(TWO, constant(1, 0, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "result"), [(np.float16, np.float64), (np.float32, np.float32), (np.float64, np.float64)]
)
def test_means_are_float32_or_float64(dtype: Any, result: Any) -> None:
    assert stitch(TWO, constant(1, 2, dtype=dtype), blend="mean").dtype == result


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.complex128])
@pytest.mark.parametrize("blend", ["mean", "gaussian"])
def test_labels_are_not_averaged(dtype: Any, blend: Any) -> None:
    with pytest.raises(ValueError, match=r"outputs\[0\]: must be floats to be averaged, got dtype .* use blend='crop'"):
        stitch(TWO, constant(1, 2, dtype=dtype), blend=blend)


@pytest.mark.parametrize("blend", ["crop", "mean", "gaussian"])
def test_channels_come_last_and_are_stitched_each_by_itself(blend: Any) -> None:
    plan = plan_tiles(5, 7, tile=4, overlap=2)
    outputs = [np.random.default_rng(place).normal(size=(4, 4, 3)) for place in range(len(plan))]
    picture = stitch(plan, outputs, blend=blend)
    assert picture.shape == (5, 7, 3)
    for channel in range(3):
        alone = stitch(plan, [output[..., channel] for output in outputs], blend=blend)
        assert picture[..., channel].tolist() == alone.tolist()


def test_what_lies_beyond_the_picture_is_left_out() -> None:
    plan = plan_tiles(1, 5, tile=(1, 4), overlap=(0, 2), edge="pad")
    assert stitch(plan, constant(1, 2), blend="mean").tolist() == [[1, 1, 1.5, 1.5, 2]]


@pytest.mark.parametrize("blend", ["crop", "mean", "gaussian"])
def test_a_last_tile_that_is_smaller_fills_the_rest(blend: Any) -> None:
    plan = plan_tiles(1, 7, tile=(2, 4), overlap=(0, 2), align=2)
    assert [tile.width for tile in plan] == [4, 4, 3]
    with pytest.raises(ValueError, match=r"outputs\[2\]: must be \(1, 3\)"):
        stitch(plan, constant(1, 1, 1))
    outputs = [np.ones((1, tile.width)) for tile in plan]
    assert stitch(plan, outputs, blend=blend).tolist() == [[1] * 7]


def test_outputs_may_come_from_a_generator_and_lie_anyhow_in_memory() -> None:
    outputs = [np.asfortranarray(output) for output in constant(1, 2)]
    for output in outputs:
        output.flags.writeable = False
    assert stitch(TWO, (output for output in outputs), blend="gaussian").shape == (1, 6)


def test_nan_stays_where_its_tile_has_a_part() -> None:
    assert np.isnan(stitch(TWO, constant(np.nan, 2), blend="mean")).tolist() == [[True] * 4 + [False] * 2]
    assert np.isnan(stitch(TWO, constant(np.nan, 2))).tolist() == [[True] * 3 + [False] * 3]


def test_what_overflows_in_a_mean_is_no_warning() -> None:
    assert np.isinf(stitch(TWO, constant(-3e38, 3e38, dtype=np.float32), blend="mean")[0, 2])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_or_fewer_outputs_than_tiles_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="outputs: must be one for each of 2 tiles, got"):
        stitch(TWO, constant(*range(count)))


@pytest.mark.parametrize("second", [np.zeros((4, 1)), np.zeros((1, 4, 2)), np.zeros((1, 4), np.float32), np.zeros(4)])
def test_an_output_unlike_the_others_is_refused_by_its_place(second: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"^outputs\[1\]: must be \(1, 4\)"):
        stitch(TWO, [np.zeros((1, 4)), second])


def test_an_unknown_blend_and_a_plan_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="blend: must be 'crop', 'mean' or 'gaussian', got 'feather'"):
        stitch(TWO, [], blend="feather")  # type: ignore[arg-type] # what is tested
    with pytest.raises(ValueError, match="plan: must be what plan_tiles returns, got list"):
        stitch(list(TWO), [])  # type: ignore[arg-type] # what is tested


@pytest.mark.parametrize(("blend", "rows"), [("crop", [0, 3, 0, 3]), ("mean", [0, 2, 0, 4])])
def test_rows_come_as_soon_as_no_later_tile_touches_them(blend: Any, rows: list[int]) -> None:
    plan = plan_tiles(6, 6, tile=4, overlap=2)
    stitcher = RowStitcher(plan, blend=blend)
    assert [len(stitcher.add(np.zeros((4, 4)))) for _ in plan] == rows


def test_rows_that_were_returned_stay_as_they_were() -> None:
    stitcher = RowStitcher(plan_tiles(4, 2, tile=2))
    first = stitcher.add(np.ones((2, 2)))
    stitcher.add(np.zeros((2, 2)))
    assert first.tolist() == [[1, 1], [1, 1]]


def test_a_tile_too_many_is_refused() -> None:
    stitcher = RowStitcher(plan_tiles(2, 2, tile=2))
    stitcher.add(np.ones((2, 2)))
    with pytest.raises(ValueError, match="outputs: must be one for each of 1 tiles, got more"):
        stitcher.add(np.ones((2, 2)))


def test_a_refused_output_leaves_its_place_open() -> None:
    stitcher = RowStitcher(plan_tiles(2, 2, tile=2))
    with pytest.raises(ValueError, match=r"outputs\[0\]: must be \(2, 2\)"):
        stitcher.add(np.ones((3, 2)))
    assert stitcher.add(np.ones((2, 2))).shape == (2, 2)
