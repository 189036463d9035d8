import numpy as np
import pytest

from retinue.client.plates import Plate, place_plates

LARGE, SMALL = (60, 20), (30, 20)


def placed(boxes: list[list[int]], sizes: list[list[tuple[int, int]]], canvas: tuple[int, int]) -> list[Plate]:
    return list(place_plates(np.array(boxes).reshape(-1, 4), sizes, canvas, gap=1))


def test_a_plate_stands_on_its_box() -> None:
    assert placed([[100, 100, 200, 200]], [[LARGE]], (400, 400)) == [Plate(0, 0, left=100, top=80)]


@pytest.mark.parametrize(
    ("box", "left_top"),
    [
        ([100, 0, 200, 100], (100, 100)),
        ([350, 100, 400, 200], (340, 80)),
        ([0, 0, 400, 400], (0, 0)),
        ([0, 370, 30, 400], (0, 350)),
    ],
)
def test_a_plate_stays_inside_and_off_its_box_where_that_can_be(box: list[int], left_top: tuple[int, int]) -> None:
    (plate,) = placed([box], [[LARGE]], (400, 400))
    assert (plate.left, plate.top) == left_top


def test_a_plate_gives_way_to_a_more_important_one() -> None:
    first, second = placed([[100, 100, 200, 200], [110, 105, 210, 200]], [[LARGE], [LARGE]], (400, 400))
    assert (first.left, first.top) == (100, 80)
    assert (second.left, second.top) != (110, 85)


def test_a_smaller_plate_is_taken_where_a_large_one_has_no_room() -> None:
    (plate,) = placed([[5, 5, 15, 15]], [[LARGE, SMALL]], (40, 40))
    assert plate.variant == 1


def test_a_smaller_plate_is_taken_where_a_large_one_would_hide_other_things() -> None:
    grid = [[left, top, left + 28, top + 20] for top in range(0, 400, 20) for left in range(0, 400, 30)]
    middle = grid.index([180, 200, 208, 220])
    boxes = [grid[middle], *grid[:middle], *grid[middle + 1 :]]
    assert placed(boxes, [[LARGE, SMALL]], (400, 400))[0].variant == 1
    assert placed(boxes[:1], [[LARGE, SMALL]], (400, 400))[0].variant == 0


def test_where_there_is_no_room_there_is_no_plate() -> None:
    assert placed([[0, 0, 10, 10]], [[LARGE]], (50, 50)) == []
    assert len(placed([[0, 20, 60, 40]] * 10, [[LARGE]] * 10, (60, 60))) == 2


def test_boxes_after_the_last_size_get_no_plate() -> None:
    plates = placed([[100, 100, 200, 200], [300, 300, 400, 400]], [[LARGE]], (400, 400))
    assert [plate.index for plate in plates] == [0]


def test_no_boxes_get_no_plates() -> None:
    assert placed([], [], (400, 400)) == []
