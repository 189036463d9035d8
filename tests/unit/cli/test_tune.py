"""`retinue tune`: what it measures, prints and writes, and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from retinue.cli.main import main
from retinue.runtime.hardware import this_hardware
from retinue.runtime.package import open_package
from retinue.runtime.tuning_file import digest_of, read_tuning
from tests.unit.cli.tiny_classifiers import make_package

HERE = this_hardware()


def test_tune_prints_and_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_package(tmp_path / "models")
    out = tmp_path / "tuning"
    arguments = ["tune", "pets", "--root", str(tmp_path / "models"), "--budget-s", "2", "--out", str(out)]
    assert main([*arguments, "--max-batch", "4"]) == 0
    text = capsys.readouterr().out
    written = read_tuning(out / f"{HERE.slug}.yaml", HERE)
    tuned = written.models["pets@1"]

    assert tuned.digest == digest_of(open_package(folder))
    assert tuned.measured.answers_per_s > 0
    assert tuned.engine.max_batch_size <= 4
    assert tuned.slo_ms == 50
    assert "onnxruntime" in tuned.runtimes
    chart = cv2.imread(str(out / f"{HERE.slug}-pets-1.png"))
    assert chart is not None
    assert chart.shape == (760, 1280, 3)
    assert "answers/s" in text
    assert "default" in text
    assert f"written: {out / HERE.slug}.yaml" in text


def test_tune_keeps_what_was_found_for_other_models(tmp_path: Path) -> None:
    make_package(tmp_path)
    make_package(tmp_path, version="2")
    for name in ("pets@1", "pets"):
        assert main(["tune", name, "--root", str(tmp_path), "--budget-s", "0.5", "--out", str(tmp_path / "t")]) == 0
    assert set(read_tuning(tmp_path / "t" / f"{HERE.slug}.yaml", HERE).models) == {"pets@1", "pets@2"}


def test_tune_asks_about_the_pictures_that_are_named(tmp_path: Path) -> None:
    make_package(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9, 3), np.uint8))
    arguments = ["tune", "pets", "--root", str(tmp_path), "--budget-s", "0.5", "--out", str(tmp_path / "t")]
    assert main([*arguments, "--image", str(tmp_path / "a.png")]) == 0


def run(root: Path, *arguments: str) -> int:
    return main(["tune", *arguments, "--root", str(root), "--budget-s", "0.5", "--out", str(root / "t")])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["newts"], "no model newts; known models: pets"),
        (["pets@9"], "no model pets@9"),
        (["pets", "--slo-ms", "0"], "'0' is not a number above 0"),
        (["pets", "--slo-ms", "nan"], "'nan' is not a number above 0"),
        (["pets", "--max-batch", "0"], "'0' is not a whole number from 1 up"),
        (["pets", "--image", "absent.png"], "absent.png cannot be read: No such file"),
        (["pets", "--image", __file__], "test_tune.py: "),
    ],
)
def test_tune_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    make_package(tmp_path)
    assert run(tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert not (tmp_path / "t").exists()


def test_tune_refuses_changed_and_broken_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_package(tmp_path)
    make_package(tmp_path, "rubbish", make=lambda path: path.write_bytes(b"no graph"))
    assert run(tmp_path, "rubbish") == 1
    assert "rubbish@1 cannot be run: model.onnx cannot be loaded" in capsys.readouterr().err
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    assert run(tmp_path, "pets") == 2
    assert "has sha256" in capsys.readouterr().err


def test_tune_does_not_write_over_a_file_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_package(tmp_path)
    path = tmp_path / "t" / f"{HERE.slug}.yaml"
    path.parent.mkdir()
    path.write_text("colour: red\n")
    assert run(tmp_path, "pets") == 2
    assert "colour: Extra inputs" in capsys.readouterr().err
    assert path.read_text() == "colour: red\n"
