from pathlib import Path

import pytest

from retinue.cli.picture_files import find_pictures
from retinue.cli.refusal import Refused


def test_a_folder_gives_all_pictures_below_in_order(pictures: Path) -> None:
    assert find_pictures([str(pictures)]) == [pictures / "a.png", pictures / "b.PNG", pictures / "inner/a.png"]


def test_names_keep_their_order_and_may_be_anything(pictures: Path) -> None:
    names = [str(pictures / name) for name in ("notes.txt", "missing.png", ".hidden.png", "a.png", "a.png")]
    assert find_pictures(names) == [Path(name) for name in names]


def test_a_pattern_gives_the_files_that_match(pictures: Path) -> None:
    assert find_pictures([str(pictures / "**/*.png")]) == [pictures / "a.png", pictures / "inner/a.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cat[1].png"
    path.write_bytes(b"x")
    (tmp_path / "cat1.png").write_bytes(b"x")
    assert find_pictures([str(path)]) == [path]


def test_a_folder_whose_links_go_round_in_circles_ends(pictures: Path) -> None:
    (pictures / "inner" / "up").symlink_to(pictures, target_is_directory=True)
    assert len(find_pictures([str(pictures)])) == 3


@pytest.mark.parametrize("name", ["empty", "*.gif", "pictures/inner/none/*"])
def test_what_holds_no_picture_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused):
        find_pictures([str(tmp_path / name)])
