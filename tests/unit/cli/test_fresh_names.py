from pathlib import Path

import pytest

from retinue.cli.fresh_names import FreshNames
from retinue.cli.refusal import Refused


def test_equal_names_are_numbered_before_the_suffix(tmp_path: Path) -> None:
    names = FreshNames(tmp_path / "new", [], "--out")
    places = [names.place(Path(name), "-instances.csv").name for name in ("x/cat.jpg", "y/cat.png", "z/Cat.jpg")]
    assert places == ["cat-instances.csv", "cat-instances-2.csv", "Cat-instances-3.csv"]
    assert names.place(Path("cat.png"), "-instances.tif").name == "cat-instances.tif"


def test_a_kept_file_keeps_its_name(tmp_path: Path) -> None:
    names = FreshNames(tmp_path, [tmp_path / "cat-boxes.png"], "--out")
    assert names.place(Path("cat.png"), "-boxes.png").name == "cat-boxes-2.png"


def test_a_folder_that_cannot_be_made_is_told_with_its_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refused, match=r"--csv .*file"):
        FreshNames(tmp_path / "file", [], "--csv")
