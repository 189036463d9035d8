"""Boxes find their level, and maps of any size become vectors of one length."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import fpn_level, spatial_pyramid_pool


def squares(*sides: float) -> Any:
    return np.array([[0, 0, side, side] for side in sides], dtype=np.float32)


def test_sizes_double_from_level_to_level() -> None:
    assert fpn_level(squares(55, 56, 111, 112, 223, 224, 447, 448, 5000)).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5]


def test_only_the_area_counts() -> None:
    assert fpn_level(np.array([[10.0, 10, 10 + 112, 10 + 448], [0, 0, 224, 224]])).tolist() == [4, 4]


def test_levels_and_the_canonical_box_can_be_others() -> None:
    boxes = squares(8, 16, 32, 64)
    levels = fpn_level(boxes, min_level=0, max_level=3, canonical_size=16, canonical_level=1)
    assert levels.tolist() == [0, 1, 2, 3]


def test_a_size_a_rounding_below_a_threshold_is_lifted_as_torchvision_lifts_it() -> None:
    below = squares(float(np.nextafter(np.float32(224), np.float32(0))))
    assert fpn_level(below).tolist() == [4]


def test_detectron2_lifts_by_less() -> None:
    """In float64 the two differ: 1e-6 in the logarithm is 7e-7 of a size, which 1e-8 does not reach."""
    box = np.array([[0.0, 0, 224 * (1 - 3e-7), 224 * (1 - 3e-7)]])
    assert fpn_level(box).tolist() == [4]
    assert fpn_level(box, convention="detectron2").tolist() == [3]


@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
@pytest.mark.parametrize("box", [[3, 3, 3, 3], [0, 5, 100, 5], [9, 0, 0, 9], [-3e38, 1, 3e38, 1]])
def test_a_box_without_area_is_on_the_finest_level(box: list[float], convention: Any) -> None:
    assert fpn_level(np.array([box], dtype=np.float32), convention=convention).tolist() == [2]


def test_an_area_beyond_the_range_is_on_the_coarsest_level() -> None:
    assert fpn_level(np.array([[-3e38, -3e38, 3e38, 3e38]], dtype=np.float32)).tolist() == [5]


def test_no_boxes_have_no_levels() -> None:
    assert fpn_level(np.zeros((0, 4))).tolist() == []
    assert fpn_level(np.array([])).dtype == np.int64


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("boxes", {"boxes": np.zeros((2, 3))}),
        ("boxes", {"boxes": np.full((1, 4), np.nan)}),
        ("min_level", {"min_level": -1}),
        ("max_level", {"max_level": 1}),
        ("max_level", {"max_level": 63}),
        ("canonical_level", {"canonical_level": 1.5}),
        ("canonical_size", {"canonical_size": 0}),
        ("convention", {"convention": "mmdet"}),
    ],
)
def test_a_bad_argument_of_levels_is_refused_by_name(name: str, change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"boxes": squares(8)}
    with pytest.raises(ValueError, match=f"^{name}: "):
        fpn_level(**{**fine, **change})


def test_a_canonical_size_beyond_float32_is_no_crash() -> None:
    assert fpn_level(squares(8), canonical_size=1e300).tolist() == [2]
    assert fpn_level(squares(8), canonical_size=1e-300).tolist() == [5]


def test_bins_come_grid_by_grid_and_channel_by_channel() -> None:
    maps = np.stack([np.arange(16.0).reshape(4, 4), -np.arange(16.0).reshape(4, 4)])
    assert spatial_pyramid_pool(maps, (2, 1)).tolist() == [5, 7, 13, 15, 0, -2, -8, -10, 15, 0]


def test_bins_reach_from_the_floor_to_the_ceiling() -> None:
    """Five columns in two bins: 0 to 3 and 2 to 5 share the middle one."""
    row = np.array([[[1.0, 2, 9, 3, 4]]])
    assert spatial_pyramid_pool(row, (2,)).tolist() == [9, 9, 9, 9]
    assert spatial_pyramid_pool(row, (2,), mode="avg").tolist() == [4, 16 / 3, 4, 16 / 3]


def test_a_map_smaller_than_the_grid_repeats_its_cells() -> None:
    assert spatial_pyramid_pool(np.array([[[7.0]]]), (1, 2, 4)).tolist() == [7.0] * 21


def test_a_batch_gives_a_row_for_each_map() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 2, 5, 6)).astype(np.float32)
    rows = spatial_pyramid_pool(maps)
    assert rows.shape == (3, 2 * 21)
    assert rows.dtype == np.float32
    assert rows[1].tolist() == spatial_pyramid_pool(maps[1]).tolist()


def test_the_mean_is_a_mean() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    assert spatial_pyramid_pool(maps, (1,), mode="avg").tolist() == [5.5]


@pytest.mark.parametrize("shape", [(0, 4, 4), (0, 3, 4, 4), (2, 0, 4, 4)])
def test_no_channels_or_maps_give_empty_vectors(shape: tuple[int, ...]) -> None:
    assert spatial_pyramid_pool(np.zeros(shape)).size == 0


def test_maps_may_lie_anyhow_in_memory_and_are_left_as_they_were() -> None:
    maps = np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))
    maps.flags.writeable = False
    assert spatial_pyramid_pool(maps).tolist() == spatial_pyramid_pool(np.arange(24.0).reshape(2, 3, 4)).tolist()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features", {"features": np.zeros((4, 4))}),
        ("features", {"features": np.zeros((1, 0, 4))}),
        ("features", {"features": np.full((1, 2, 2), np.inf)}),
        ("levels", {"levels": ()}),
        ("levels", {"levels": (0,)}),
        ("levels", {"levels": (257,)}),
        ("levels", {"levels": (1.5,)}),
        ("mode", {"mode": "min"}),
    ],
)
def test_a_bad_argument_of_pooling_is_refused_by_name(name: str, change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"features": np.zeros((1, 4, 4))}
    with pytest.raises(ValueError, match=f"^{name}: "):
        spatial_pyramid_pool(**{**fine, **change})
