"""What every `model.yaml` says, whatever its task: everything it should, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.detection_manifest import DetrManifest, FasterRcnnManifest, YoloManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest
from tests.unit.runtime.manifest_changes import changed, problem, read
from tests.unit.runtime.numbers_read import manifest_of
from tests.unit.runtime.tiny_detectors import DIGEST, content_of, detector_manifest

COMMON: dict[str, Any] = {
    "description": "Finds things.",
    "accuracy": [{"metric": "top1", "value": 0.98, "dataset": "digits, test", "sample_count": 360}],
    "provenance": {
        "source": "us",
        "recipe": "make it",
        "data": "digits",
        "created": "2024-05-06",
        "checkpoint_sha256": DIGEST,
    },
}
CLASSIFIER = manifest_of().model_dump(mode="json", exclude_none=True) | COMMON
CONTENTS = {
    "logits": CLASSIFIER,
    **{family: content_of(family, **COMMON) for family in ("faster_rcnn", "detr", "yolo")},
}
KINDS: Mapping[str, type[Manifest]] = {
    "logits": ClassificationManifest,
    "faster_rcnn": FasterRcnnManifest,
    "detr": DetrManifest,
    "yolo": YoloManifest,
}


@pytest.mark.parametrize("family", CONTENTS)
def test_every_common_key_is_read(family: str) -> None:
    manifest = read(CONTENTS[family])

    assert type(manifest) is KINDS[family]
    assert {key: manifest.model_dump(mode="json")[key] for key in COMMON} == COMMON


def test_what_need_not_be_said_has_a_default() -> None:
    manifest = manifest_of()

    assert (manifest.description, manifest.accuracy, manifest.provenance.data) == ("", (), None)


@pytest.mark.parametrize("family", CONTENTS)
@pytest.mark.parametrize("part", ["", "accuracy.0", "provenance"])
def test_unknown_key_is_refused_at_every_level_and_named(family: str, part: str) -> None:
    path = f"{part}.colour".lstrip(".")

    assert problem(changed(CONTENTS[family], path, 1)) == f"model.yaml: {path}: Extra inputs are not permitted"


@pytest.mark.parametrize("family", CONTENTS)
@pytest.mark.parametrize(
    "path",
    [
        "manifest_version",
        "name",
        "version",
        "task",
        "family",
        "labels",
        "input",
        "files",
        "accuracy.0.metric",
        "accuracy.0.value",
        "accuracy.0.dataset",
        "provenance",
        "provenance.source",
        "licence",
    ],
)
def test_missing_key_is_named(family: str, path: str) -> None:
    assert f"model.yaml: {path}: Field required" in problem(changed(CONTENTS[family], path, ...))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("manifest_version", 2),
        ("manifest_version", "1"),
        ("name", ""),
        ("name", "../evil"),
        ("name", ".hidden"),
        ("name", "a/b"),
        ("name", "a b"),
        ("name", "a\n"),
        ("name", "ä"),
        ("name", "a" * 129),
        ("name", 7),
        ("version", 1),
        ("version", 1.0),
        ("version", ".."),
        ("labels", []),
        ("labels", "zero"),
        ("labels", [1, 2]),
        ("labels", [True]),
        ("labels", [["zero"]]),
        ("labels", {"0": "zero"}),
        ("description", 7),
        ("input", None),
        ("input", "small"),
        ("output", 1),
        ("files", {}),
        ("files", {"other.bin": DIGEST}),
        ("files", ["model.onnx"]),
        ("accuracy", [1]),
        ("accuracy", {}),
        ("accuracy.0.value", float("nan")),
        ("accuracy.0.value", float("inf")),
        ("accuracy.0.metric", ""),
        ("accuracy.0.dataset", ""),
        ("accuracy.0.sample_count", 0),
        ("provenance.source", ""),
        ("provenance.created", "6 May 2024"),
        ("provenance.created", "\u0662\u0660\u0662\u0664-05-06"),
        ("provenance.checkpoint_sha256", "abc"),
        ("licence", ""),
        ("licence", None),
    ],
)
@pytest.mark.parametrize("family", ["logits", "detr"])
def test_value_out_of_range_is_refused_and_its_place_named(family: str, path: str, value: object) -> None:
    message = problem(changed(CONTENTS[family], path, value))

    assert message.startswith("model.yaml: ")
    assert path.split(".", maxsplit=1)[0] in message


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "a\\b", "", ".", "..", "a\n", "ä", "x" * 129])
def test_file_outside_the_folder_cannot_be_listed(name: str) -> None:
    files = {"model.onnx": DIGEST, name: DIGEST}

    assert problem(CLASSIFIER | {"files": files}).startswith("model.yaml: files.")


@pytest.mark.parametrize("digest", ["", DIGEST.upper(), DIGEST[:-1], DIGEST + "0", DIGEST + "\n", "g" * 64, 7, None])
def test_digest_is_64_small_hexadecimal_digits(digest: object) -> None:
    assert problem(CLASSIFIER | {"files": {"model.onnx": digest}}).startswith("model.yaml: files.model.onnx: ")


@pytest.mark.parametrize(
    ("family", "missing"),
    [("logits", "model.onnx"), ("detr", "model.onnx"), ("yolo", "model.onnx"), ("faster_rcnn", "rpn.onnx, head.onnx")],
)
def test_graphs_of_the_family_must_be_listed(family: str, missing: str) -> None:
    message = problem(CONTENTS[family] | {"files": {"other.bin": DIGEST}})

    assert message.endswith(f"files does not list {missing}")
    assert ", ".join(KINDS[family].graphs) == missing


def test_more_files_may_be_listed() -> None:
    files = {"model.onnx": DIGEST, "README.md": DIGEST}

    assert read(CONTENTS["yolo"] | {"files": files}).files == files


def test_every_problem_is_named_at_once() -> None:
    message = problem(CLASSIFIER | {"name": "", "version": 1, "labels": [], "licence": ""})

    assert all(f"{key}: " in message for key in ("name", "version", "labels", "licence"))


def test_labels_may_repeat() -> None:
    """ImageNet has two cranes, a bird and a machine: a class is its id."""
    assert read(CLASSIFIER | {"labels": ["crane", "crane"]}).labels == ("crane", "crane")


def test_manifest_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        manifest_of().name = "other"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("family", CONTENTS)
def test_manifest_is_taken_as_its_own_kind_and_no_other(family: str, wanted: str) -> None:
    manifest = read(CONTENTS[family])
    if family == wanted:
        assert KINDS[wanted].of(manifest) is manifest
        return
    with pytest.raises(PackageInvalid) as raised:
        KINDS[wanted].of(manifest)
    kind = f"task {manifest.task}, family {family}"
    assert raised.value.message == f"{manifest.name}@{manifest.version}: {kind} is not what is served here"


def test_files_that_are_needed_are_the_graphs() -> None:
    assert detector_manifest("faster_rcnn").needed_files() == ("rpn.onnx", "head.onnx")
    assert detector_manifest("yolo").needed_files() == ("model.onnx",)
