import csv
import os
from pathlib import Path

import pytest

from retinue.cli.instance_csv import COLUMNS, InstanceCsv
from retinue.cli.refusal import Refused
from retinue.client.segmentation_answer import Instance

COIN = Instance((1, 2, 30, 40), (15.5, 21.123), 900, 1, 'a "coin", round', 0.9)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_has_all_pictures(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    with InstanceCsv(str(path), []) as written:
        written.write(Path("a.png"), [(1, COIN), (2, COIN)])
        written.write(Path("b.png"), [(1, COIN)])
    found = rows(path)
    assert [(row["file"], row["id"]) for row in found] == [("a.png", "1"), ("a.png", "2"), ("b.png", "1")]
    assert found[0] == dict(
        zip(
            COLUMNS,
            ["a.png", "1", 'a "coin", round', "0.9", "900", "15.50", "21.12", "1", "2", "30", "40"],
            strict=True,
        )
    )


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_has_one_file_for_each_picture(tmp_path: Path, *, is_there: bool) -> None:
    folder = tmp_path / "rows"
    if is_there:
        folder.mkdir()
    with InstanceCsv(str(folder) if is_there else f"{folder}/", []) as written:
        for picture in ("x/a.png", "y/a.png", "b.png"):
            written.write(Path(picture), [(1, COIN)])
    assert sorted(path.name for path in folder.iterdir()) == [
        "a-instances-2.csv",
        "a-instances.csv",
        "b-instances.csv",
    ]
    assert rows(folder / "b-instances.csv")[0]["file"] == "b.png"


def test_a_picture_without_instances_has_the_head_alone(tmp_path: Path) -> None:
    with InstanceCsv(f"{tmp_path}/", []) as written:
        written.write(Path("a.png"), [])
    assert rows(tmp_path / "a-instances.csv") == []
    assert (tmp_path / "a-instances.csv").read_text().strip() == ",".join(COLUMNS)


def test_names_that_are_no_text_are_written_all_the_same(tmp_path: Path) -> None:
    with InstanceCsv(str(tmp_path / "x.csv"), []) as written:
        written.write(Path(os.fsdecode(b"\xff.png")), [(1, COIN)])
    assert len(rows(tmp_path / "x.csv")) == 1


def test_a_picture_is_not_written_over(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"pixels")
    with pytest.raises(Refused, match="one of the pictures"):
        InstanceCsv(str(tmp_path / "." / "a.png"), [picture])
    assert picture.read_bytes() == b"pixels"


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--csv .*No such file"):
        InstanceCsv(str(tmp_path / "no" / "x.csv"), [])
