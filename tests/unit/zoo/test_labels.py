import json
from pathlib import Path
from typing import Any

import pytest

from retinue.zoo.errors import PackageRefused
from retinue.zoo.labels import labels_for


def test_without_labels_classes_are_numbered() -> None:
    assert labels_for(1001)[-1] == "class_1000"


def test_given_labels_are_taken() -> None:
    assert labels_for(2, ["cat", "dog"]) == ("cat", "dog")


def test_a_text_file_has_a_label_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffcrane\nmaillot, tank suit\r\ncrane\n\n", encoding="utf-8")
    assert labels_for(3, path) == ("crane", "maillot, tank suit", "crane")
    assert labels_for(3, str(path)) == labels_for(3, path)


@pytest.mark.parametrize(
    "content", [["cat", "dog"], {"1": "dog", "0": "cat"}, {"0": ["n02121808", "cat"], "1": ["n02084071", "dog"]}]
)
def test_a_json_file_is_a_list_or_goes_by_class_id(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    assert labels_for(2, path) == ("cat", "dog")


@pytest.mark.parametrize("content", ["3", "{", '{"1": "a", "2": "b"}', "[1, 2]", "[[], []]", '["a"]', '["a", " "]'])
def test_other_json_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(PackageRefused, match="labels: "):
        labels_for(2, path)


def test_another_count_is_refused() -> None:
    with pytest.raises(PackageRefused, match="there are 1 names for 2 classes"):
        labels_for(2, ["cat"])


def test_an_empty_line_between_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\n\ndog\n")
    with pytest.raises(PackageRefused, match="class 1 has no name"):
        labels_for(3, path)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    for name in ("no.txt", "latin.txt"):
        with pytest.raises(PackageRefused, match=f"{name} cannot be read"):
            labels_for(1, tmp_path / name)
