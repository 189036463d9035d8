"""Features under boxes: where samples lie, what is beyond the map, and what is refused."""

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import roi_align

RAMP = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
"""Value 5 * y + x, which bilinear samples give back exactly."""


def boxes(*rows: list[float]) -> NDArray[Any]:
    return np.array(rows, dtype=np.float32)


def align(box: list[float], output_size: Any = 1, features: NDArray[Any] = RAMP, **options: Any) -> Any:
    return roi_align(features, boxes(box), output_size, **options)[0, 0].tolist()


def test_a_bin_is_the_mean_of_its_samples() -> None:
    assert align([1, 1, 3, 3], 2, sampling_ratio=2) == [[9, 10], [14, 15]]


def test_aligned_moves_samples_by_half_a_cell() -> None:
    assert align([1, 1, 3, 3], 2, sampling_ratio=2, aligned=True) == [[6, 7], [11, 12]]


def test_the_scale_turns_pixels_into_cells() -> None:
    assert align([4, 4, 12, 12], 2, sampling_ratio=2, spatial_scale=0.25) == [[9, 10], [14, 15]]


def test_bins_can_differ_along_both_sides() -> None:
    assert align([0, 1, 4, 3], (1, 2), sampling_ratio=2) == [[11, 13]]


def test_without_aligned_a_box_counts_as_one_cell_at_least() -> None:
    assert align([2, 2, 2, 2], sampling_ratio=1) == [[5 * 2.5 + 2.5]]


def test_with_aligned_a_box_is_as_small_as_it_is() -> None:
    assert align([2, 2, 2, 2], sampling_ratio=1, aligned=True) == [[5 * 1.5 + 1.5]]


@pytest.mark.parametrize("box", [[2, 2, 2, 2], [3, 3, 1, 1], [1, 3, 3, 1]])
def test_with_aligned_a_box_of_no_size_has_no_samples_where_they_are_counted_by_size(box: list[float]) -> None:
    assert align(box, aligned=True) == [[0]]


def test_samples_are_counted_by_size_rounded_up_for_each_side() -> None:
    """A box 3 cells wide has samples at x = 0.5, 1.5 and 2.5, of which the last two lie beside a spike at x = 2."""
    spike = np.zeros((1, 5, 5))
    spike[0, :, 2] = 1
    assert align([0, 0, 3, 1], features=spike) == [[pytest.approx(1 / 3)]]
    assert align([0, 0, 3, 1], features=spike, sampling_ratio=1) == [[0.5]]


def test_a_sample_in_the_margin_takes_the_value_of_the_border() -> None:
    assert align([-1, 2, 0, 3], sampling_ratio=1) == [[5 * 2.5]]
    assert align([4, 2, 5, 3], sampling_ratio=1) == [[5 * 2.5 + 4]]


@pytest.mark.parametrize("box", [[-2.5, 2, -1, 3], [5, 2, 6.5, 3], [2, -2.5, 3, -1], [2, 5, 3, 6.5]])
def test_a_sample_beyond_the_margin_is_nothing(box: list[float]) -> None:
    assert align(box, sampling_ratio=1) == [[0]]


@pytest.mark.parametrize(("box", "value"), [([-1.5, 2, -0.5, 3], 12.5), ([4.5, 2, 5.5, 3], 16.5)])
def test_a_sample_on_the_end_of_the_margin_still_counts(box: list[float], value: float) -> None:
    assert align(box, sampling_ratio=1) == [[value]]


def test_samples_beyond_the_map_count_as_zeros_in_the_mean() -> None:
    ones = np.ones((1, 4, 4), np.float32)
    assert align([-5, 0, 3, 4], features=ones, sampling_ratio=4) == [[0.5]]


def test_a_reversed_box_is_sampled_backwards() -> None:
    forwards = align([1, 1, 3, 3], 2, sampling_ratio=2, aligned=True)
    backwards = align([3, 3, 1, 1], 2, sampling_ratio=2, aligned=True)
    assert backwards == [row[::-1] for row in forwards[::-1]]


def test_each_box_looks_at_its_map() -> None:
    maps = np.stack([np.full((2, 3, 3), value, np.float32) for value in (5, 7)])
    regions = roi_align(maps, boxes([0, 0, 1, 1], [1, 1, 2, 2], [0, 1, 1, 2]), 1, batch_indices=[1, 0, 1])
    assert regions[:, :, 0, 0].tolist() == [[7, 7], [5, 5], [7, 7]]


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 70])
def test_channels_are_treated_alike_however_many_there_are(channels: int) -> None:
    maps = RAMP + np.arange(channels, dtype=np.float32)[:, None, None]
    regions = roi_align(maps, boxes([1, 1, 3, 3]), 2, sampling_ratio=2)
    assert regions[0, :, 0, 0].tolist() == [9 + channel for channel in range(channels)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_result_has_the_dtype_of_the_features(dtype: Any) -> None:
    assert roi_align(RAMP.astype(dtype), boxes([0, 0, 1, 1]), 1).dtype == dtype


def test_whole_numbers_count_as_float64() -> None:
    assert roi_align(RAMP.astype(np.uint8), boxes([1, 1, 3, 3]), 1, sampling_ratio=2).tolist() == [[[[12]]]]


@pytest.mark.parametrize(("shape", "count"), [((3, 5, 5), 0), ((0, 5, 5), 2), ((0, 3, 5, 5), 0), ((2, 3, 5, 5), 0)])
def test_no_boxes_channels_or_maps_give_no_regions(shape: tuple[int, ...], count: int) -> None:
    none = np.zeros((count, 4), np.float32)
    regions = roi_align(np.zeros(shape, np.float32), none, 7, batch_indices=np.zeros(count, np.int64))
    assert regions.shape == (count, shape[-3], 7, 7)


def test_inputs_may_lie_anyhow_in_memory_and_are_left_as_they_were() -> None:
    maps, rows = np.asfortranarray(np.repeat(RAMP, 2, axis=0)), boxes([1, 1, 3, 3], [0, 0, 2, 2])[::-1]
    indices = np.zeros(4, np.int32)[::2]
    for array in (maps, rows, indices):
        array.flags.writeable = False
    regions = roi_align(maps, rows, 2, batch_indices=indices, sampling_ratio=2)
    assert regions[1, 1].tolist() == [[9, 10], [14, 15]]


def test_nan_spreads_only_to_bins_that_touch_it() -> None:
    maps = RAMP.copy()
    maps[0, 4, 4] = np.nan
    regions = roi_align(maps, boxes([0, 0, 5, 5]), 2, sampling_ratio=2)
    assert np.isnan(regions[0, 0]).tolist() == [[False, False], [False, True]]


def test_many_boxes_give_what_each_gives_alone() -> None:
    """Where boxes touch more cells than the map has, it is laid out as a whole: the sums are the same."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(40, 9, 12)).astype(np.float32)
    corners = rng.uniform(-4, 14, (64, 4)).astype(np.float32)
    together = roi_align(maps, corners, (3, 2))
    alone = np.concatenate([roi_align(maps, corner[None], (3, 2)) for corner in corners])
    assert together.tolist() == alone.tolist()


def test_boxes_on_every_other_column_give_what_each_gives_alone() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 40, 40)).astype(np.float32)
    corners = np.repeat(boxes([0, 0, 40, 40]), 40, axis=0)
    together = roi_align(maps, corners, 4, sampling_ratio=1)
    assert together[7].tolist() == roi_align(maps, corners[:1], 4, sampling_ratio=1)[0].tolist()


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("far", [1e7, 1e9, 1e20, 1e38, 3e38])
def test_an_endless_box_takes_no_time(far: float, *, aligned: bool) -> None:
    """Only the samples on the map are visited. Of the billions that there are they are next to nothing."""
    begin = time.perf_counter()
    corners = boxes([-far, -far, far, far], [0, 0, far, far], [-far, 1, 4, far], [far, far, far, far])
    regions = roi_align(RAMP, corners, 7, aligned=aligned, spatial_scale=2)
    assert time.perf_counter() - begin < 5  # a loop over the samples would take hours; compiling takes seconds
    np.testing.assert_allclose(regions, 0, atol=0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_far_box_still_has_the_part_that_lies_on_the_map(dtype: Any) -> None:
    """Of 2**27 samples in a row six lie on the map: those at -0.5 to 4.5. float32 would put them at 0 and 8."""
    value = align([-(2.0**26), 2, 2.0**26, 3], features=np.ones((1, 5, 5), dtype))
    np.testing.assert_allclose(value, 6 / 2.0**27, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 5), (1, 0, 5), (1, 5, 0), (1, 1, 1, 5, 5)])
def test_maps_that_are_none_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^features: must"):
        roi_align(np.zeros(shape), boxes([0, 0, 1, 1]), 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features", {"features": np.array([[["a"]]])}),
        ("boxes", {"boxes": np.zeros((1, 5))}),
        ("boxes", {"boxes": np.full((1, 4), np.nan)}),
        ("boxes", {"boxes": np.full((1, 4), 1e300)}),
        ("output_size", {"output_size": 0}),
        ("output_size", {"output_size": (7, 257)}),
        ("output_size", {"output_size": (7, 7, 7)}),
        ("output_size", {"output_size": 7.5}),
        ("batch_indices", {"batch_indices": [1]}),
        ("batch_indices", {"batch_indices": [-1]}),
        ("batch_indices", {"batch_indices": [0, 0]}),
        ("batch_indices", {"batch_indices": [0.0]}),
        ("batch_indices", {"features": np.zeros((2, 1, 5, 5))}),
        ("spatial_scale", {"spatial_scale": 0}),
        ("spatial_scale", {"spatial_scale": np.inf}),
        ("spatial_scale", {"spatial_scale": 1e10}),
        ("sampling_ratio", {"sampling_ratio": 65}),
        ("sampling_ratio", {"sampling_ratio": 2.0}),
    ],
)
def test_a_bad_argument_is_refused_by_name(name: str, change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"features": RAMP, "boxes": boxes([0, 0, 1, 1]), "output_size": 1}
    with pytest.raises(ValueError, match=f"^{name}: "):
        roi_align(**{**fine, **change})
