"""A YOLO's own export becomes a package: its form, classes, sides and names are read off."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from retinue.runtime.detection_manifest import YoloManifest
from retinue.runtime.package import open_package
from retinue.zoo.errors import CheckpointInvalid, PackageExists, PackageRefused
from retinue.zoo.yolo_import import import_yolo

NAMES = "{0: 'person', 1: \"dog's\"}"


def yolo(
    folder: Path,
    output: tuple[int | str, ...],
    *,
    sides: tuple[int | str, ...] = (1, 3, 64, 96),
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a graph of that input and output; it is not run."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, sides)
    out = helper.make_tensor_value_info("output0", TensorProto.FLOAT, output)
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["output0"])], "yolo", [image], [out])
    model = helper.make_model(graph)
    helper.set_model_props(model, metadata or {})
    path = folder / "yolo.onnx"
    onnx.save(model, path)
    return path


def imported(path: Path, **options: Any) -> YoloManifest:
    package = open_package(import_yolo(path, path.parent / "models", name="mine", **options))
    package.verify()
    return YoloManifest.of(package.manifest)


@pytest.mark.parametrize(
    ("output", "form", "count"),
    [
        ((1, 84, 8400), "anchor_free", 80),
        ((1, 25200, 85), "anchor_based", 80),
        ((1, 5, 126), "anchor_free", 1),
        ((1, 126, 6), "anchor_based", 1),
    ],
)
def test_form_and_class_count_are_read_off_the_output(
    tmp_path: Path, output: tuple[int, ...], form: str, count: int
) -> None:
    manifest = imported(yolo(tmp_path, output))
    assert (manifest.output.form, len(manifest.labels)) == (form, count)
    assert (manifest.input.height, manifest.input.width, manifest.input.tensor) == (64, 96, "images")


def test_names_are_those_in_the_file(tmp_path: Path) -> None:
    manifest = imported(yolo(tmp_path, ("batch", 6, "boxes"), metadata={"names": NAMES}))
    assert manifest.labels == ("person", "dog's")
    assert manifest.output.form == "anchor_free"


def test_names_that_are_given_come_first(tmp_path: Path) -> None:
    manifest = imported(yolo(tmp_path, (1, 6, 126), metadata={"names": NAMES}), labels=["a", "b"])
    assert manifest.labels == ("a", "b")


def test_names_that_are_none_are_passed_over(tmp_path: Path) -> None:
    manifest = imported(yolo(tmp_path, (1, 6, 126), metadata={"names": "__import__('os')"}))
    assert manifest.labels == ("class_0000", "class_0001")


def test_free_sides_are_those_of_the_metadata_or_asked_for(tmp_path: Path) -> None:
    free = ("batch", 3, "height", "width")
    told = imported(yolo(tmp_path, (1, 6, 126), sides=free, metadata={"imgsz": "[32, 64]"}))
    assert (told.input.height, told.input.width) == (32, 64)
    asked = imported(yolo(tmp_path, (1, 6, 126), sides=free), image_size=(96, 128), overwrite=True)
    assert (asked.input.height, asked.input.width) == (96, 128)
    with pytest.raises(CheckpointInvalid, match="leaves the size of its input free"):
        imported(yolo(tmp_path, (1, 6, 126), sides=free), overwrite=True)


@pytest.mark.parametrize("output", [(1, 6), (1, 4, 126), (1, 7, 126, 2), ("batch", "rows", "columns")])
def test_an_output_of_another_form_is_refused(tmp_path: Path, output: tuple[int | str, ...]) -> None:
    with pytest.raises(CheckpointInvalid, match=r"neither \[batch, 4 \+ classes, boxes\] nor"):
        imported(yolo(tmp_path, output))


def test_labels_that_do_not_fit_the_output_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="for 3 classes"):
        imported(yolo(tmp_path, (1, 6, 126)), labels=["a", "b", "c"])
    with pytest.raises(PackageRefused, match="cannot be read"):
        imported(yolo(tmp_path, (1, 6, 126)), labels=tmp_path / "nothing.txt")


def test_an_input_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match=r"not \[batch, 3, height, width\]"):
        imported(yolo(tmp_path, (1, 6, 126), sides=(1, 64, 64, 3)))


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "yolo.onnx"
    path.write_bytes(b"\xff\xff rubbish")
    with pytest.raises(CheckpointInvalid, match=r"yolo\.onnx"):
        imported(path)


def test_a_package_that_is_there_is_kept(tmp_path: Path) -> None:
    path = yolo(tmp_path, (1, 6, 126))
    imported(path)
    with pytest.raises(PackageExists):
        imported(path)
