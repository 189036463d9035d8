"""What `model.yaml` says of a detector: every number has two ends, and what belongs together is checked together."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from retinue.runtime.detection_manifest import (
    DetectionManifest,
    LetterboxInput,
    Selection,
    ShorterSideInput,
)
from retinue.runtime.manifest_file import manifest_schema
from tests.unit.runtime.manifest_changes import changed, problem, read
from tests.unit.runtime.tiny_detectors import CONTENTS, content_of, detector_manifest

FAMILIES = tuple(CONTENTS)
SELECTION: Final = "output.selection"


def value_at(manifest: Any, path: str) -> Any:
    """Return what stands at a path of a manifest."""
    place = manifest
    for key in path.split("."):
        place = place[int(key)] if key.isdigit() else getattr(place, key)
    return place


# --- what a least manifest means


def test_two_stage_detector_has_torchvisions_defaults() -> None:
    """`fasterrcnn_resnet50_fpn` as it is published."""
    manifest = detector_manifest("faster_rcnn", input={})
    policy, output = manifest.input, manifest.output

    assert (policy.short_side, policy.long_side, policy.size_divisor) == (800, 1333, 32)
    assert (policy.pixels, policy.rounding, policy.antialias) == ("float32", "floor", False)
    assert (policy.tensor, policy.size_tensor) == ("image", "size")
    proposals = output.proposals
    assert (proposals.per_level, proposals.count, proposals.nms_iou) == (1000, 1000, 0.7)
    assert (proposals.score_threshold, proposals.min_side_px, proposals.weights) == (0.0, 1e-3, (1, 1, 1, 1))
    assert (output.weights, output.min_side_px, output.anchors.convention) == ((10, 10, 5, 5), 1e-2, "torchvision")
    assert output.selection == Selection(
        score_threshold=0.05, nms="hard", iou_threshold=0.5, is_class_agnostic=False, max_detections=100
    )


def test_transformer_answers_every_query_unless_told_otherwise() -> None:
    output = detector_manifest("detr").output

    assert (output.logits, output.boxes) == ("logits", "boxes")
    assert (output.selection.score_threshold, output.selection.nms, output.selection.max_detections) == (0, "none", 100)


def test_one_stage_detector_has_ultralytics_defaults() -> None:
    manifest = detector_manifest("yolo")
    policy, selection = manifest.input, manifest.output.selection

    assert (policy.tensor, policy.layout, policy.channels, policy.pixels) == ("images", "nchw", "rgb", "float32")
    assert (policy.align, policy.pad_value, policy.divisor, manifest.output.tensor) == ("centre", 114, 255, "output0")
    assert (selection.score_threshold, selection.nms, selection.iou_threshold) == (0.25, "hard", 0.7)
    assert (selection.max_detections, selection.is_class_agnostic) == (300, False)


@pytest.mark.parametrize("family", FAMILIES)
def test_selection_that_is_given_in_part_has_the_familys_defaults_for_the_rest(family: str) -> None:
    """Whoever wants fewer boxes of a DETR does not ask for suppression."""
    given = read(changed(content_of(family), f"{SELECTION}.max_detections", 7)).output.selection
    usual = detector_manifest(family).output.selection

    assert given == usual.model_copy(update={"max_detections": 7})


@pytest.mark.parametrize("family", FAMILIES)
def test_detector_of_any_family_is_a_detection_manifest(family: str) -> None:
    assert isinstance(detector_manifest(family), DetectionManifest)


# --- numbers


def _selection_bounds() -> Iterator[tuple[str, str, Any, Any]]:
    for family in FAMILIES:
        yield family, f"{SELECTION}.score_threshold", 0, 1
        yield family, f"{SELECTION}.iou_threshold", 0, 1
        yield family, f"{SELECTION}.max_detections", 1, 100_000


BOUNDS: list[tuple[str, str, Any, Any]] = [
    ("faster_rcnn", "input.short_side", 1, 160),  # at most long_side
    ("faster_rcnn", "input.long_side", 96, 8192),  # at least short_side
    ("faster_rcnn", "input.size_divisor", 1, 512),
    ("faster_rcnn", "output.min_side_px", 0, 8192),
    ("faster_rcnn", "output.anchors.strides.0", 1, 8192),
    ("faster_rcnn", "output.anchors.sizes.0.0", 1e-3, 1e6),
    ("faster_rcnn", "output.anchors.aspect_ratios.1", 1e-3, 1e6),
    ("faster_rcnn", "output.proposals.per_level", 1, 100_000),
    ("faster_rcnn", "output.proposals.count", 1, 100_000),
    ("faster_rcnn", "output.proposals.nms_iou", 0, 1),
    ("faster_rcnn", "output.proposals.score_threshold", 0, 1),
    ("faster_rcnn", "output.proposals.min_side_px", 0, 8192),
    ("detr", "input.short_side", 1, 1333),
    ("detr", "input.long_side", 800, 8192),
    ("detr", "input.size_divisor", 1, 512),
    ("yolo", "input.height", 1, 8192),
    ("yolo", "input.width", 1, 8192),
    ("yolo", "input.pad_value", 0, 255),
    ("yolo", "input.divisor", 1e-3, 1e6),
    *_selection_bounds(),
]


@pytest.mark.parametrize(("family", "path", "least", "most"), BOUNDS)
def test_number_is_taken_up_to_both_ends_of_its_range(family: str, path: str, least: Any, most: Any) -> None:
    for value in (least, most):
        assert value_at(read(changed(content_of(family), path, value)), path) == value


@pytest.mark.parametrize(("family", "path", "least", "most"), BOUNDS)
def test_number_beyond_its_range_is_refused_and_named(family: str, path: str, least: Any, most: Any) -> None:
    step = 1 if type(value_at(read(changed(content_of(family), path, most)), path)) is int else 1e-6
    part = path.split(".", maxsplit=1)[0]
    for value in (least - step, most + step, -(10**30), 10**30, float("nan"), float("inf"), "many", None, [1]):
        assert part in problem(changed(content_of(family), path, value))


@pytest.mark.parametrize("path", ["output.weights", "output.proposals.weights"])
def test_weights_are_four_numbers_above_0(path: str) -> None:
    content = content_of("faster_rcnn")
    assert value_at(read(changed(content, path, [1e-3, 1, 2.5, 1e6])), path) == (1e-3, 1, 2.5, 1e6)

    for weights in ([], [1, 1, 1], [1] * 5, 1, [0, 1, 1, 1], [1, 1, 1, -1], [1, 1, 1e-300, 1], [1, 1, 1, "x"]):
        assert path in problem(changed(content, path, weights))


def test_every_number_of_a_detector_has_two_ends() -> None:
    """So that none of them leads beyond what arithmetic and memory can hold."""
    parts = json.loads(manifest_schema())["$defs"]
    names = {"ShorterSideInput", "LetterboxInput", "Selection", "Anchors", "Proposals"}
    names |= {"FasterRcnnOutput", "DetrSelection", "YoloSelection"}
    numbers = [
        (name, key, number) for name in names for key, field in parts[name]["properties"].items()
        for number in _numbers(field)
    ]  # fmt: skip

    assert len(numbers) > 20
    assert [(name, key) for name, key, number in numbers if not {"minimum", "maximum"} <= number.keys()] == []


def _numbers(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, list):
        for part in schema:
            yield from _numbers(part)
    if isinstance(schema, dict):
        if schema.get("type") in {"integer", "number"}:
            yield schema
        for part in schema.values():
            yield from _numbers(part)


# --- words


@pytest.mark.parametrize(
    ("family", "path"),
    [
        ("faster_rcnn", "input.fit"),
        ("faster_rcnn", "input.pixels"),
        ("faster_rcnn", "input.rounding"),
        ("faster_rcnn", "input.antialias"),
        ("faster_rcnn", "output.anchors.convention"),
        ("faster_rcnn", f"{SELECTION}.nms"),
        ("detr", "input.fit"),
        ("detr", "input.rounding"),
        ("yolo", "input.fit"),
        ("yolo", "input.align"),
        ("yolo", "input.layout"),
        ("yolo", "input.channels"),
        ("yolo", "input.pixels"),
        ("yolo", "output.form"),
        ("yolo", f"{SELECTION}.is_class_agnostic"),
    ],
)
@pytest.mark.parametrize("value", ["other", "", None, 7, ["floor"]])
def test_word_that_is_none_of_those_allowed_is_refused_and_named(family: str, path: str, value: object) -> None:
    assert path in problem(changed(content_of(family), path, value))


@pytest.mark.parametrize(
    ("family", "path"),
    [
        ("faster_rcnn", "input.tensor"),
        ("faster_rcnn", "input.size_tensor"),
        *[("faster_rcnn", f"output.{key}") for key in ("objectness", "anchor", "anchor_deltas", "boxes", "picture")],
        ("faster_rcnn", "output.scores"),
        ("faster_rcnn", "output.box_deltas"),
        ("detr", "output.logits"),
        ("detr", "output.boxes"),
        ("yolo", "input.tensor"),
        ("yolo", "output.tensor"),
    ],
)
def test_tensor_may_have_any_name_and_nothing_else(family: str, path: str) -> None:
    assert value_at(read(changed(content_of(family), path, "a/b:0")), path) == "a/b:0"
    for value in (None, 7, ["image"]):
        assert path in problem(changed(content_of(family), path, value))


@pytest.mark.parametrize("kind", ["hard", "soft_linear", "soft_gaussian", "diou", "matrix", "none"])
def test_every_kind_of_suppression_can_be_the_default(kind: str) -> None:
    assert read(changed(content_of("yolo"), f"{SELECTION}.nms", kind)).output.selection.nms == kind


# --- keys


@pytest.mark.parametrize(
    ("family", "part"),
    [(family, part) for family in FAMILIES for part in ("input", "output", "output.selection")]
    + [("faster_rcnn", "output.anchors"), ("faster_rcnn", "output.proposals")],
)
def test_unknown_key_is_refused_at_every_level_and_named(family: str, part: str) -> None:
    path = f"{part}.colour"

    assert problem(changed(content_of(family), path, 1)) == f"model.yaml: {path}: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("family", "path"),
    [
        ("faster_rcnn", "output"),
        ("faster_rcnn", "output.levels"),
        ("faster_rcnn", "output.anchors"),
        ("faster_rcnn", "output.anchors.sizes"),
        ("faster_rcnn", "output.anchors.aspect_ratios"),
        ("faster_rcnn", "output.anchors.strides"),
        ("yolo", "input.height"),
        ("yolo", "input.width"),
        ("yolo", "output"),
        ("yolo", "output.form"),
    ],
)
def test_missing_key_is_named(family: str, path: str) -> None:
    assert f"{path}: Field required" in problem(changed(content_of(family), path, ...))


@pytest.mark.parametrize(
    ("family", "path", "value"),
    [
        ("yolo", "input.short_side", 800),
        ("yolo", "input.size_tensor", "size"),
        ("detr", "input.height", 800),
        ("detr", "input.divisor", 255),
        ("detr", "output.anchors", {}),
        ("yolo", "output.levels", ["p3"]),
        ("yolo", "open_set", {"method": "energy", "threshold": 1}),
    ],
)
def test_key_of_another_family_is_refused(family: str, path: str, value: object) -> None:
    assert f"{path}: Extra inputs are not permitted" in problem(changed(content_of(family), path, value))


# --- what belongs together


@pytest.mark.parametrize("family", ["faster_rcnn", "detr"])
def test_long_side_below_the_short_side_is_refused(family: str) -> None:
    message = problem(content_of(family, input={"short_side": 801, "long_side": 800}))

    assert message.endswith("long_side 800 is below short_side 801")
    assert read(content_of(family, input={"short_side": 800, "long_side": 800})).input.long_side == 800


def test_antialiasing_of_floats_is_refused() -> None:
    """Pillow scales bytes; saying so and doing something else would lose accuracy in silence."""
    assert problem(content_of("detr", input={"antialias": True})).endswith("antialias needs pixels: uint8")
    assert ShorterSideInput(antialias=True, pixels="uint8").antialias


@pytest.mark.parametrize(
    ("sizes", "strides"), [([[32]], [4, 8]), ([[32], [64]], [4]), ([[8], [16], [32], [64], [99]], [4, 8, 16, 32])]
)
def test_levels_have_sizes_and_a_stride_each(sizes: object, strides: object) -> None:
    anchors = {"sizes": sizes, "aspect_ratios": [1.0], "strides": strides}

    assert "sizes are given for" in problem(changed(content_of("faster_rcnn"), "output.anchors", anchors))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sizes", []),
        ("sizes", [[]]),
        ("sizes", [32]),
        ("sizes", [["x"]]),
        ("aspect_ratios", []),
        ("aspect_ratios", 1.0),
        ("strides", []),
        ("strides", [4.5]),
        ("strides", 4),
    ],
)
def test_anchors_that_are_none_are_refused(path: str, value: object) -> None:
    where = f"output.anchors.{path}"

    assert where in problem(changed(content_of("faster_rcnn"), where, value))


def test_a_level_may_have_several_sizes() -> None:
    sizes = ((8.0, 16.0), (32.0,))
    anchors = {"sizes": [list(level) for level in sizes], "aspect_ratios": [0.5], "strides": [4, 8]}

    assert read(changed(content_of("faster_rcnn"), "output.anchors", anchors)).output.anchors.sizes == sizes


def test_features_need_not_be_as_many_as_levels_of_anchors() -> None:
    """The one of torchvision proposes from five levels and looks at four."""
    anchors = {"sizes": [[32], [64]], "aspect_ratios": [1.0], "strides": [4, 8]}

    assert read(changed(content_of("faster_rcnn"), "output.anchors", anchors)).output.levels == ("p4",)


@pytest.mark.parametrize("levels", [[], ["p4", "p4"], ["p3", "p4", "p3"], "p4", [4], None])
def test_features_that_are_none_or_named_twice_are_refused(levels: object) -> None:
    assert "output" in problem(changed(content_of("faster_rcnn"), "output.levels", levels))


def test_two_stage_detector_has_a_background_and_something_before_it() -> None:
    assert "labels" in problem(content_of("faster_rcnn", labels=["background"]))
    assert read(content_of("faster_rcnn", labels=["background", "cat"])).labels == ("background", "cat")


@pytest.mark.parametrize("family", ["detr", "yolo"])
def test_other_families_may_know_a_single_class(family: str) -> None:
    assert read(content_of(family, labels=["cat"])).labels == ("cat",)


@pytest.mark.parametrize("policy", [LetterboxInput(height=64, width=64), ShorterSideInput()])
def test_parts_cannot_be_changed(policy: Any) -> None:
    with pytest.raises(ValueError, match="frozen"):
        policy.tensor = "other"
