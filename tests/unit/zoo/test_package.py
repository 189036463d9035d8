import hashlib
from pathlib import Path
from typing import Any

import pytest

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.package import open_package
from retinue.zoo.errors import PackageExists, PackageRefused
from retinue.zoo.package import write_package

FIELDS: dict[str, Any] = {
    "name": "net",
    "version": "1",
    "task": "classification",
    "family": "logits",
    "labels": ["cat", "dog"],
    "input": {"height": 8, "width": 8, "fit": "stretch"},
    "provenance": {"source": "a test"},
    "licence": "CC0-1.0",
}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "whatever.onnx"
    path.write_bytes(b"graph")
    return path


def _tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_package_holds_files_digests_and_manifest(tmp_path: Path, graph: Path) -> None:
    folder = write_package(tmp_path / "models", FIELDS, {"model.onnx": graph})
    package = open_package(folder)
    package.verify()
    assert package.manifest.files == {"model.onnx": hashlib.sha256(b"graph").hexdigest()}
    assert _tree(tmp_path / "models") == {"net", "net/1", "net/1/model.onnx", "net/1/model.yaml"}


def test_an_existing_version_is_kept(tmp_path: Path, graph: Path) -> None:
    write_package(tmp_path / "models", FIELDS, {"model.onnx": graph})
    graph.write_bytes(b"other")
    with pytest.raises(PackageExists, match=r"model net version 1 exists"):
        write_package(tmp_path / "models", FIELDS, {"model.onnx": graph})
    assert (tmp_path / "models/net/1/model.onnx").read_bytes() == b"graph"


def test_an_existing_version_is_replaced_if_wanted(tmp_path: Path, graph: Path) -> None:
    folder = write_package(tmp_path / "models", FIELDS, {"model.onnx": graph})
    (folder / "left over").touch()
    graph.write_bytes(b"other")
    assert write_package(tmp_path / "models", FIELDS, {"model.onnx": graph}, overwrite=True) == folder
    open_package(folder).verify()
    assert _tree(tmp_path / "models") == {"net", "net/1", "net/1/model.onnx", "net/1/model.yaml"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"labels": []}, "labels"),
        ({"version": "../1"}, "version"),
        ({"name": "a/b"}, "name"),
        ({"what": 1}, "what"),
        ({"input": {"height": 0, "width": 8, "fit": "stretch"}}, "input.height"),
    ],
)
def test_an_invalid_field_is_named_and_nothing_is_written(
    tmp_path: Path, graph: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(PackageRefused, match=named):
        write_package(tmp_path / "models", {**FIELDS, **change}, {"model.onnx": graph})
    assert not (tmp_path / "models").exists()


def test_a_package_without_a_graph_is_refused(tmp_path: Path, graph: Path) -> None:
    with pytest.raises(PackageRefused, match=r"files does not list model.onnx"):
        write_package(tmp_path / "models", FIELDS, {"other.onnx": graph})


def test_a_missing_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match=r"no.onnx cannot be read"):
        write_package(tmp_path / "models", FIELDS, {"model.onnx": tmp_path / "no.onnx"})
    assert not (tmp_path / "models").exists()
