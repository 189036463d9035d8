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
