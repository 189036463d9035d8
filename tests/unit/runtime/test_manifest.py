"""What `model.yaml` may say: everything it should, nothing else, and no file can do worse than be refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest_file import (
    MAX_MANIFEST_BYTES,
    manifest_schema,
    parse_manifest,
    read_manifest,
    write_manifest,
)
from tests.unit.runtime.numbers_read import manifest_of

SCHEMA_FILE = Path(__file__).parents[3] / "docs" / "model-manifest.schema.json"
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
PARTS = ["", "input", "output", "open_set", "accuracy.0", "provenance"]


def changed(path: str, value: Any) -> str:
    """Return the full manifest as YAML with one value replaced, or removed where the value is ``...``."""
    content = json.loads(json.dumps(FULL))
    *parents, key = path.split(".")
    place: Any = content
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return yaml.safe_dump(content)


def problem(text: str) -> str:
    """Return why a manifest is refused."""
    with pytest.raises(PackageInvalid) as raised:
        parse_manifest(text)
    return raised.value.message


def test_full_manifest_is_read() -> None:
    manifest = parse_manifest(yaml.safe_dump(FULL))

    assert manifest.model_dump(mode="json", exclude_unset=True) == FULL
    assert manifest.labels == ("zero", "one")


def test_least_manifest_has_defaults() -> None:
    manifest = manifest_of()

    assert (manifest.input.tensor, manifest.input.kernel, manifest.input.antialias) == ("image", "bilinear", True)
    assert (manifest.output.logits, manifest.output.embedding, manifest.output.activation) == (
        "logits",
        None,
        "softmax",
    )
    assert (manifest.open_set, manifest.accuracy, manifest.description) == (None, (), "")


@pytest.mark.parametrize("part", PARTS)
def test_unknown_key_is_refused_at_every_level_and_named(part: str) -> None:
    path = f"{part}.colour".lstrip(".")

    assert f"model.yaml: {path}: Extra inputs are not permitted" in problem(changed(path, 1))


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
        "input.height",
        "input.width",
        "input.fit",
        "open_set.method",
        "open_set.threshold",
        "files",
        "accuracy.0.metric",
        "provenance",
        "provenance.source",
        "licence",
    ],
)
def test_missing_key_is_named(path: str) -> None:
    assert f"{path}: Field required" in problem(changed(path, ...))


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
        ("task", "gardening"),
        ("family", "yolo"),
        ("labels", []),
        ("labels", "zero"),
        ("labels", [1, 2]),
        ("labels", [True]),
        ("labels", [["zero"]]),
        ("labels", {"0": "zero"}),
        ("input.height", 0),
        ("input.height", -1),
        ("input.height", 8193),
        ("input.height", 1.5),
        ("input.width", "wide"),
        ("input.fit", "squeeze"),
        ("input.short_side", 0),
        ("input.short_side", 27),  # below the input
        ("input.short_side", None),  # crop needs it
        ("input.fit", "stretch"),  # has no short side
        ("input.kernel", "lanczos"),
        ("input.pad_value", 256),
        ("input.pad_value", -1),
        ("output.embedding", None),  # a size without an embedding
        ("output.embedding_size", None),
        ("output.embedding_size", 0),
        ("output.activation", "relu"),
        ("open_set.method", "odin"),
        ("open_set.method", "energy"),  # has no file
        ("open_set.file", None),  # openmax needs it
        ("open_set.file", "../openmax.npz"),
        ("open_set.temperature", 0),
        ("open_set.temperature", float("inf")),
        ("open_set.threshold", float("nan")),
        ("open_set.threshold", float("-inf")),
        ("open_set.threshold", "high"),
        ("open_set.auroc", 1.01),
        ("files", {}),
        ("files", {"openmax.npz": DIGEST}),
        ("files", ["model.onnx"]),
        ("files", {"model.onnx": DIGEST, "openmax.npz": DIGEST, "../x": DIGEST}),
        ("files", {"model.onnx": DIGEST, "openmax.npz": DIGEST, "/etc/passwd": DIGEST}),
        ("files", {"model.onnx": DIGEST, "openmax.npz": DIGEST, "a/b": DIGEST}),
        ("files", {"model.onnx": DIGEST, "openmax.npz": DIGEST, "a\\b": DIGEST}),
        ("files", {"model.onnx": DIGEST, "openmax.npz": DIGEST, "": DIGEST}),
        ("files", {"model.onnx": DIGEST.upper(), "openmax.npz": DIGEST}),
        ("files", {"model.onnx": DIGEST[:-1], "openmax.npz": DIGEST}),
        ("files", {"model.onnx": DIGEST + "\n", "openmax.npz": DIGEST}),
        ("accuracy", [1]),
        ("accuracy.0.value", float("nan")),
        ("accuracy.0.metric", ""),
        ("accuracy.0.sample_count", 0),
        ("provenance.source", ""),
        ("provenance.created", "6 May 2024"),
        ("provenance.created", "\u0662\u0660\u0662\u0664-05-06"),
        ("provenance.checkpoint_sha256", "abc"),
        ("licence", ""),
    ],
)
def test_value_out_of_range_is_refused_and_its_place_named(path: str, value: object) -> None:
    message = problem(changed(path, value))

    assert message.startswith("model.yaml: ")
    assert path.split(".", maxsplit=1)[0] in message


def test_file_that_is_used_must_be_listed() -> None:
    assert "files does not list other.npz" in problem(changed("open_set.file", "other.npz"))


def test_every_problem_is_named_at_once() -> None:
    message = problem(changed("input", {"height": 0, "width": 0, "fit": "squeeze"}))

    assert all(f"input.{key}: " in message for key in ("height", "width", "fit"))


def test_labels_may_repeat() -> None:
    """ImageNet has two cranes, a bird and a machine: a class is its id."""
    assert parse_manifest(changed("labels", ["crane", "crane"])).labels == ("crane", "crane")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "null",
        "[]",
        "- name: digits",
        "digits",
        "1",
        "--- {}\n--- {}",
        "name: [",
        "\tname: digits",
        "name: digits\x00",
        "name: !!python/object/apply:os.system [true]",
        "name: &name digits\nversion: *name",
        "*name",
        "&all [*all]",
        "name: digits\nname: letters",
        "input: {height: 1, height: 2}",
        "{[name]: digits}",
        "1: digits",
        "null: digits",
        "<<: 1",
        # What PyYAML's scalars raise besides its own errors:
        "created: 2024-13-45",
        "created: 2001-12-14t21:59:43.10-24:00",
        "name: !!int ''",
        "name: !!int one",
        "name: !!float one",
        "name: !!bool maybe",
        "name: !!timestamp today",
        "name: " + "1" * 5000,
        "name: 1" + ":59" * 200 + ".0",
        "[" * 2000,
        "- " * 2000,
        "{a: " * 2000,
    ],
    ids=lambda text: repr(text[:40]),
)
def test_text_that_is_no_manifest_is_refused(text: str) -> None:
    assert problem(text).startswith("model.yaml")


def test_text_that_would_grow_is_refused() -> None:
    """Nine of nine of nine: a merge of aliases would hold 9**9 keys."""
    laughs = "a0: &a0 {x: 1}\n"
    for level in range(1, 10):
        laughs += f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n"

    assert "aliases are not allowed" in problem(laughs)


def test_repeated_key_is_said_to_be_repeated() -> None:
    assert "a key is repeated" in problem(yaml.safe_dump(FULL) + "\nname: letters\n")


def test_file_is_written_and_read_back(tmp_path: Path) -> None:
    manifest = parse_manifest(yaml.safe_dump(FULL))
    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest
    written = yaml.safe_load((tmp_path / "model.yaml").read_text(encoding="utf-8"))
    assert list(written) == list(ClassificationManifest.model_fields)


def test_defaults_are_written_out(tmp_path: Path) -> None:
    """Whoever reads the file should not need to know them, and they may change."""
    write_manifest(manifest_of(), tmp_path)

    written = yaml.safe_load((tmp_path / "model.yaml").read_text(encoding="utf-8"))
    assert written["input"]["kernel"] == "bilinear"
    assert written["output"] == {"logits": "logits", "activation": "softmax"}


@pytest.mark.parametrize("text", ["Größe", "\x85", "a\u2028b", "\ufeff", "\r\n", " x ", "\t", "no", "1e3", "'\"", "🐈"])
def test_any_label_survives_the_file(tmp_path: Path, text: str) -> None:
    manifest = manifest_of(labels=[text], licence=text)
    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest


def test_file_at_the_size_limit_is_read_and_above_it_refused_unparsed(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    text = yaml.safe_dump(FULL) + "#"
    path.write_text(text + " " * (MAX_MANIFEST_BYTES - len(text)))
    assert read_manifest(tmp_path).name == "digits"

    path.write_text("[" * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(PackageInvalid, match=f"above {MAX_MANIFEST_BYTES} bytes"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"name: \xe4", b"\xed\xa0\x80"])
def test_file_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.yaml").write_bytes(content)

    with pytest.raises(PackageInvalid, match="cannot be read: UnicodeDecodeError"):
        read_manifest(tmp_path)


def test_absent_file_is_refused_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid) as raised:
        read_manifest(tmp_path)
    assert raised.value.message == "model.yaml cannot be read: FileNotFoundError"


def test_manifest_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        manifest_of().name = "other"  # type: ignore[misc]  # that is the point


def test_schema_in_the_docs_is_that_of_the_classes() -> None:
    """To mend it: `python -m retinue.runtime.manifest_file > docs/model-manifest.schema.json`."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == manifest_schema()


def test_schema_is_printed_by_the_module() -> None:
    command = [sys.executable, "-m", "retinue.runtime.manifest_file"]

    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == manifest_schema()


def test_schema_describes_every_key_and_refuses_others() -> None:
    schema = json.loads(manifest_schema())
    objects = [part for part in schema["$defs"].values() if "properties" in part]

    assert {kind["$ref"].rpartition("/")[2] for kind in schema["oneOf"]} <= set(schema["$defs"])

    assert all(part["additionalProperties"] is False for part in objects)
    for part in objects:
        for key, value in part["properties"].items():
            assert {"description", "$ref"} & set(value), key
