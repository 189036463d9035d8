"""Whether detectors answer as their manifest says, by asking real graphs of each family."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from retinue.cli.detector_check import check_detector
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.onnx_backend import OnnxBackend
from tests.unit.runtime.manifest_changes import changed
from tests.unit.runtime.tiny_detectors import (
    CONTENTS,
    content_of,
    detr_graph,
    head_graph,
    rpn_graph,
    write_detector,
    yolo_graph,
)

INFINITE = float("inf")


def check(root: Path, family: str, graphs: Mapping[str, bytes] | None = None, **changes: Any) -> None:
    """Write a package and check it."""
    manifest = write_detector(root, family, graphs=graphs, **changes)
    check_detector(manifest, lambda name: OnnxBackend(root / manifest.name / manifest.version / name))


def problem(root: Path, family: str, graphs: Mapping[str, bytes] | None = None, **changes: Any) -> str:
    with pytest.raises(PackageInvalid) as raised:
        check(root, family, graphs, **changes)
    message: str = raised.value.message
    return message


@pytest.mark.parametrize("family", CONTENTS)
def test_a_detector_that_answers_as_it_says_is_good(tmp_path: Path, family: str) -> None:
    check(tmp_path, family)


# --- faster_rcnn


@pytest.mark.parametrize(
    ("graphs", "told"),
    [
        ({"rpn.onnx": rpn_graph(stride=8)}, "objectness is [2, 512], the manifest says [2, 128]"),
        ({"rpn.onnx": rpn_graph(stride=32)}, "objectness is [2, 32], the manifest says [2, 128]"),
        ({"rpn.onnx": rpn_graph(first_anchor=1)}, "anchor names anchors that its level does not have"),
        ({"rpn.onnx": rpn_graph(first_anchor=-1)}, "anchor names anchors that its level does not have"),
        ({"rpn.onnx": rpn_graph(scale=INFINITE)}, "objectness of a grey picture is not finite"),
        ({"head.onnx": head_graph(classes=4, is_open=True)}, "scores is [0, 4], the manifest says [0, 3]"),
        ({"head.onnx": head_graph(scale=INFINITE)}, "scores of a grey picture is not finite"),
    ],
)
def test_what_two_stages_do_not_keep_is_told(tmp_path: Path, graphs: dict[str, bytes], told: str) -> None:
    assert problem(tmp_path, "faster_rcnn", graphs) == told


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("strides", [8], "objectness is [2, 128], the manifest says [2, 512]"),
        ("aspect_ratios", [0.5, 1.0, 2.0], "objectness is [2, 128], the manifest says [2, 192]"),
        ("sizes", [[32, 64]], "objectness is [2, 128], the manifest says [2, 256]"),
    ],
)
def test_anchors_that_are_not_those_of_the_graph_are_told(tmp_path: Path, path: str, value: object, told: str) -> None:
    """Otherwise each box would start from another place than it was learned from."""
    output = changed(content_of("faster_rcnn"), f"output.anchors.{path}", value)["output"]

    assert problem(tmp_path, "faster_rcnn", output=output) == told


def test_a_graph_that_keeps_more_anchors_than_it_says_is_told(tmp_path: Path) -> None:
    output = changed(content_of("faster_rcnn"), "output.proposals.per_level", 100)["output"]

    assert problem(tmp_path, "faster_rcnn", output=output) == "objectness is [2, 128], the manifest says [2, 100]"


def test_a_picture_that_is_asked_about_is_a_multiple_of_the_divisor(tmp_path: Path) -> None:
    """112 is no power of two: of 128 pixels it makes 224, and 14 cells by 14 of two anchors."""
    policy = {"short_side": 96, "long_side": 160, "size_divisor": 112}
    check(tmp_path, "faster_rcnn", input=policy)
    told = problem(tmp_path / "other", "faster_rcnn", {"rpn.onnx": rpn_graph(stride=8)}, input=policy)

    assert told == "objectness is [2, 1568], the manifest says [2, 392]"


# --- detr


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        (detr_graph(classes=4, is_open=True), "logits is [2, 5, 5], the manifest says [2, any, 4]"),
        (detr_graph(box_queries=4), "boxes is [2, 4, 4], the manifest says [2, 5, 4]"),
        (detr_graph(scale=INFINITE), "logits of a grey picture is not finite"),
    ],
)
def test_what_a_transformer_does_not_keep_is_told(tmp_path: Path, graph: bytes, told: str) -> None:
    assert problem(tmp_path, "detr", {"model.onnx": graph}) == told


def test_a_transformer_may_take_floats(tmp_path: Path) -> None:
    check(tmp_path, "detr", {"model.onnx": detr_graph(pixels="float32")}, input={"rounding": "detr"})


# --- yolo


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("pixels", ["float32", "uint8"])
@pytest.mark.parametrize("batch", ["batch", 1, 3])
@pytest.mark.parametrize("form", ["anchor_free", "anchor_based"])
def test_one_stage_of_any_make_is_asked_in_its_own_way(
    tmp_path: Path, layout: str, pixels: str, batch: int | str, form: str
) -> None:
    graph = yolo_graph(layout=layout, pixels=pixels, batch=batch, is_anchor_free=form == "anchor_free")
    policy = {"height": 64, "width": 96, "layout": layout, "pixels": pixels}
    check(tmp_path, "yolo", {"model.onnx": graph}, input=policy, output={"form": form})


@pytest.mark.parametrize(
    ("graph", "form", "told"),
    [
        (yolo_graph(width=84, is_open=True), "anchor_free", "output0 is [2, 84, 9], the manifest says [2, 7, any]"),
        (
            yolo_graph(width=85, is_anchor_free=False, is_open=True),
            "anchor_based",
            "output0 is [2, 9, 85], the manifest says [2, any, 8]",
        ),
        (yolo_graph(is_open=True), "anchor_based", "output0 is [2, 7, 9], the manifest says [2, any, 8]"),
        (yolo_graph(scale=INFINITE), "anchor_free", "output0 of a grey picture is not finite"),
    ],
)
def test_what_one_stage_does_not_keep_is_told(tmp_path: Path, graph: bytes, form: str, told: str) -> None:
    assert problem(tmp_path, "yolo", {"model.onnx": graph}, output={"form": form}) == told


def test_bytes_are_asked_about_as_grey_and_not_as_black(tmp_path: Path) -> None:
    """A divisor is for floats; 128 / 255 of a byte would be 0."""
    graph = yolo_graph(pixels="uint8", scale=3e36)  # 128 of it are beyond float32, 0 is not

    assert "not finite" in problem(
        tmp_path, "yolo", {"model.onnx": graph}, input={"height": 64, "width": 96, "pixels": "uint8"}
    )
