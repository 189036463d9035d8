import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.client.classification_answer import Label
from retinue.client.curve_drawing import MAX_CLASSES, draw_curves
from retinue.client.evaluation_answer import ClassEvaluation, CocoSummary, Evaluation, PrecisionRecallCurve
from retinue.client.palette import class_colour

EMPTY = CocoSummary(*[None] * 12)
STEP = np.array([0.75] * 51 + [0.0] * 50)
WINE = (136, 34, 85)


def one_class(
    class_id: int, *, truth_count: int = 5, thresholds: tuple[float, ...] = (0.5, 0.75), precisions: object = STEP
) -> ClassEvaluation:
    curves = tuple(PrecisionRecallCurve(threshold, np.asarray(precisions), STEP) for threshold in thresholds)
    return ClassEvaluation(Label(class_id, f"thing {class_id}"), EMPTY, truth_count, 7, None, None, curves)


def evaluation(*classes: ClassEvaluation) -> Evaluation:
    return Evaluation(EMPTY, classes, (), np.zeros((1, 1), np.int64), 3, 0.0)


def has(drawn: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((drawn == colour).all(axis=2).any())


def test_a_curve_lies_where_its_precision_says() -> None:
    drawn = draw_curves(evaluation(one_class(0)))
    assert drawn.shape == (760, 1200, 3)
    assert drawn.dtype == np.uint8
    row = 40 + round(0.25 * 620)  # precision 0.75
    assert (drawn[row, 90 + 50 : 90 + 300] < 140).all(), "a dark line up to a recall of a half"
    assert not (drawn[row, 90 + 460 : 90 + 500] < 140).any(), "and none beyond"
    assert (drawn[40 + 620 - 3, 90 + 500 : 90 + 700] == 255).all(axis=1).sum() > 150, "nor along the axis"


def test_one_class_needs_no_line_of_its_own() -> None:
    assert not has(draw_curves(evaluation(one_class(0))), class_colour(0))
    drawn = draw_curves(evaluation(one_class(0), one_class(7)))
    assert has(drawn, class_colour(0))
    assert has(drawn, class_colour(1)), "colours go by rank: ids may be alike in theirs"


def test_the_most_frequent_classes_are_drawn() -> None:
    rare = [one_class(number, truth_count=1, precisions=np.full(101, 0.25)) for number in range(20)]
    frequent = [one_class(100 + number, truth_count=9, precisions=np.full(101, 0.5)) for number in range(MAX_CLASSES)]
    drawn = draw_curves(evaluation(*rare, *frequent))
    colourfulness = np.ptp(drawn[40:660, 91:810].astype(int), axis=2).max(axis=1)  # of each row of the field
    assert colourfulness[round(0.75 * 620) - 2 : round(0.75 * 620) + 3].max() < 20, "none at 0.25"
    assert colourfulness[308:313].max() > 60, "some at 0.5"


@pytest.mark.parametrize("thresholds", [(0.3,), (0.5,), (0.6, 0.9)])
def test_thresholds_that_are_not_there_are_not_drawn(thresholds: tuple[float, ...]) -> None:
    assert not has(draw_curves(evaluation(one_class(0, thresholds=thresholds))), WINE)


def test_without_curves_or_truth_the_chart_is_empty() -> None:
    for classes in ((), (one_class(0, thresholds=()),), (one_class(0, truth_count=0),)):
        field = draw_curves(evaluation(*classes))[41:660, 91:810]
        assert set(map(tuple, field.reshape(-1, 3).tolist())) <= {(255, 255, 255), (226, 229, 234)}
