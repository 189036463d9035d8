"""Tiles become rows of pixels, and rows of codes become tiles again."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from retinue.runtime.errors import ImageTooLarge, InvalidInput
from retinue.segmentation.v1 import segmentation_pb2 as pb
from services.segmentation.settings import SlideSettings
from services.segmentation.slides import CodeRows, Geometry, TileRows, check_windows, geometry_of

PIXELS = np.random.default_rng(0).integers(0, 256, (100, 90, 3), np.uint8)
GEOMETRY = Geometry(width=90, height=100, tile_width=40, tile_height=32)
LIMITS = SlideSettings(max_side_px=1000, max_tile_pixels=2000, max_row_pixels=5000)


def message(width: int = 90, height: int = 100, tile_width: int = 40, tile_height: int = 32) -> pb.SlideGeometry:
    return pb.SlideGeometry(width=width, height=height, tile_width=tile_width, tile_height=tile_height)


def refusal(call: Any, *arguments: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        call(*arguments)
    return caught.value


# --- the geometry


def test_the_last_tiles_are_as_large_as_what_is_left() -> None:
    geometry = geometry_of(message(), LIMITS)
    assert geometry == GEOMETRY
    assert (geometry.rows, geometry.columns) == (4, 3)
    assert [geometry.row_height(row) for row in range(4)] == [32, 32, 32, 4]
    assert [geometry.column_width(column) for column in range(3)] == [40, 40, 10]


def test_tiles_larger_than_the_slide_are_the_slide() -> None:
    """Whatever size they are said to have: no more than the slide's is held."""
    geometry = geometry_of(message(tile_width=2**31 - 1, tile_height=2**31 - 1, width=9, height=7), LIMITS)
    assert geometry == Geometry(9, 7, 9, 7)
    assert (geometry.rows, geometry.columns) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"width": 0}, "width"),
        ({"width": 1001}, "width"),
        ({"height": -1}, "height"),
        ({"height": 2**31 - 1}, "height"),
        ({"tile_width": 31}, "tile_width"),
        ({"tile_height": -(2**31)}, "tile_height"),
    ],
)
def test_a_side_out_of_range_is_named(changes: dict[str, int], field: str) -> None:
    assert refusal(geometry_of, message(**changes), LIMITS).field == f"start.geometry.{field}"


@pytest.mark.parametrize(
    ("changes", "actual"),
    [
        ({"tile_width": 50, "tile_height": 41}, "2050"),
        ({"width": 200, "height": 40, "tile_width": 32, "tile_height": 33}, "6600"),
    ],
)
def test_what_would_not_be_held_is_too_large(changes: dict[str, int], actual: str) -> None:
    error = refusal(geometry_of, message(**changes), LIMITS)
    assert isinstance(error, ImageTooLarge)
    assert error.metadata["actual"] == actual


def test_what_is_just_held_is_not_too_large() -> None:
    geometry_of(message(tile_width=50, tile_height=40), LIMITS)
    check_windows(Geometry(100, 1000, 50, 40), 50, LIMITS)
    error = refusal(check_windows, Geometry(100, 1000, 50, 40), 51, LIMITS)
    assert (error.metadata["limit"], error.metadata["actual"]) == ("5000", "5100")


def test_windows_higher_than_the_slide_are_as_high_as_it() -> None:
    check_windows(Geometry(500, 10, 50, 10), 8192, LIMITS)


# --- tiles


def test_tiles_of_a_row_come_in_any_order_and_rows_come_out() -> None:
    rows, parts = TileRows(GEOMETRY), []
    for y, x in [(0, 40), (0, 80), (0, 0), (32, 0), (32, 40), (32, 80), (64, 80), (64, 0), (64, 40)] + [
        (96, x) for x in (80, 40, 0)
    ]:
        size = rows.expected_size(x, y)
        tile = PIXELS[y : y + 32, x : x + 40]
        assert size == tile.shape[:2]
        parts += [part.copy() for part in rows.add(x, y, tile)]
    assert [len(part) for part in parts] == [32, 32, 32, 4]
    assert_array_equal(np.concatenate(parts), PIXELS)
    assert rows.tile_count == 12
    rows.check_complete()


def test_a_tile_that_is_missing_is_named() -> None:
    rows = TileRows(GEOMETRY)
    for x in (0, 40, 80):
        list(rows.add(x, 0, PIXELS[:32, x : x + 40]))
    list(rows.add(80, 32, PIXELS[32:64, 80:]))
    assert "4 of 12 tiles; x=0, y=32 is missing" in refusal(rows.check_complete).problem
    list(rows.add(0, 32, PIXELS[32:64, :40]))
    assert "x=40, y=32 is missing" in refusal(rows.check_complete).problem


@pytest.mark.parametrize(
    ("x", "y", "field"),
    [
        (1, 0, "tile.x"),
        (-40, 0, "tile.x"),
        (120, 0, "tile.x"),
        (0, 31, "tile.y"),
        (0, -32, "tile.y"),
        (0, 128, "tile.y"),
        (0, 64, "tile.y"),
        (40, 32, "tile"),
        (0, 0, "tile"),
    ],
)
def test_a_place_where_no_tile_is_to_come_is_named(x: int, y: int, field: str) -> None:
    rows = TileRows(GEOMETRY)
    for column in (0, 40, 80):
        list(rows.add(column, 0, PIXELS[:32, column : column + 40]))
    list(rows.add(40, 32, PIXELS[32:64, 40:80]))
    assert refusal(rows.expected_size, x, y).field == field


# --- codes


@pytest.mark.parametrize("step", [1, 5, 32, 33, 64, 100])
@pytest.mark.parametrize("layers", [(), (4,)])
def test_rows_of_codes_come_out_as_tiles_however_they_come(step: int, layers: tuple[int, ...]) -> None:
    codes = np.random.default_rng(0).integers(0, 9, (100, 90, *layers)).astype(np.uint8)
    rows, there = CodeRows(GEOMETRY), np.zeros_like(codes)
    places = []
    for top in range(0, 100, step):
        for x, y, tile in rows.add(codes[top : top + step]):
            assert y + len(tile) <= top + step  # as soon as it is complete
            there[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            places.append((y, x))
    assert_array_equal(there, codes)
    assert places == list(product((0, 32, 64, 96), (0, 40, 80)))


def test_no_rows_finish_nothing() -> None:
    assert list(CodeRows(GEOMETRY).add(np.empty((0, 90), np.uint8))) == []
