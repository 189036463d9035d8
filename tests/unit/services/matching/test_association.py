import numpy as np
from numpy.typing import NDArray

from services.matching.association import associate


def boxes(*lefts: float) -> NDArray[np.float64]:
    """Squares of 10 pixels."""
    return np.array([[left, 0.0, left + 10, 10.0] for left in lefts]).reshape(-1, 4)


def test_nothing_goes_with_nothing() -> None:
    for n, m in ((0, 0), (0, 2), (2, 0)):
        rows, columns = associate(np.zeros((n, 4)), np.zeros((m, 4)), 0.0)
        assert (rows.size, columns.size) == (0, 0)


def test_the_gate_is_inclusive() -> None:
    thirds = boxes(5.0)  # 5 of 15 pixels in common
    assert associate(boxes(0.0), thirds, 1 / 3)[0].size == 1
    assert associate(boxes(0.0), thirds, 0.34)[0].size == 0


def test_boxes_apart_are_no_pair_even_without_a_gate() -> None:
    assert associate(boxes(0.0), boxes(10.0), 0.0)[0].size == 0


def test_the_greatest_total_overlap_wins_over_the_nearest_first() -> None:
    rows, columns = associate(boxes(0.0, 2.0), boxes(1.5, 4.0), 0.1)
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [0, 1]


def test_a_sure_pair_is_not_given_up_for_two_doubtful_ones() -> None:
    predicted = np.array([[0.0, 0, 10, 10], [-8.0, 0, 2, 10]])
    found = np.array([[0.0, 0, 10, 10], [8.0, 0, 18, 10]])
    rows, columns = associate(predicted, found, 0.1)
    assert (rows.tolist(), columns.tolist()) == ([0], [0])


def test_clear_and_contested_pairs_are_told_together_in_order() -> None:
    predicted = boxes(500.0, 0.0, 300.0, 3.0)
    rows, columns = associate(predicted, boxes(3.0, 300.0, 0.0, 500.0, 900.0), 0.2)
    assert rows.tolist() == [0, 1, 2, 3]
    assert columns.tolist() == [3, 2, 1, 0]


def test_only_boxes_of_the_same_class_are_paired_where_classes_matter() -> None:
    classes = np.array([1, 2]), np.array([2, 1])
    found = boxes(0.0, 2.0)
    rows, columns = associate(found, found, 0.1, predicted_class_ids=classes[0], class_ids=classes[1])
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    assert associate(found, found, 0.1, class_ids=classes[1])[1].tolist() == [0, 1]
