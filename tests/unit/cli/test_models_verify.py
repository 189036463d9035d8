"""`retinue models verify`: digests, graphs and answers, of what is named or of everything."""

import sys
from pathlib import Path

import pytest

from retinue.cli.main import main
from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy, OpenSet
from retinue.runtime.manifest import Provenance
from retinue.runtime.manifest_file import write_manifest
from retinue.runtime.package import sha256_of
from tests.unit.cli.tiny_classifiers import LABELS, make_graph, make_package, rows
from tests.unit.runtime.tiny_detectors import CONTENTS, detr_graph, head_graph, rpn_graph, write_detector, yolo_graph


def test_verify_finds_nothing_wrong_with_a_good_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    assert main(["models", "verify", "--root", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert rows(captured.out) == [["model", "version", "state", "problem"], ["pets", "1", "ok"]]
    assert captured.err == ""


def test_verify_tells_a_changed_and_a_lost_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed, lost = make_package(tmp_path, "changed"), make_package(tmp_path, "lost")
    make_package(tmp_path, "whole")
    with (changed / "model.onnx").open("ab") as file:
        file.write(b"\0")
    (lost / "model.onnx").unlink()
    assert main(["models", "verify", "--root", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert [row[2] for row in rows(text)[1:]] == ["broken", "broken", "ok"]
    assert "has sha256" in text
    assert "cannot be read" in text


def test_verify_looks_at_what_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, version in (("pets", "1"), ("pets", "2"), ("birds", "1")):
        make_package(tmp_path, name, version)
    main(["models", "verify", "pets@2", "birds", "--root", str(tmp_path)])
    assert [row[:2] for row in rows(capsys.readouterr().out)[1:]] == [["birds", "1"], ["pets", "2"]]
    assert main(["models", "verify", "newts", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "retinue: no model newts; known models: birds, pets\n"


def test_verify_reads_the_open_set_calibration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def with_rubbish(path: Path) -> None:
        make_graph(path)
        path.with_name("openmax.npz").write_bytes(b"rubbish")

    folder = make_package(tmp_path, make=with_rubbish)
    (folder / "model.yaml").unlink()
    files = {name: sha256_of(folder / name) for name in ("model.onnx", "openmax.npz")}
    manifest = ClassificationManifest(
        manifest_version=1,
        name="pets",
        version="1",
        task="classification",
        family="logits",
        labels=LABELS,
        input=InputPolicy(height=8, width=12, fit="stretch"),
        open_set=OpenSet(method="openmax", threshold=0.5, file="openmax.npz"),
        files=files,
        provenance=Provenance(source="made by hand"),
        licence="Apache-2.0",
    )
    write_manifest(manifest, folder)
    assert main(["models", "verify", "--root", str(tmp_path)]) == 1
    assert "openmax.npz" in capsys.readouterr().out


def test_verify_finds_nothing_wrong_with_good_detectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for family in CONTENTS:
        write_detector(tmp_path, family)
    assert main(["models", "verify", "--root", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert [row[:3] for row in rows(captured.out)[1:]] == [
        ["one-stage", "1", "ok"],
        ["transformer", "1", "ok"],
        ["two-stage", "1", "ok"],
    ]
    assert captured.err == ""


@pytest.mark.parametrize(
    ("family", "graphs", "problem"),
    [
        ("faster_rcnn", {"rpn.onnx": b"no graph"}, "rpn.onnx cannot be loaded"),
        ("faster_rcnn", {"head.onnx": b"no graph"}, "head.onnx cannot be loaded"),
        ("faster_rcnn", {"head.onnx": head_graph(classes=2)}, "output scores is tensor(float)[None, 2]"),
        ("faster_rcnn", {"rpn.onnx": rpn_graph(stride=8)}, "objectness is [2, 512], the manifest says [2, 128]"),
        ("detr", {"model.onnx": b""}, "model.onnx cannot be loaded"),
        ("detr", {"model.onnx": detr_graph(classes=9)}, "output logits is tensor(float)[None, 5, 10]"),
        ("yolo", {"model.onnx": yolo_graph(sides=(96, 96))}, "input images is tensor(float)[None, 3, 96, 96]"),
        ("yolo", {"model.onnx": detr_graph()}, "the graph has no input images"),
    ],
)
def test_verify_tells_what_is_wrong_with_a_detector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str, graphs: dict[str, bytes], problem: str
) -> None:
    write_detector(tmp_path, family, graphs=graphs)
    make_package(tmp_path, "zebras")
    assert main(["models", "verify", "--root", str(tmp_path)]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert problem in text
    assert "zebras 1 ok" in text


def test_verify_tells_a_changed_file_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_detector(tmp_path, "faster_rcnn")
    (tmp_path / "two-stage" / "1" / "head.onnx").write_bytes(b"changed")
    assert main(["models", "verify", "--root", str(tmp_path)]) == 1
    assert "two-stage@1: head.onnx has sha256" in " ".join(capsys.readouterr().out.split())


def test_verify_without_onnx_runtime_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path)
    for module in ("onnx_backend", "onnx_runtime"):
        monkeypatch.delitem(sys.modules, f"retinue.runtime.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # which makes importing it fail
    assert main(["models", "verify", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "retinue: ONNX Runtime is not installed: pip install 'retinue[cpu]' or 'retinue[gpu]'\n"
    )
