"""What people are told of a manifest: nothing that matters to an answer is left out."""

from typing import Any

import pytest

from retinue.cli.model_facts import input_size, task_facts
from tests.unit.runtime.manifest_changes import changed, read
from tests.unit.runtime.numbers_read import manifest_of
from tests.unit.runtime.tiny_detectors import CONTENTS, content_of, detector_manifest


def facts(manifest: Any) -> dict[str, str]:
    return dict(task_facts(manifest))


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (
            {"height": 8, "width": 12, "fit": "stretch", "antialias": False, "kernel": "area"},
            "12x8 pixels, both sides scaled, area without antialias",
        ),
        (
            {"height": 8, "width": 12, "fit": "crop", "short_side": 16},
            "12x8 pixels, shorter side scaled to 16, centre cut out, bilinear with antialias",
        ),
        (
            {"height": 8, "width": 12, "fit": "letterbox", "pad_value": 7, "kernel": "bicubic"},
            "12x8 pixels, scaled to fit inside, rest filled with 7, bicubic with antialias",
        ),
    ],
)
def test_a_classifiers_input_is_told(policy: dict[str, Any], told: str) -> None:
    manifest = manifest_of(input=policy)

    assert facts(manifest)["input"] == told
    assert input_size(manifest) == "12x8"


def test_a_classifiers_scores_features_and_calibration_are_told() -> None:
    assert facts(manifest_of()) | {"input": ""} == {
        "input": "",
        "scores": "softmax",
        "embedding": "none",
        "open set": "not calibrated",
    }
    told = facts(
        manifest_of(
            output={"activation": "sigmoid", "embedding": "z", "embedding_size": 64},
            open_set={"method": "max_softmax", "threshold": 0.25, "auroc": 0.5, "measured_on": "noise"},
        )
    )
    assert (told["scores"], told["embedding"]) == ("sigmoid", "64 features")
    assert told["open set"] == "max_softmax, unknown above 0.25, AUROC 0.5, measured on noise"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (
            {},
            "shorter side scaled to 800, longer to at most 1333 pixels, bilinear without antialias, float32",
        ),
        (
            {"short_side": 96, "long_side": 160, "pixels": "uint8", "antialias": True},
            "shorter side scaled to 96, longer to at most 160 pixels, bilinear with antialias, uint8",
        ),
    ],
)
def test_an_input_by_the_shorter_side_is_told(policy: dict[str, Any], told: str) -> None:
    assert facts(detector_manifest("detr", input=policy))["input"] == told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "in the centre, rest filled with 114, float32 nchw rgb, divided by 255"),
        (
            {"align": "corner", "pad_value": 0, "channels": "bgr", "divisor": 1},
            "in the upper left corner, rest filled with 0, float32 nchw bgr, divided by 1",
        ),
        ({"layout": "nhwc", "pixels": "uint8"}, "in the centre, rest filled with 114, uint8 nhwc rgb"),
    ],
)
def test_a_letterboxed_input_is_told(changes: dict[str, Any], told: str) -> None:
    manifest = detector_manifest("yolo", input={"height": 64, "width": 96} | changes)

    assert facts(manifest)["input"] == f"96x64 pixels, scaled to fit inside, {told}"


@pytest.mark.parametrize(("family", "size"), [("faster_rcnn", "96 to 160"), ("detr", "800 to 1333"), ("yolo", "96x64")])
def test_the_size_of_an_input_fits_into_a_table(family: str, size: str) -> None:
    assert input_size(detector_manifest(family)) == size


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("faster_rcnn", "at most 100, score at least 0.05, hard suppression above IoU 0.5 within a class"),
        ("detr", "at most 100, score at least 0, no suppression"),
        ("yolo", "at most 300, score at least 0.25, hard suppression above IoU 0.7 within a class"),
    ],
)
def test_which_boxes_are_answered_is_told(family: str, told: str) -> None:
    assert facts(detector_manifest(family))["boxes"] == told


def test_suppression_across_classes_is_told() -> None:
    selection = {"nms": "diou", "is_class_agnostic": True, "max_detections": 7}
    told = facts(read(changed(content_of("yolo"), "output.selection", selection)))["boxes"]

    assert told == "at most 7, score at least 0.25, diou suppression above IoU 0.7 across classes"


@pytest.mark.parametrize("family", CONTENTS)
def test_a_detector_has_nothing_of_a_classifiers(family: str) -> None:
    assert list(facts(detector_manifest(family))) == ["input", "boxes"]
