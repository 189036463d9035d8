"""`model.yaml` as a file: read, written, and described by a JSON schema.

`docs/model-manifest.schema.json` is made here: `python -m retinue.runtime.manifest_file` prints it.
"""

import errno
import json
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, BinaryIO

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.detection_manifest import DetectionManifest, DetrManifest, FasterRcnnManifest, YoloManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest
from retinue.runtime.plain_yaml import read_plain_yaml
from retinue.runtime.segmentation_manifest import InstanceManifest, SegmentationManifest, SemanticManifest

MANIFEST_NAME = "model.yaml"
MAX_MANIFEST_BYTES = 1 << 20  # some forty thousand labels

_FAMILIES: Mapping[str, Mapping[str, type[Manifest]]] = {
    "classification": {"logits": ClassificationManifest},
    "detection": {"faster_rcnn": FasterRcnnManifest, "detr": DetrManifest, "yolo": YoloManifest},
    "segmentation": {"semantic": SemanticManifest, "instance": InstanceManifest},
}
_Any = Annotated[ClassificationManifest | DetectionManifest | SegmentationManifest, Field(discriminator="family")]


class _Kind(BaseModel):
    """What tells which manifest it is."""

    task: str
    family: str


def validate_manifest(content: object) -> Manifest:
    """Return the manifest of a task and family that this content is.

    Raises:
        PackageInvalid: a key is unknown or missing, or a value is out of range; the message names each key.
    """
    if not isinstance(content, dict):
        raise PackageInvalid("must hold keys and values")
    try:
        kind = _Kind.model_validate(content)
        return _manifest_type(kind).model_validate(content)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, p['loc'])) or 'document'}: {p['msg']}" for p in error.errors())
        raise PackageInvalid("; ".join(problems)) from error


def _manifest_type(kind: _Kind) -> type[Manifest]:
    families = _FAMILIES.get(kind.task)
    if families is None:
        raise PackageInvalid(f"task: must be one of {', '.join(_FAMILIES)}, got {kind.task!r}")
    if kind.family not in families:
        raise PackageInvalid(f"family: must be one of {', '.join(families)}, got {kind.family!r}")
    return families[kind.family]


def parse_manifest(text: str) -> Manifest:
    """Return the manifest that a YAML text holds.

    Raises:
        PackageInvalid: the text is no YAML, a key is unknown, missing or repeated, or a value is out of range; the
            message names each key.
    """
    try:
        content = read_plain_yaml(text)
    except ValueError as error:
        raise PackageInvalid(f"{MANIFEST_NAME} is {error}") from error
    try:
        return validate_manifest(content)
    except PackageInvalid as error:
        raise PackageInvalid(f"{MANIFEST_NAME}: {error.message}") from error


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a package folder.

    Raises:
        PackageInvalid: there is none, it cannot be read, it is above `MAX_MANIFEST_BYTES`, or it is not valid.
    """
    try:
        with open_plain(folder / MANIFEST_NAME) as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
        if len(content) > MAX_MANIFEST_BYTES:
            raise PackageInvalid(f"{MANIFEST_NAME} is above {MAX_MANIFEST_BYTES} bytes")
        return parse_manifest(content.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise PackageInvalid(f"{MANIFEST_NAME} cannot be read: {type(error).__name__}") from error


def open_plain(path: Path) -> BinaryIO:
    """Return a file of a package, opened to be read.

    Raises:
        OSError: it cannot be opened, or is a pipe, which waits for whoever writes, or a device, which may have no end.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no file")
    return path.open("rb")


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write a manifest as `model.yaml` into a package folder, keys in the order of the class, no defaults left out."""
    content = manifest.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    if any(mark in text for mark in "\x85\u2028\u2029"):  # line breaks of Unicode's, lost unless they are escaped
        text = yaml.safe_dump(content, sort_keys=False, width=110)
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def manifest_schema() -> str:
    """Return the JSON schema of `model.yaml`, as `docs/model-manifest.schema.json` holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(_Any).json_schema()}
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(manifest_schema())
