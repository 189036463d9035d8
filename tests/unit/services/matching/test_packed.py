"""Numbers of a message as arrays."""

import math
from typing import Any

import numpy as np
import pytest

from retinue.matching.v1 import matching_pb2 as pb
from retinue.runtime.errors import InvalidInput
from services.matching.packed import FLOAT, Bounds, PackedFields, check_bounds, numbers, rows_of, scalar


def points(*values: float) -> PackedFields:
    return PackedFields(pb.PointsProblem(a_xy=values, radius=1.0, mode=pb.MATCH_MODE_MAX))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 5000])
def test_every_number_arrives_as_it_was_sent(count: int) -> None:
    sent = np.random.default_rng(count).normal(size=count)
    message = pb.EvaluationImage(
        image_id="x" * 200, truth_xyxy_px=sent, truth_class_ids=[5] * 300, detection_scores=sent[::-1]
    )
    fields = PackedFields(message)
    assert numbers(fields, "truth_xyxy_px").tolist() == sent.tolist()
    assert numbers(fields, "detection_scores").tolist() == sent[::-1].tolist()
    assert numbers(fields, "detection_xyxy_px").tolist() == []


def test_numbers_that_were_sent_in_pieces_are_one_array() -> None:
    """Packed and single records of one field may follow each other on the wire."""
    wire = pb.PointsProblem(a_xy=[1.0, 2.0]).SerializeToString() + b"\x09" + np.float64(3.0).tobytes()
    wire += pb.PointsProblem(a_xy=[4.0]).SerializeToString()
    assert numbers(PackedFields(pb.PointsProblem.FromString(wire)), "a_xy").tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("unknown", [b"\xa2\x06\x03abc", b"\xa0\x06\x80\x01", b"\xa5\x06abcd", b"\xa1\x06abcdefgh"])
def test_fields_of_a_later_version_are_passed_over(unknown: bytes) -> None:
    wire = unknown + pb.PointsProblem(a_xy=[1.0]).SerializeToString() + unknown + b"\xa3\x06\x0a\x00\xa4\x06"
    assert numbers(PackedFields(pb.PointsProblem.FromString(wire)), "a_xy").tolist() == [1.0]


def test_a_field_of_another_type_is_no_number() -> None:
    wire = b"\x0d\x00\x00\x80\x3f" + pb.PointsProblem(b_xy=[2.0]).SerializeToString()
    fields = PackedFields(pb.PointsProblem.FromString(wire))
    assert (numbers(fields, "a_xy").tolist(), numbers(fields, "b_xy").tolist()) == ([], [2.0])


def test_floats_are_read_with_all_their_bits_and_can_be_written() -> None:
    costs = PackedFields(pb.CostMatrix(row_count=300, costs=[0.1, -3.5])).array("costs", FLOAT)
    assert costs.tolist() == [np.float32(0.1), -3.5]
    assert costs.flags.carray


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_with_its_place(number: float) -> None:
    with pytest.raises(InvalidInput, match=r"a_xy: value 1 is (nan|-?inf); finite numbers are required"):
        numbers(points(1.0, number, 2.0), "a_xy")


@pytest.mark.parametrize("values", [[1e308] * 4, [-1e308] * 3])
def test_large_numbers_are_numbers(values: list[float]) -> None:
    assert numbers(points(*values), "a_xy").tolist() == values


@pytest.mark.parametrize(("values", "place"), [([0.5, 2.0], 1), ([-0.5, 0.5], 0)])
def test_a_number_out_of_bounds_is_refused_with_its_place(values: list[float], place: int) -> None:
    with pytest.raises(InvalidInput, match=rf"value {place} is .*; 0 to 1 is allowed"):
        numbers(points(*values), "a_xy", Bounds(0, 1))
    with pytest.raises(InvalidInput, match="value 0 is 7"):
        check_bounds(np.array([7, 1]), "ids", Bounds(0, 3))


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "text"),
    [
        (Bounds(), [-1e308, 0, 1e308], [], "any finite number"),
        (Bounds(0), [0, 1e308], [-5e-324], "at least 0"),
        (Bounds(0, 1), [0, 1], [-0.1, 1.1], "0 to 1"),
        (Bounds(0, 1, is_open_above=True), [0, 0.9], [1], "0 to below 1"),
        (Bounds(0, 1, is_open_below=True), [1, 5e-324], [0], "above 0 to 1"),
    ],
)
def test_bounds_hold_what_they_say(bounds: Bounds, inside: list[float], outside: list[float], text: str) -> None:
    assert str(bounds) == text
    assert all(bounds.hold(value, value) for value in inside)
    assert not any(bounds.hold(value, value) for value in [*outside, math.nan])


def test_rows_are_whole_and_not_too_many() -> None:
    assert rows_of(points(1, 2, 3, 4), "a_xy", 2, "points", 2).tolist() == [[1, 2], [3, 4]]
    assert rows_of(points(), "a_xy", 2, "points", 2).shape == (0, 2)
    with pytest.raises(InvalidInput, match="has 3 values; points take 2 each"):
        rows_of(points(1, 2, 3), "a_xy", 2, "points", 2)
    with pytest.raises(InvalidInput, match="has 2 points; at most 1 are allowed") as caught:
        rows_of(points(1, 2, 3, 4), "a_xy", 2, "points", 1)
    assert caught.value.metadata["limit"] == "1"


@pytest.mark.parametrize(("radius", "expected"), [(None, 4.0), (0.0, 0.0), (2.5, 2.5)])
def test_an_absent_scalar_is_its_default_and_zero_is_not_absent(radius: Any, expected: float) -> None:
    assert scalar(pb.PointsProblem(radius=radius), "radius", 4.0, Bounds(0)) == expected


@pytest.mark.parametrize("radius", [math.nan, math.inf, -1.0])
def test_a_scalar_out_of_bounds_is_refused(radius: float) -> None:
    with pytest.raises(InvalidInput, match=r"radius: is .*; at least 0 is allowed"):
        scalar(pb.PointsProblem(radius=radius), "radius", None, Bounds(0))
