"""`retinue models warm`: what it compiles, where, and what it refuses."""

from pathlib import Path

import pytest

from retinue.cli.main import main
from retinue.runtime.package import cache_name, open_package
from retinue.runtime.providers import installed_providers
from tests.unit.cli.tiny_classifiers import make_package, rows
from tests.unit.runtime.tiny_detectors import CONTENTS, write_detector

needs_openvino = pytest.mark.skipif("openvino" not in installed_providers(), reason="an extra")


@needs_openvino
def test_warm_fills_a_folder_for_each_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_package(tmp_path / "models")
    for family in CONTENTS:
        write_detector(tmp_path / "models", family)
    cache = tmp_path / "cache"
    arguments = ["models", "warm", "--provider", "openvino", "--cache", str(cache), "--root", str(tmp_path / "models")]
    assert main([*arguments, "--max-batch", "2"]) == 0
    lines = rows(capsys.readouterr().out)
    assert [line[:3] for line in lines[1:]] == [
        ["one-stage", "1", "ready"],
        ["pets", "1", "ready"],
        ["transformer", "1", "ready"],
        ["two-stage", "1", "ready"],
    ]
    assert len(list((cache / cache_name(open_package(folder))).iterdir())) == 2  # one for each size of batch


@needs_openvino
def test_warm_tells_what_cannot_be_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    make_package(tmp_path, "rubbish", make=lambda path: path.write_bytes(b"no graph"))
    arguments = ["models", "warm", "--provider", "openvino", "--cache", str(tmp_path / "c"), "--root", str(tmp_path)]
    assert main(arguments) == 1
    lines = rows(capsys.readouterr().out)
    assert [line[2] for line in lines[1:3]] == ["ready", "broken"]


@pytest.mark.skipif("tensorrt" in installed_providers(), reason="TensorRT is here")
def test_warm_without_tensorrt_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    assert main(["models", "warm", "--cache", str(tmp_path / "c"), "--root", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no tensorrt" in error
    assert "retinue[gpu]" in error
    assert not (tmp_path / "c").exists()


def test_warm_refuses_an_unknown_model_and_needs_a_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    assert main(["models", "warm", "newts", "--cache", str(tmp_path / "c"), "--root", str(tmp_path)]) == 2
    assert "no model newts; known models: pets" in capsys.readouterr().err
    assert main(["models", "warm", "--root", str(tmp_path)]) == 2
    assert "--cache" in capsys.readouterr().err


@needs_openvino
def test_warm_refuses_a_cache_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path / "models")
    (tmp_path / "file").write_text("")
    arguments = ["models", "warm", "--provider", "openvino", "--root", str(tmp_path / "models")]
    assert main([*arguments, "--cache", str(tmp_path / "file" / "c")]) == 2
    assert "cannot be written" in capsys.readouterr().err
