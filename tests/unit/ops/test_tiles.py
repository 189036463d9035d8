"""A picture is cut into tiles: the peers' tables, and what is refused."""

from typing import Any

import pytest

from retinue.ops import Tile, plan_tiles


def corners(*arguments: Any, **options: Any) -> list[tuple[int, int, int, int]]:
    """x1, y1, x2, y2 of the part of each tile on the picture."""
    return [(t.x, t.y, t.x + t.valid_width, t.y + t.valid_height) for t in plan_tiles(*arguments, **options)]


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "starts"),
    [
        ((256, 256), (128, 128), (0, 0), ([0, 128], [0, 128])),
        ((256, 256), (128, 128), (64, 64), ([0, 64, 128], [0, 64, 128])),
        ((128, 192), (64, 64), (0, 0), ([0, 64], [0, 64, 128])),
        ((128, 192), (64, 64), (32, 32), ([0, 32, 64], [0, 32, 64, 96, 128])),
        ((192, 128), (64, 64), (32, 32), ([0, 32, 64, 96, 128], [0, 32, 64])),
        ((160, 160), (40, 80), (0, 0), ([0, 40, 80, 120], [0, 80])),
        ((160, 160), (80, 40), (20, 10), ([0, 60, 80], [0, 30, 60, 90, 120])),
    ],
)
def test_shifted_tiles_are_the_table_of_supervision(size: Any, tile: Any, overlap: Any, starts: Any) -> None:
    """What its test of `_generate_offset` asks for, with y first."""
    rows, columns = starts
    assert corners(*size, tile, overlap) == [(x, y, x + tile[1], y + tile[0]) for y in rows for x in columns]


def test_shifted_tiles_are_those_of_sahi() -> None:
    """1068 x 580 in slices of 256 with an overlap of 0.2, which it cuts down to 51 pixels: 15 slices."""
    plan = plan_tiles(580, 1068, 256, 51)
    assert [tile.x for tile in plan[:5]] == [0, 205, 410, 615, 812]
    assert [tile.y for tile in plan[::5]] == [0, 205, 324]


def test_a_shifted_side_smaller_than_the_tile_has_one_tile_cut_to_it() -> None:
    assert list(plan_tiles(3, 10, tile=8, overlap=2)) == [Tile(0, 0, 3, 8, 3, 8), Tile(0, 2, 3, 8, 3, 8)]


def test_aligned_tiles_begin_at_multiples_and_the_last_ends_with_the_picture() -> None:
    assert [(t.x, t.width) for t in plan_tiles(3, 21, tile=8, overlap=4, align=4)] == [
        (0, 8), (4, 8), (8, 8), (12, 8), (16, 5),
    ]  # fmt: skip
    assert plan_tiles(3, 21, tile=8, overlap=4, align=4)[-1] == Tile(0, 16, 3, 5, 3, 5)
    assert plan_tiles(3, 21, tile=8, overlap=4, align=4, edge="pad")[-1] == Tile(0, 16, 8, 8, 3, 5)
    assert list(plan_tiles(3, 7, tile=8, overlap=4, align=4)) == [Tile(0, 0, 3, 7, 3, 7)]


def test_a_padded_tile_hangs_over_the_end() -> None:
    assert list(plan_tiles(3, 10, tile=8, overlap=2, edge="pad")) == [Tile(0, 0, 8, 8, 3, 8), Tile(0, 6, 8, 8, 3, 4)]


def test_a_picture_of_the_tiles_size_is_one_tile_with_either_edge() -> None:
    whole = [Tile(0, 0, 8, 8, 8, 8)]
    assert list(plan_tiles(8, 8, 8, 7)) == list(plan_tiles(8, 8, 8, 7, edge="pad")) == whole


def test_slices_are_the_part_on_the_picture() -> None:
    assert plan_tiles(3, 10, tile=8, overlap=2, edge="pad")[1].slices == (slice(0, 3), slice(6, 10))


def test_a_plan_is_a_sequence() -> None:
    plan = plan_tiles(10, 10, 4)
    assert len(plan) == 9
    assert plan[-1] == plan[8]
    assert plan[2:8:3] == [plan[2], plan[5]]
    assert plan[4] in plan
    assert plan.index(plan[7]) == 7


@pytest.mark.parametrize("index", [9, -10])
def test_a_tile_beyond_the_plan_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        plan_tiles(10, 10, 4)[index]


def test_plans_of_the_same_tiles_are_equal() -> None:
    assert plan_tiles(10, 10, 4, 1) == plan_tiles(10, 10, (4, 4), (1, 1))
    assert plan_tiles(10, 10, 4, 1) != plan_tiles(10, 10, 4, 1, edge="pad")


@pytest.mark.parametrize("edge", ["shift", "pad"])
def test_an_absurd_plan_costs_nothing(edge: Any) -> None:
    plan = plan_tiles(2**31 - 1, 2**31 - 1, 1, edge=edge)
    assert len(plan) == (2**31 - 1) ** 2
    assert plan[-1] == Tile(2**31 - 2, 2**31 - 2, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("height", {"height": 0}),
        ("height", {"height": 2**31}),
        ("width", {"width": 1.5}),
        ("width", {"width": 2**31}),
        ("tile", {"tile": 0}),
        ("tile", {"tile": (4, -1)}),
        ("tile", {"tile": (4, 4, 4)}),
        ("tile", {"tile": "4"}),
        ("overlap", {"overlap": -1}),
        ("overlap", {"overlap": 4}),
        ("overlap", {"overlap": (0, 4)}),
        ("overlap", {"overlap": 0.2}),
        ("edge", {"edge": "reflect"}),
        ("align", {"align": 0}),
        ("align", {"align": 1.5}),
        ("tile", {"align": 3}),
        ("tile", {"tile": (4, 6), "align": 4}),
        ("overlap", {"overlap": 1, "align": 2}),
        ("overlap", {"overlap": (2, 1), "align": 2}),
    ],
)
def test_a_bad_argument_is_refused_by_name(name: str, change: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"height": 8, "width": 8, "tile": 4}
    with pytest.raises(ValueError, match=f"^{name}: "):
        plan_tiles(**{**fine, **change})
