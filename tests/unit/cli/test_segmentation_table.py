from pathlib import Path

import pytest

from retinue.cli.segmentation_table import SegmentationTable, class_table
from retinue.client.segmentation_answer import read_segmentation_answer
from tests.unit.client.scripted_segmentation import answer


def test_classes_come_with_pixels_shares_and_instances(capsys: pytest.CaptureFixture[str]) -> None:
    table = SegmentationTable()
    table.add(Path("a.png"), read_segmentation_answer(answer()))
    assert capsys.readouterr().out == "", "columns are as wide as the widest of all"
    table.finish()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["a.png", "3", "instances", "1001.0", "ms"],
        ["class", "pixels", "share", "instances"],
        ["background", "830", "69.17%", "0"],
        ["coin", "330", "27.50%", "2"],
        ["token", "40", "3.33%", "1"],
    ]


def test_only_what_is_there_is_listed_and_only_the_largest() -> None:
    rows = [(f"class {number}", number, number / 1000, 0) for number in range(30)]
    assert class_table(rows).row_count == 21
    assert class_table([("nothing", 0, 0.0, 0), ("only seen as a thing", 0, 0.0, 1)]).row_count == 1
