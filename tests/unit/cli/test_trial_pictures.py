"""Pictures to try models on."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from retinue.cli.refusal import Refused
from retinue.cli.trial_pictures import trial_pictures


def test_one_is_made_where_none_is_named() -> None:
    [picture] = trial_pictures(None)
    assert picture.pixels().shape == (375, 500, 3)
    assert picture.pixels().std() > 30  # a blank picture would decode too fast


def test_files_are_opened_in_order(tmp_path: Path) -> None:
    for width in (5, 7):
        cv2.imwrite(str(tmp_path / f"{width}.png"), np.zeros((3, width, 3), np.uint8))
    pictures = trial_pictures([tmp_path / "7.png", tmp_path / "5.png"])
    assert [picture.info.width for picture in pictures] == [7, 5]


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Refused, match=r"a\.png: "):
        trial_pictures([tmp_path / "a.png"])


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"absent\.png cannot be read: No such file"):
        trial_pictures([tmp_path / "absent.png"])
