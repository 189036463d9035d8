"""Which classes a caller wants."""

import pytest

from services.detection.detections import wanted_classes


def test_no_filter_wants_everything() -> None:
    assert wanted_classes(3, None) is None


@pytest.mark.parametrize(
    ("class_ids", "expected"),
    [((), [False] * 3), ((1,), [False, True, False]), ((0, 2), [True, False, True]), ((2, 2), [False, False, True])],
)
def test_a_filter_wants_the_classes_it_names(class_ids: tuple[int, ...], expected: list[bool]) -> None:
    is_wanted = wanted_classes(3, class_ids)
    assert is_wanted is not None
    assert is_wanted.tolist() == expected
