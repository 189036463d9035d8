"""What is asked of a model, free of the wire."""

import dataclasses

import pytest

from tests.unit.services.segmentation.tiny_segmenters import black, item_of, options_with


def test_pixels_are_of_one_class_each_where_no_class_has_a_threshold() -> None:
    assert options_with((None, None)).is_exclusive
    assert not options_with((None, 0.0)).is_exclusive
    assert not options_with((0.5, 0.5)).is_exclusive


def test_what_has_a_core_is_a_window() -> None:
    assert not item_of(black(2, 2)).is_window
    assert item_of(black(2, 2), core=(slice(0, 2), slice(0, 2))).is_window


def test_options_cannot_be_changed_by_who_shares_them() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        options_with().min_area_px = 3  # type: ignore[misc]
