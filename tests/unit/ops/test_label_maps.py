"""Label maps fall into instances and are painted from them; ids lose their gaps."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import instances_to_label_map, label_map_to_instances, relabel_sequential
from retinue.ops.label_maps import MaskCrop

MAP = np.array([[0, 7, 7], [2, 0, 7]])
PAIR = np.ones((1, 2), dtype=bool)


def test_each_instance_comes_with_its_mask_and_place() -> None:
    found = [(label, y, x, mask.tolist()) for label, (y, x, mask) in label_map_to_instances(MAP)]
    assert found == [(2, 1, 0, [[True]]), (7, 0, 1, [[True, True], [False, True]])]


def test_what_is_no_label_map_is_refused_before_the_first_step() -> None:
    with pytest.raises(ValueError, match=r"^label_map: must be integers"):
        label_map_to_instances(np.zeros((2, 2)))


def test_an_empty_map_has_no_instances() -> None:
    assert list(label_map_to_instances(np.zeros((0, 3), dtype=int))) == []


def test_later_instances_are_painted_over_earlier_ones() -> None:
    assert instances_to_label_map([(0, 0, PAIR), (0, 1, PAIR)], 1, 4).tolist() == [[1, 2, 2, 0]]


def test_the_higher_score_wins_a_pixel() -> None:
    assert instances_to_label_map([(0, 0, PAIR), (0, 1, PAIR)], 1, 3, scores=[0.9, 0.1]).tolist() == [[1, 1, 2]]
    assert instances_to_label_map([(0, 0, PAIR), (0, 1, PAIR)], 1, 3, scores=[0.1, 0.9]).tolist() == [[1, 2, 2]]


def test_of_equal_scores_the_earlier_wins() -> None:
    assert instances_to_label_map([(0, 0, PAIR), (0, 1, PAIR)], 1, 3, scores=[1, 1]).tolist() == [[1, 1, 2]]


def test_only_the_mask_is_painted_not_its_box() -> None:
    mask = np.array([[True, False], [False, True]])
    assert instances_to_label_map([MaskCrop(1, 1, mask)], 3, 3).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_no_instances_leave_the_picture_empty() -> None:
    assert instances_to_label_map([], 2, 0).shape == (2, 0)
    assert instances_to_label_map([], 1, 1, scores=[]).tolist() == [[0]]


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ((0, 3, PAIR), r"instances\[1\].mask: must lie in the picture"),
        ((2, 0, PAIR), r"instances\[1\].mask: must lie in the picture"),
        ((-1, 0, PAIR), r"instances\[1\].y: must be at least 0"),
        ((0, -1, PAIR), r"instances\[1\].x: must be at least 0"),
        ((0, 0.5, PAIR), r"instances\[1\].x: must be a whole number"),
        ((0, 0, PAIR.astype(int)), r"instances\[1\].mask: must be bool"),
        ((0, 0, PAIR[0]), r"instances\[1\].mask: must be bool"),
    ],
)
def test_an_instance_that_cannot_be_painted_is_refused_by_name(instance: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        instances_to_label_map([(0, 0, PAIR), instance], 2, 4)


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [(-1, 1, "height"), (1, -1, "width"), (1.5, 1, "height"), (2**20, 2**20, "height, width")],
)
def test_a_size_that_is_none_is_refused(height: Any, width: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}: must"):
        instances_to_label_map([], height, width)


@pytest.mark.parametrize("scores", [[1.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_scores_that_do_not_fit_are_refused(scores: Any) -> None:
    with pytest.raises(ValueError, match=r"^scores: must be"):
        instances_to_label_map([(0, 0, PAIR), (0, 0, PAIR)], 1, 2, scores=scores)


def test_ids_are_renumbered_in_their_own_order() -> None:
    renumbered, old_ids = relabel_sequential(MAP)
    assert renumbered.tolist() == [[0, 2, 2], [1, 0, 2]]
    assert old_ids.tolist() == [2, 7]


def test_a_map_without_background_is_renumbered_too() -> None:
    renumbered, old_ids = relabel_sequential(np.array([[2**31 - 1, 5]]))
    assert renumbered.tolist() == [[2, 1]]
    assert old_ids.tolist() == [5, 2**31 - 1]


def test_ids_without_gaps_stay_in_a_copy() -> None:
    label_map = np.array([[1, 2, 0]], dtype=np.int32)
    renumbered, _ = relabel_sequential(label_map)
    assert renumbered.tolist() == label_map.tolist()
    assert not np.shares_memory(renumbered, label_map)


@pytest.mark.parametrize("shape", [(0, 0), (2, 2)])
def test_a_map_without_instances_has_no_old_ids(shape: tuple[int, int]) -> None:
    renumbered, old_ids = relabel_sequential(np.zeros(shape, dtype=np.uint8))
    assert renumbered.shape == shape
    assert old_ids.size == 0
