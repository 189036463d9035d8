"""What is wanted of the repositories, by the settings and by what was told since."""

from pathlib import Path

import pytest

from retinue.runtime.package import open_package
from retinue.runtime.selection import Selection
from tests.unit.runtime.numbers_read import write_package


def known(root: Path, selection: Selection) -> set[str]:
    """Return which of a@1, a@2 and b@1 are to be served."""
    packages = [open_package(root / name / version) for name, version in (("a", "1"), ("a", "2"), ("b", "1"))]
    return {f"{package.name}@{package.version}" for package in packages if selection.is_known(package)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, version in (("a", "1"), ("a", "2"), ("b", "1")):
        write_package(tmp_path, name, version)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "expected"),
    [((), {"a@1", "a@2", "b@1"}), (("a",), {"a@1", "a@2"}), (("a@2", "b"), {"a@2", "b@1"}), (("a@3",), set())],
)
def test_what_the_settings_name_is_known(root: Path, named: tuple[str, ...], expected: set[str]) -> None:
    assert known(root, Selection(named)) == expected


def test_what_is_asked_for_is_known_as_well(root: Path) -> None:
    selection = Selection(["b"])
    selection.ask("a")
    assert known(root, selection) == {"a@1", "a@2", "b@1"}


def test_the_versions_that_the_settings_name_stay_the_only_ones(root: Path) -> None:
    selection = Selection(["a@1"])
    selection.ask("a")
    assert known(root, selection) == {"a@1"}


def test_what_is_put_aside_is_so_until_it_is_asked_for() -> None:
    selection = Selection()
    assert not selection.is_put_aside("a")
    selection.put_aside("a")
    assert selection.is_put_aside("a")
    assert not selection.is_put_aside("b")
    selection.ask("a")
    assert not selection.is_put_aside("a")
