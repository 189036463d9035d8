"""`retinue models list` on repositories made here, one row for each model."""

from pathlib import Path

import pytest

from retinue.cli.main import main
from retinue.runtime.manifest import Accuracy
from tests.unit.cli.tiny_classifiers import make_package, rows
from tests.unit.runtime.tiny_detectors import CONTENTS, write_detector


def test_list_shows_every_model_and_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = (Accuracy(metric="top1", value=0.875, dataset="validation"),)
    one, other = tmp_path / "one", tmp_path / "other"
    make_package(one, version="10", accuracy=accuracy)
    make_package(one, version="9")
    make_package(other, "birds")
    assert main(["models", "list", "--root", str(one), "--root", str(other)]) == 0
    header, *found = rows(capsys.readouterr().out)
    assert header == ["model", "version", "task", "classes", "input", "accuracy", "licence"]
    assert found == [
        ["birds", "1", "classification", "3", "12x8", "not", "measured", "Apache-2.0"],
        ["pets", "9", "classification", "3", "12x8", "not", "measured", "Apache-2.0"],
        ["pets", "10", "classification", "3", "12x8", "top1", "0.875", "Apache-2.0"],
    ]


def test_list_shows_what_is_broken_in_its_own_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path, "good")
    (make_package(tmp_path) / "model.yaml").write_text("name: [unclosed")
    assert main(["models", "list", "--root", str(tmp_path)]) == 1
    header, good, broken, *_ = rows(capsys.readouterr().out)
    assert header[-1] == "problem"
    assert (good[0], good[-1]) == ("good", "Apache-2.0")
    assert broken[:7] == ["pets", "1", "broken", "model.yaml", "is", "not", "YAML:"]


def test_an_empty_repository_has_no_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "verify"):
        assert main(["models", command, "--root", str(tmp_path)]) == 0
        assert capsys.readouterr().out == "no models\n"


def test_the_default_repository_is_the_folder_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", "list"]) == 2
    assert "--root" in capsys.readouterr().err
    make_package(tmp_path / "models")
    assert main(["models", "list"]) == 0
    assert "pets" in capsys.readouterr().out


def test_list_shows_detectors_of_every_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    for family in CONTENTS:
        write_detector(tmp_path, family)
    assert main(["models", "list", "--root", str(tmp_path)]) == 0
    _, *found = rows(capsys.readouterr().out)
    assert found == [
        ["one-stage", "1", "detection", "3", "96x64", "not", "measured", "CC0-1.0"],
        ["pets", "1", "classification", "3", "12x8", "not", "measured", "Apache-2.0"],
        ["transformer", "1", "detection", "3", "800", "to", "1333", "not", "measured", "CC0-1.0"],
        ["two-stage", "1", "detection", "3", "96", "to", "160", "not", "measured", "CC0-1.0"],
    ]


@pytest.mark.parametrize("family", CONTENTS)
def test_list_says_what_is_wrong_with_a_detectors_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str
) -> None:
    manifest = write_detector(tmp_path, family)
    path = tmp_path / manifest.name / "1" / "model.yaml"
    path.write_text(path.read_text().replace("family: ", "family: fast_"))
    assert main(["models", "list", "--root", str(tmp_path)]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "broken" in text
    assert f"family: must be one of faster_rcnn, detr, yolo, got 'fast_{family}'" in text
