"""The `retinue models` commands on repositories made here, with real graphs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from retinue.cli.main import main
from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy, LogitsOutput, OpenSet
from retinue.runtime.manifest import Accuracy, Provenance
from retinue.runtime.manifest_file import write_manifest
from retinue.runtime.package import sha256_of

LABELS = ("cat", "dog", "newt")


def make_graph(path: Path, *, classes: int = 3, output: str = "logits", scale: float = 1.0) -> None:
    """Write a graph whose logits are the picture's mean times 0, 1, 2 and so on."""
    weights = numpy_helper.from_array(np.arange(classes, dtype=np.float32)[None] * scale, "weights")
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], [output]),
    ]
    one = numpy_helper.from_array(np.array([1]), "one")
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 12, 3])
    logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", classes])
    graph = helper.make_graph(nodes, "mean", [image], [logits], [weights, axes, one])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def make_package(
    root: Path, name: str = "pets", version: str = "1", *, make: Callable[[Path], Any] = make_graph, **fields: Any
) -> Path:
    """Write a package and return its folder."""
    folder = root / name / version
    folder.mkdir(parents=True)
    make(folder / "model.onnx")
    manifest = ClassificationManifest.model_validate(
        {
            "manifest_version": 1,
            "name": name,
            "version": version,
            "task": "classification",
            "family": "logits",
            "labels": LABELS,
            "input": InputPolicy(height=8, width=12, fit="stretch"),
            "files": {"model.onnx": sha256_of(folder / "model.onnx")},
            "provenance": Provenance(source="made by hand"),
            "licence": "Apache-2.0",
            **fields,
        }
    )
    write_manifest(manifest, folder)
    return folder


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


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


def test_show_tells_what_the_manifest_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path, version="1")
    folder = make_package(
        tmp_path,
        version="2",
        description="Tells [pets] apart.",
        labels=tuple(f"kind {number}" for number in range(1000)),
        input=InputPolicy(height=224, width=224, fit="crop", short_side=256, kernel="bicubic"),
        output=LogitsOutput(embedding="features", embedding_size=576),
        open_set=OpenSet(method="energy", threshold=-7.25, temperature=2, auroc=0.9375, measured_on="strangers"),
        accuracy=(Accuracy(metric="top1", value=0.875, dataset="validation", sample_count=50),),
        provenance=Provenance(source="made by hand", data="pictures, CC0", checkpoint_sha256="0" * 64),
    )
    assert main(["models", "show", "pets", "--root", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    facts = dict(line.split("  ", 1) for line in text.splitlines())
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    assert facts["model"] == "pets@2"
    assert facts["description"] == "Tells [pets] apart."
    assert facts["folder"] == str(folder)
    assert facts["classes"].startswith("1000: kind 0, kind 1,")
    assert facts["classes"].endswith("and 990 more")
    assert facts["input"] == "224x224 pixels, shorter side scaled to 256, centre cut out, bicubic with antialias"
    assert facts["embedding"] == "576 features"
    assert facts["open set"] == "energy, unknown above -7.25, temperature 2, AUROC 0.9375, measured on strangers"
    assert facts["accuracy"] == "top1 0.875 on validation, 50 samples"
    assert (facts["source"], facts["data"], facts["licence"]) == ("made by hand", "pictures, CC0", "Apache-2.0")
    assert facts["checkpoint"] == f"sha256 {'0' * 64}"
    main(["models", "show", "pets@1", "--root", str(tmp_path)])
    text = capsys.readouterr().out
    assert "not calibrated" in text
    assert "not measured" in text


def test_show_of_what_is_not_there_names_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    for name in ("birds", "pets@2"):
        assert main(["models", "show", name, "--root", str(tmp_path)]) == 2
        assert capsys.readouterr().err == f"retinue: no model {name}; known models: pets\n"


def test_show_of_a_broken_model_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (make_package(tmp_path) / "model.yaml").write_text("name: pets")
    assert main(["models", "show", "pets", "--root", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("retinue: pets@1 is broken: model.yaml")
    assert captured.err.count("\n") == 1


def test_verify_finds_nothing_wrong_with_a_good_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_package(tmp_path)
    assert main(["models", "verify", "--root", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert rows(captured.out) == [["model", "version", "state", "problem"], ["pets", "1", "ok"]]
    assert captured.err == ""


@pytest.mark.parametrize(
    ("make", "fields", "problem"),
    [
        (lambda path: path.write_bytes(b"no graph"), {}, "cannot be loaded"),
        (
            lambda path: make_graph(path, classes=4),
            {},
            "logits is float32 [2, 4], the manifest says float32 [batch, 3]",
        ),
        (lambda path: make_graph(path, output="scores"), {}, "the graph has no logits"),
        (lambda path: make_graph(path, scale=1e38), {}, "not finite"),
        (make_graph, {"input": InputPolicy(height=9, width=9, fit="stretch")}, "the graph failed"),
        (make_graph, {"output": LogitsOutput(embedding="features", embedding_size=2)}, "the graph has no features"),
    ],
)
def test_verify_tells_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, fields: dict[str, Any], problem: str
) -> None:
    make_package(tmp_path, make=make, **fields)
    assert main(["models", "verify", "--root", str(tmp_path)]) == 1
    _, (name, version, state, *words) = rows(capsys.readouterr().out)
    assert (name, version, state) == ("pets", "1", "broken")
    assert problem in " ".join(words)


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


def test_import_without_torch_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("retinue.zoo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # which makes importing it fail
    assert main(["models", "import", str(tmp_path / "x.pth"), "--name", "x"]) == 2
    assert capsys.readouterr().err == "retinue: import needs torch: pip install 'retinue[zoo,cpu]'\n"


@pytest.mark.parametrize(
    ("option", "code"), [([], 1), (["--architecture", "nothing"], 2), (["--preprocessing", "nothing"], 2)]
)
def test_import_of_what_is_no_checkpoint_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], code: int
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"rubbish")
    assert main(["models", "import", str(path), "--name", "x", "--root", str(tmp_path), *option]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("retinue: ")
    assert captured.err.count("\n") == 1
