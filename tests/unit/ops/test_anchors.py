"""Anchors of a feature pyramid: the peers' tables, and what is refused."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.ops import pyramid_anchors
from retinue.ops.anchors import anchors_at, cell_anchors

THREE = [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("size", "table"),
    [
        (32, [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]),
        (512, [[-362, -181, 362, 181], [-256, -256, 256, 256], [-181, -362, 181, 362]]),
    ],
)
def test_cells_are_the_published_table_of_torchvision(size: int, table: list[list[int]]) -> None:
    assert cell_anchors([size], THREE).tolist() == table


def test_torchvision_rounds_halves_to_even() -> None:
    assert cell_anchors([1, 3, 5], [1.0])[:, 2].tolist() == [0, 2, 2]  # 0.5, 1.5 and 2.5


def test_torchvision_goes_ratio_by_ratio_and_in_each_size_by_size() -> None:
    cells = cell_anchors([32, 64], [1.0, 4.0])
    assert cells[:, 2:].tolist() == [[16, 16], [32, 32], [8, 32], [16, 64]]


def test_detectron2_goes_size_by_size_and_in_each_ratio_by_ratio() -> None:
    """The table of its own test."""
    cells = cell_anchors([32, 64], [0.25, 1.0, 4.0], convention="detectron2")
    assert cells[:, 2:].tolist() == [[32, 8], [16, 16], [8, 32], [64, 16], [32, 32], [16, 64]]
    assert cells[:, :2].tolist() == (-cells[:, 2:]).tolist()


def test_detectron2_does_not_round() -> None:
    [cell] = cell_anchors([32], [0.5], convention="detectron2")
    half_width = np.float32(np.sqrt(2048) / 2)
    assert cell.tolist() == [-half_width, -half_width / 2, half_width, half_width / 2]


def test_cells_lie_in_row_major_order_at_their_corners() -> None:
    [level] = pyramid_anchors([(2, 3)], [[2]], [[1.0]], image_size=(8, 15))
    centres = (level[:, :2] + level[:, 2:]) / 2
    assert centres.tolist() == [[0, 0], [5, 0], [10, 0], [0, 4], [5, 4], [10, 4]]


def test_the_stride_is_the_whole_part_of_image_over_feature() -> None:
    [level] = pyramid_anchors([(13, 21)], [[512]], [[1.0]], image_size=(800, 1333))
    assert level[-1].tolist() == [20 * 63 - 256, 12 * 61 - 256, 20 * 63 + 256, 12 * 61 + 256]


def test_an_offset_moves_anchors_by_a_part_of_the_stride() -> None:
    [level] = pyramid_anchors([(1, 2)], [[4]], [[1.0]], strides=[(8, 16)], convention="detectron2", offset=0.5)
    assert level.tolist() == [[6, 2, 10, 6], [22, 2, 26, 6]]


def test_each_level_has_sizes_and_ratios_of_its_own() -> None:
    levels = pyramid_anchors([(2, 2), (1, 1), (0, 5)], [[8], [16, 32], [64]], [[1.0], THREE, THREE], strides=[4, 8, 16])
    assert [level.shape for level in levels] == [(4, 4), (6, 4), (0, 4)]
    assert {level.dtype for level in levels} == {np.dtype(np.float32)}


def test_no_levels_give_no_arrays() -> None:
    assert pyramid_anchors([], [], [], image_size=(8, 8)) == []


def test_a_cell_of_many_anchors_costs_no_order_of_levels() -> None:
    """The mobile detector of torchvision: five sizes and three ratios on each of three levels."""
    levels = pyramid_anchors(
        [(20, 20), (10, 10), (5, 5)], [[32, 64, 128, 256, 512]] * 3, [THREE] * 3, image_size=(320, 320)
    )
    assert [len(level) for level in levels] == [6000, 1500, 375]


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64])
def test_anchors_at_indices_are_rows_of_the_level(dtype: Any) -> None:
    [level] = pyramid_anchors([(3, 5)], [[16, 32]], [THREE], image_size=(30, 60))
    indices = np.array([89, 0, 7, 7, 42], dtype=dtype)
    picked = anchors_at(indices, (3, 5), (10, 12), cell_anchors([16, 32], THREE))
    assert picked.tolist() == level[indices].tolist()


def test_anchors_at_no_indices_are_none() -> None:
    assert anchors_at([], (3, 5), 4, cell_anchors([16], THREE)).shape == (0, 4)


def test_indices_may_be_strided_and_read_only() -> None:
    indices = np.arange(10)[::3]
    indices.flags.writeable = False
    cells = cell_anchors([16], THREE)
    cells.flags.writeable = False
    assert anchors_at(indices, (2, 2), 4, cells).shape == (4, 4)
    assert anchors_at(indices, (2, 2), 4, np.asfortranarray(cells)).shape == (4, 4)


@pytest.mark.parametrize("bad", [-1, 12, 2**62, -(2**63)])
def test_an_index_beyond_the_level_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match=r"indices: must be in \[0, 12\)"):
        anchors_at([0, bad], (2, 2), 4, cell_anchors([16], THREE))


def test_a_level_without_cells_has_no_index() -> None:
    with pytest.raises(ValueError, match=r"indices: must be in \[0, 0\)"):
        anchors_at([0], (4, 0), 4, cell_anchors([16], THREE))


@pytest.mark.parametrize("indices", [[0.5], ["a"], [[0]]])
def test_indices_that_are_none_are_refused(indices: Any) -> None:
    with pytest.raises(ValueError, match=r"^indices: "):
        anchors_at(indices, (2, 2), 4, cell_anchors([16], THREE))


@pytest.mark.parametrize("cells", [np.zeros(4), np.zeros((0, 4)), np.zeros((2, 3)), np.full((1, 4), np.nan)])
def test_cells_that_are_none_are_refused(cells: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"^cells: "):
        anchors_at([0], (2, 2), 4, cells)


@pytest.mark.parametrize("bad", [[], [0], [-1], [np.nan], [np.inf], [[1]]])
def test_sizes_and_ratios_that_are_none_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^sizes: "):
        cell_anchors(bad, [1.0])
    with pytest.raises(ValueError, match=r"^aspect_ratios: "):
        cell_anchors([1.0], bad)


@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
def test_anchors_beyond_float32_are_refused(convention: Any) -> None:
    with pytest.raises(ValueError, match="sizes: must give anchors within float32"):
        cell_anchors([1e200], [1.0], convention=convention)
    with pytest.raises(ValueError, match="sizes: must give anchors within float32"):
        cell_anchors([1e30], [1e-30], convention=convention)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sizes", {"sizes": []}),
        ("aspect_ratios", {"aspect_ratios": [[1.0], [1.0]]}),
        ("strides", {"strides": [4]}),
        ("strides", {"image_size": None}),
        ("strides", {"image_size": None, "strides": [4, 8]}),
        ("strides", {"image_size": None, "strides": [0]}),
        ("strides", {"image_size": None, "strides": [(4, 4, 4)]}),
        ("strides", {"image_size": None, "strides": [4.5]}),
        ("image_size", {"image_size": (1, 8)}),
        ("image_size", {"image_size": (8, 1)}),
        ("image_size", {"image_size": (2**31, 8)}),
        ("feature_sizes", {"feature_sizes": [(-1, 2)]}),
        ("feature_sizes", {"feature_sizes": [(2**14, 2**13)], "image_size": (2**15, 2**15)}),
        ("convention", {"convention": "mmdet"}),
        ("offset", {"offset": 1.0}),
        ("offset", {"offset": -0.1}),
        ("offset", {"offset": np.nan}),
    ],
)
def test_a_bad_argument_is_refused_by_name(name: str, change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"feature_sizes": [(2, 2)], "sizes": [[8]], "aspect_ratios": [[1.0]], "image_size": (8, 8)}
    with pytest.raises(ValueError, match=f"^{name}: "):
        pyramid_anchors(**{**fine, **change})
