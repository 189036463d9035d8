"""YAML that is read as it looks."""

import pytest

from retinue.runtime.plain_yaml import read_plain_yaml


def test_values_are_read() -> None:
    assert read_plain_yaml("a: {b: [1, 2.5, text, null]}") == {"a": {"b": [1, 2.5, "text", None]}}


@pytest.mark.parametrize(
    "text", ["a: &x 1\nb: *x", "a: 1\na: 2", "a: [", "\t- a", "!!bool maybe", "2024-13-45", "!!python/object:os.x {}"]
)
def test_what_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not YAML: "):
        read_plain_yaml(text)


@pytest.mark.parametrize("text", [r'a: "x\ud800"', r'- "\ud83d\ude00"', r'"\udfff": 1', r'!!str "\udc80"'])
def test_half_a_character_is_refused(text: str) -> None:
    """An answer, or the reason why a model is broken, could not be sent with it."""
    with pytest.raises(ValueError, match="half a character"):
        read_plain_yaml(text)


def test_whole_characters_are_read_however_they_are_written() -> None:
    assert read_plain_yaml('["\\U0001f600", "é", "\U0001f600"]') == ["\U0001f600", "é", "\U0001f600"]


@pytest.mark.parametrize("text", ["a: 1" + ":1" * 10_000, "a: 0x" + "f" * 10_000, "- -" + "1" * 10_000])
def test_a_number_without_end_is_refused_before_it_is_reckoned(text: str) -> None:
    with pytest.raises(ValueError, match="over 64 digits"):
        read_plain_yaml(text)
