"""The graphs of each family against their manifest, by what ONNX Runtime says of real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retinue.runtime.backend import TensorInfo
from retinue.runtime.detection_contract import check_detr, check_faster_rcnn, check_yolo
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.onnx_backend import OnnxBackend
from tests.unit.runtime.manifest_changes import changed, read
from tests.unit.runtime.tiny_detectors import (
    content_of,
    detector_manifest,
    detr_graph,
    head_graph,
    rpn_graph,
    yolo_graph,
)

Load = Callable[[bytes], OnnxBackend]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(graph: bytes) -> OnnxBackend:
        path = tmp_path / "model.onnx"
        path.write_bytes(graph)
        return OnnxBackend(path)

    return loaded


def problem(check: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(PackageInvalid) as raised:
        check(*arguments)
    message: str = raised.value.message
    return message


def with_(family: str, path: str, value: Any) -> Any:
    """Return the manifest of a family with one value changed."""
    return read(changed(content_of(family), path, value))


# --- faster_rcnn


def test_two_graphs_that_fit_are_good(load: Load) -> None:
    check_faster_rcnn(detector_manifest("faster_rcnn"), load(rpn_graph()), load(head_graph()))


def test_a_second_graph_that_leaves_its_classes_open_is_good(load: Load) -> None:
    check_faster_rcnn(detector_manifest("faster_rcnn"), load(rpn_graph()), load(head_graph(is_open=True)))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("input.tensor", "input"),
        ("input.size_tensor", "input"),
        ("output.objectness", "output"),
        ("output.anchor", "output"),
        ("output.anchor_deltas", "output"),
        ("output.boxes", "input"),
        ("output.picture", "input"),
        ("output.scores", "output"),
        ("output.box_deltas", "output"),
    ],
)
def test_every_tensor_of_two_stages_is_looked_for(load: Load, path: str, kind: str) -> None:
    message = problem(check_faster_rcnn, with_("faster_rcnn", path, "other"), load(rpn_graph()), load(head_graph()))

    assert message == f"two-stage@1: the graph has no {kind} other"


def test_every_feature_must_leave_the_first_graph_and_go_into_the_second(load: Load) -> None:
    manifest = with_("faster_rcnn", "output.levels", ["p5"])
    first, second = rpn_graph(level="p5"), head_graph(level="p5")

    assert problem(check_faster_rcnn, manifest, load(rpn_graph()), load(second)).endswith("no output p5")
    assert problem(check_faster_rcnn, manifest, load(first), load(head_graph())).endswith("no input p5")
    check_faster_rcnn(manifest, load(first), load(second))


@pytest.mark.parametrize("labels", [["background", "cat"], ["background", "cat", "dog", "newt"]])
def test_a_second_graph_of_other_classes_is_refused(load: Load, labels: list[str]) -> None:
    manifest = detector_manifest("faster_rcnn", labels=labels)
    message = problem(check_faster_rcnn, manifest, load(rpn_graph()), load(head_graph()))

    assert message == (
        f"two-stage@1: output scores is tensor(float)[None, 3], the manifest needs tensor(float)[any, {len(labels)}]"
    )


def test_pictures_of_another_type_are_refused(load: Load) -> None:
    message = problem(
        check_faster_rcnn, detector_manifest("faster_rcnn"), load(rpn_graph(pixels="uint8")), load(head_graph())
    )

    assert message == (
        "two-stage@1: input image is tensor(uint8)[None, None, None, 3], "
        "the manifest needs tensor(float)[batch, batch, batch, 3]"
    )


def test_graphs_in_each_others_place_are_refused(load: Load) -> None:
    manifest = detector_manifest("faster_rcnn")

    assert problem(check_faster_rcnn, manifest, load(head_graph()), load(rpn_graph())).endswith("no input image")


# --- detr


@pytest.mark.parametrize("pixels", ["uint8", "float32"])
def test_a_transformer_that_fits_is_good(load: Load, pixels: str) -> None:
    manifest = detector_manifest("detr", input={"pixels": pixels})
    check_detr(manifest, load(detr_graph(pixels=pixels)))
    check_detr(manifest, load(detr_graph(pixels=pixels, is_open=True)))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("input.tensor", "input"),
        ("input.size_tensor", "input"),
        ("output.logits", "output"),
        ("output.boxes", "output"),
    ],
)
def test_every_tensor_of_a_transformer_is_looked_for(load: Load, path: str, kind: str) -> None:
    assert problem(check_detr, with_("detr", path, "other"), load(detr_graph())).endswith(f"no {kind} other")


@pytest.mark.parametrize("classes", [2, 4])
def test_a_transformer_of_other_classes_is_refused(load: Load, classes: int) -> None:
    """One more than the labels: no object is none of them."""
    assert problem(check_detr, detector_manifest("detr"), load(detr_graph(classes=classes))).endswith(
        f"output logits is tensor(float)[None, 5, {classes + 1}], the manifest needs tensor(float)[any, any, 4]"
    )


# --- yolo


def test_a_one_stage_graph_that_fits_is_good_and_its_input_returned(load: Load) -> None:
    info = check_yolo(detector_manifest("yolo"), load(yolo_graph()))

    assert info == TensorInfo("images", "tensor(float)", (None, 3, 64, 96))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_good(load: Load, batch: int) -> None:
    """Exporters leave it so unless they are told otherwise."""
    assert check_yolo(detector_manifest("yolo"), load(yolo_graph(batch=batch))).shape[0] == batch


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("pixels", ["float32", "uint8"])
@pytest.mark.parametrize("form", ["anchor_free", "anchor_based"])
def test_layout_type_and_form_are_those_of_the_manifest(load: Load, layout: str, pixels: str, form: str) -> None:
    graph = load(yolo_graph(layout=layout, pixels=pixels, is_anchor_free=form == "anchor_free"))
    wanted: dict[str, Any] = {"height": 64, "width": 96, "layout": layout, "pixels": pixels}
    check_yolo(detector_manifest("yolo", input=wanted, output={"form": form}), graph)

    for key, other in (
        ("layout", {"nchw": "nhwc", "nhwc": "nchw"}[layout]),
        ("pixels", {"float32": "uint8", "uint8": "float32"}[pixels]),
        ("height", 96),
        ("width", 64),
    ):
        manifest = detector_manifest("yolo", input=wanted | {key: other}, output={"form": form})
        assert "input images is" in problem(check_yolo, manifest, graph)
    other_form = {"anchor_free": "anchor_based", "anchor_based": "anchor_free"}[form]
    assert "output output0 is" in problem(
        check_yolo, detector_manifest("yolo", input=wanted, output={"form": other_form}), graph
    )


@pytest.mark.parametrize(("path", "kind"), [("input.tensor", "input"), ("output.tensor", "output")])
def test_every_tensor_of_one_stage_is_looked_for(load: Load, path: str, kind: str) -> None:
    assert problem(check_yolo, with_("yolo", path, "other"), load(yolo_graph())).endswith(f"no {kind} other")


@pytest.mark.parametrize("width", [6, 8, 84])
def test_a_one_stage_graph_of_other_classes_is_refused(load: Load, width: int) -> None:
    assert problem(check_yolo, detector_manifest("yolo"), load(yolo_graph(width=width))) == (
        f"one-stage@1: output output0 is tensor(float)[None, {width}, 9], the manifest needs tensor(float)[any, 7, any]"
    )


def test_a_one_stage_graph_with_more_inputs_is_refused(load: Load) -> None:
    """Such as one with suppression inside, which wants thresholds."""
    graph = load(yolo_graph(more_inputs=("score", "iou")))

    assert problem(check_yolo, detector_manifest("yolo"), graph) == "one-stage@1: the graph also wants iou, score"


# --- all


def test_a_graph_with_more_inputs_is_refused_whatever_its_family(load: Load) -> None:
    first, second = load(rpn_graph()), load(head_graph())
    first_more, second_more = load(rpn_graph(more_inputs=("mask",))), load(head_graph(more_inputs=("mask",)))
    manifest = detector_manifest("faster_rcnn")

    assert problem(check_faster_rcnn, manifest, first_more, second).endswith("the graph also wants mask")
    assert problem(check_faster_rcnn, manifest, first, second_more).endswith("the graph also wants mask")
    assert problem(check_detr, detector_manifest("detr"), load(detr_graph(more_inputs=("mask",)))).endswith(
        "wants mask"
    )
