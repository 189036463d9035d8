from pathlib import Path

from retinue.cli.drawn_files import DrawnFiles
from retinue.client.classification_drawing import draw_classification


def test_equal_names_are_numbered(tmp_path: Path) -> None:
    """Names that differ by case alone count as equal, since they are on some file systems."""
    drawn = DrawnFiles(tmp_path, [], draw_classification, "labels")
    places = [drawn.place(Path(name)).name for name in ("x/cat.jpg", "y/cat.png", "z/Cat.jpg", "cat.jpg")]
    assert places == ["cat-labels.png", "cat-labels-2.png", "Cat-labels-3.png", "cat-labels-4.png"]


def test_a_name_of_greatest_length_still_is_one(tmp_path: Path) -> None:
    place = DrawnFiles(tmp_path, [], draw_classification, "labels").place(Path("ä" * 125 + ".png"))
    place.write_bytes(b"x")
    assert place.exists()
