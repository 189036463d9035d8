"""What `model.yaml` says of a classifier: which keys belong together, and where each ends."""

from typing import Any

import pytest
import yaml

from retinue.runtime.classification_manifest import ClassificationManifest, InputPolicy
from retinue.runtime.manifest_file import parse_manifest
from tests.unit.runtime.manifest_changes import changed, problem, read
from tests.unit.runtime.numbers_read import manifest_of

DIGEST = "0123456789abcdef" * 4
FULL: dict[str, Any] = {
    "manifest_version": 1,
    "name": "digits",
    "version": "1",
    "description": "Reads digits.",
    "task": "classification",
    "family": "logits",
    "labels": ["zero", "one"],
    "input": {"tensor": "x", "height": 28, "width": 28, "fit": "crop", "short_side": 32, "kernel": "bicubic"},
    "output": {"logits": "y", "embedding": "z", "embedding_size": 64, "activation": "sigmoid"},
    "open_set": {"method": "openmax", "threshold": 0.5, "file": "openmax.npz", "auroc": 0.9, "measured_on": "noise"},
    "files": {"model.onnx": DIGEST, "openmax.npz": DIGEST},
    "accuracy": [{"metric": "top1", "value": 0.98, "dataset": "digits, test", "sample_count": 360}],
    "provenance": {"source": "us", "recipe": "make it", "data": "digits", "created": "2024-05-06"},
    "licence": "CC0-1.0",
}


def test_full_manifest_is_read() -> None:
    manifest = parse_manifest(yaml.safe_dump(FULL))

    assert isinstance(manifest, ClassificationManifest)
    assert manifest.model_dump(mode="json", exclude_unset=True) == FULL
    assert manifest.labels == ("zero", "one")


def test_least_manifest_has_defaults() -> None:
    manifest = manifest_of()

    assert (manifest.input.tensor, manifest.input.kernel, manifest.input.antialias) == ("image", "bilinear", True)
    assert (manifest.output.logits, manifest.output.embedding) == ("logits", None)
    assert (manifest.output.activation, manifest.open_set) == ("softmax", None)


@pytest.mark.parametrize("part", ["input", "output", "open_set"])
def test_unknown_key_is_refused_at_every_level_and_named(part: str) -> None:
    path = f"{part}.colour"

    assert problem(changed(FULL, path, 1)) == f"model.yaml: {path}: Extra inputs are not permitted"


@pytest.mark.parametrize(
    "path", ["input", "input.height", "input.width", "input.fit", "open_set.method", "open_set.threshold"]
)
def test_missing_key_is_named(path: str) -> None:
    assert f"{path}: Field required" in problem(changed(FULL, path, ...))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("family", "yolo"),
        ("input.height", 0),
        ("input.height", -1),
        ("input.height", 8193),
        ("input.height", 1.5),
        ("input.height", 10**30),
        ("input.width", 0),
        ("input.width", 8193),
        ("input.width", "wide"),
        ("input.width", float("nan")),
        ("input.tensor", None),
        ("input.fit", "squeeze"),
        ("input.fit", "shorter_side"),  # a detector's
        ("input.fit", "stretch"),  # has no short side
        ("input.fit", "letterbox"),
        ("input.short_side", 0),
        ("input.short_side", 8193),
        ("input.short_side", 27),  # below the input
        ("input.short_side", None),  # crop needs it
        ("input.kernel", "lanczos"),
        ("input.antialias", "sometimes"),
        ("input.pad_value", 256),
        ("input.pad_value", -1),
        ("output.logits", 7),
        ("output.embedding", None),  # a size without an embedding
        ("output.embedding_size", None),
        ("output.embedding_size", 0),
        ("output.activation", "relu"),
        ("open_set.method", "odin"),
        ("open_set.method", "energy"),  # has no file
        ("open_set.method", "max_softmax"),
        ("open_set.file", None),  # openmax needs it
        ("open_set.file", "../openmax.npz"),
        ("open_set.temperature", 0),
        ("open_set.temperature", float("inf")),
        ("open_set.threshold", float("nan")),
        ("open_set.threshold", float("-inf")),
        ("open_set.threshold", "high"),
        ("open_set.auroc", 1.01),
        ("open_set.auroc", -0.01),
    ],
)
def test_value_out_of_range_is_refused_and_its_place_named(path: str, value: object) -> None:
    message = problem(changed(FULL, path, value))

    assert message.startswith("model.yaml: ")
    assert path.split(".", maxsplit=1)[0] in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("input.pad_value", 0),
        ("input.pad_value", 255),
        ("input.short_side", 28),
        ("input.short_side", 8192),
        ("output.embedding_size", 1),
        ("open_set.auroc", 0),
        ("open_set.auroc", 1),
        ("open_set.threshold", -1e300),
    ],
)
def test_value_at_the_end_of_its_range_is_taken(path: str, value: float) -> None:
    manifest = read(changed(FULL, path, value))
    part, key = path.split(".")

    assert getattr(getattr(manifest, part), key) == value


def test_the_largest_and_the_smallest_input_are_taken() -> None:
    for side in (1, 8192):
        policy = InputPolicy(height=side, width=side, fit="stretch")
        assert (policy.height, policy.width) == (side, side)


def test_file_that_is_used_must_be_listed() -> None:
    assert problem(changed(FULL, "open_set.file", "other.npz")).endswith("files does not list other.npz")
    assert read(FULL).needed_files() == ("model.onnx", "openmax.npz")
    assert read(changed(FULL, "open_set", ...)).needed_files() == ("model.onnx",)


def test_every_problem_is_named_at_once() -> None:
    message = problem(changed(FULL, "input", {"height": 0, "width": 0, "fit": "squeeze"}))

    assert all(f"input.{key}: " in message for key in ("height", "width", "fit"))
