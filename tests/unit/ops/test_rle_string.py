"""COCO's strings become masks, and hostile strings become errors."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import Rle, rle_encode, rle_from_string, rle_to_string

ROW = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("mask", "text"), [(ROW, b"41202"), (np.ones((2, 2), int), b"04"), (np.zeros((2, 2), int), b"4")]
)
def test_published_vectors(mask: Any, text: bytes) -> None:
    assert rle_to_string(rle_encode(mask)) == text
    assert rle_from_string(text, *mask.shape) == rle_encode(mask)
    assert rle_from_string(text.decode(), *mask.shape) == rle_encode(mask)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_all_that_holds_bytes_is_taken(kind: Any) -> None:
    assert rle_from_string(kind(b"41202"), 3, 4) == rle_encode(ROW)


def test_the_longest_runs_take_seven_characters() -> None:
    most = 2**32 - 1
    for counts in ([most], [0, most], [1, 1, 1, most - 3], [most - 3, 1, 1, 1]):
        rle = Rle(1, most, np.array(counts))
        assert rle_from_string(rle_to_string(rle), 1, most) == rle
    assert len(rle_to_string(Rle(1, most, np.array([most])))) == 7


def test_a_mask_without_pixels_has_a_string() -> None:
    assert rle_to_string(Rle(0, 5, np.array([0]))) == b"0"
    assert rle_from_string("0", 0, 5) == rle_from_string("", 0, 5) == Rle(0, 5, np.array([0]))


def test_empty_runs_in_a_string_are_joined() -> None:
    assert rle_from_string(b"202", 2, 2) == Rle(2, 2, np.array([4]))
    assert rle_from_string(b"2020", 2, 2).counts.tolist() == [4]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"4/", "characters from '0' to 'o'"),
        (b"4p", "characters from '0' to 'o'"),
        (b"4\x00", "characters from '0' to 'o'"),
        ("4é", "characters from '0' to 'o'"),
        (b"41202\xff", "characters from '0' to 'o'"),
        (b"4Q", "ends within a number"),
        (b"o" * 6, "ends within a number"),
        (b"o" * 7, "ends within a number"),
        (b"o" * 8, "at most 7 characters"),
        (b"P" * 1000, "at most 7 characters"),
        (b"oooooo0", "sum to no more"),
        (b"ooooooO", "0 pixels or more"),
        (b"O", "0 pixels or more"),
        (b"411N", "0 pixels or more"),
        (b"5", "sum to the pixels of the mask"),
        (b"", "sum to the pixels of the mask"),
        (b"=", "sum to no more"),
        (b"67", "sum to no more"),
    ],
)
def test_hostile_strings_are_refused(text: bytes | str, match: str) -> None:
    with pytest.raises(ValueError, match=rf"^counts: .*{match}"):
        rle_from_string(text, 3, 4)


@pytest.mark.parametrize("bad", [None, 5, [4, 1]])
def test_what_is_no_string_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^counts: must be bytes or str"):
        rle_from_string(bad, 3, 4)


@pytest.mark.parametrize(("height", "width", "name"), [(-1, 4, "height"), (3, 1.5, "width"), (2**16, 2**16, "height")])
def test_sizes_out_of_range_are_refused(height: Any, width: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        rle_from_string(b"41202", height, width)


def test_what_is_no_rle_has_no_string() -> None:
    with pytest.raises(ValueError, match="rle: must be an Rle, got bytes"):
        rle_to_string(b"41202")  # type: ignore[arg-type] # that is what is refused
