"""`model.yaml` as a file: no file can do worse than be refused, and what is written is read back."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest
from retinue.runtime.manifest_file import (
    MAX_MANIFEST_BYTES,
    manifest_schema,
    parse_manifest,
    read_manifest,
    validate_manifest,
    write_manifest,
)
from tests.unit.runtime.manifest_changes import changed, problem
from tests.unit.runtime.numbers_read import manifest_of
from tests.unit.runtime.tiny_detectors import CONTENTS, content_of, detector_manifest

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA_FILE = DOCS / "model-manifest.schema.json"
LEAST = manifest_of().model_dump(mode="json", exclude_none=True)
FAMILIES = {"logits": LEAST, **{family: content_of(family) for family in CONTENTS}}


# --- which manifest it is


@pytest.mark.parametrize("family", FAMILIES)
def test_task_and_family_tell_what_is_read(family: str) -> None:
    manifest = validate_manifest(FAMILIES[family])

    assert (manifest.task, manifest.family) == (FAMILIES[family]["task"], family)


@pytest.mark.parametrize(
    ("task", "family", "expected"),
    [
        ("gardening", "logits", "task: must be one of classification, detection, segmentation, got 'gardening'"),
        ("", "logits", "task: must be one of classification, detection, segmentation, got ''"),
        ("Detection", "yolo", "task: must be one of classification, detection, segmentation, got 'Detection'"),
        ("classification", "yolo", "family: must be one of logits, got 'yolo'"),
        ("detection", "logits", "family: must be one of faster_rcnn, detr, yolo, got 'logits'"),
        ("detection", "ssd", "family: must be one of faster_rcnn, detr, yolo, got 'ssd'"),
        ("detection", "", "family: must be one of faster_rcnn, detr, yolo, got ''"),
    ],
)
def test_task_and_family_that_do_not_belong_together_are_refused(task: str, family: str, expected: str) -> None:
    assert problem(LEAST | {"task": task, "family": family}) == f"model.yaml: {expected}"


@pytest.mark.parametrize("key", ["task", "family"])
@pytest.mark.parametrize("value", [None, 7, ["detection"], {"detection": 1}, True])
def test_task_and_family_are_words(key: str, value: object) -> None:
    assert problem(LEAST | {key: value}) == f"model.yaml: {key}: Input should be a valid string"


@pytest.mark.parametrize("content", [None, [], "detr", 7, [content_of("detr")], b"x", True])
def test_content_that_is_no_mapping_is_refused_in_words(content: object) -> None:
    with pytest.raises(PackageInvalid) as raised:
        validate_manifest(content)
    assert raised.value.message == "must hold keys and values"


# --- text


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


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_that_are_no_words_are_refused(family: str) -> None:
    text = yaml.safe_dump(FAMILIES[family])

    assert problem(text + "\n7: x\n").startswith("model.yaml: ")
    assert problem(text + "\nnull: x\n").startswith("model.yaml: ")


def test_text_that_would_grow_is_refused() -> None:
    """Nine of nine of nine: a merge of aliases would hold 9**9 keys."""
    laughs = "a0: &a0 {x: 1}\n"
    for level in range(1, 10):
        laughs += f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n"

    assert "aliases are not allowed" in problem(laughs)


def test_repeated_key_is_said_to_be_repeated() -> None:
    assert "a key is repeated" in problem(yaml.safe_dump(LEAST) + "\nname: letters\n")
    again = yaml.safe_dump(content_of("faster_rcnn")).replace("strides:", "strides: [8]\n    strides:")
    assert "a key is repeated" in problem(again)


# --- files


@pytest.mark.parametrize("family", FAMILIES)
def test_file_is_written_and_read_back(tmp_path: Path, family: str) -> None:
    manifest = validate_manifest(FAMILIES[family])
    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest
    written = yaml.safe_load((tmp_path / "model.yaml").read_text(encoding="utf-8"))
    assert [key for key in type(manifest).model_fields if key in written] == list(written)


@pytest.mark.parametrize("family", CONTENTS)
def test_defaults_are_written_out(tmp_path: Path, family: str) -> None:
    """Whoever reads the file should not need to know them, and they may change."""
    manifest: Manifest = detector_manifest(family)
    write_manifest(manifest, tmp_path)

    written = yaml.safe_load((tmp_path / "model.yaml").read_text(encoding="utf-8"))
    assert list(written["input"]) == list(type(manifest.input).model_fields)
    assert list(written["output"]) == list(type(manifest.output).model_fields)


def test_what_is_none_is_left_out(tmp_path: Path) -> None:
    write_manifest(manifest_of(), tmp_path)

    written = yaml.safe_load((tmp_path / "model.yaml").read_text(encoding="utf-8"))
    assert written["input"]["kernel"] == "bilinear"
    assert written["output"] == {"logits": "logits", "activation": "softmax"}
    assert "open_set" not in written


def test_levels_that_are_alike_are_written_without_aliases(tmp_path: Path) -> None:
    """YAML has a shorthand for what stands twice, and the reader refuses it."""
    anchors = {"sizes": ((32.0, 64.0),) * 3, "aspect_ratios": (1.0,), "strides": (4, 4, 4)}
    manifest = validate_manifest(changed(content_of("faster_rcnn"), "output.anchors", anchors))
    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize("text", ["Größe", "\x85", "a\u2028b", "\ufeff", "\r\n", " x ", "\t", "no", "1e3", "'\"", "🐈"])
def test_any_label_survives_the_file(tmp_path: Path, text: str) -> None:
    manifest = manifest_of(labels=[text], licence=text)
    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest


def test_file_at_the_size_limit_is_read_and_above_it_refused_unparsed(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    text = yaml.safe_dump(LEAST) + "#"
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


# --- the schema


def test_schema_in_the_docs_is_that_of_the_classes() -> None:
    """To mend it: `python -m retinue.runtime.manifest_file > docs/model-manifest.schema.json`."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == manifest_schema()


def test_schema_is_printed_by_the_module() -> None:
    command = [sys.executable, "-m", "retinue.runtime.manifest_file"]

    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == manifest_schema()


def test_schema_knows_every_family() -> None:
    schema = json.loads(manifest_schema())
    mapping: dict[str, str] = schema["discriminator"]["mapping"]

    assert set(mapping) >= set(FAMILIES)
    assert {kind["$ref"] for kind in schema["oneOf"]} == set(mapping.values())


def test_schema_describes_every_key_and_refuses_others() -> None:
    parts: dict[str, dict[str, Any]] = json.loads(manifest_schema())["$defs"]

    assert all(part["additionalProperties"] is False for part in parts.values())
    for name, part in parts.items():
        for key, value in part["properties"].items():
            assert {"description", "$ref"} & set(value), f"{name}.{key}"


def test_texts_that_differ_in_layout_alone_are_the_same_manifest() -> None:
    content = content_of("faster_rcnn")
    flow = json.dumps(content)  # which is YAML as well

    assert parse_manifest(flow) == parse_manifest(yaml.safe_dump(content)) == validate_manifest(content)


def test_examples_in_the_docs_are_manifests_of_every_family() -> None:
    text = (DOCS / "adding-a-model.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    frame = {key: LEAST[key] for key in ("manifest_version", "name", "version", "provenance", "licence")}
    graphs = dict.fromkeys(("model.onnx", "rpn.onnx", "head.onnx"), "0" * 64)

    assert {validate_manifest(frame | {"files": graphs} | block).family for block in blocks} >= set(FAMILIES)
