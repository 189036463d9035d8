"""What `model.yaml` says about a model: typed, complete, unknown keys refused.

A model package is a folder `<repository>/<model>/<version>/` that holds `model.yaml` and the files it lists. The
manifest says everything that serving needs to know and everything that a user should know: how pictures become the
input tensor, what comes out, how sure it is, where it comes from. `docs/model-manifest.schema.json` is made from these
classes: `python -m retinue.runtime.manifest` prints it.
"""

import json
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from retinue.runtime.errors import PackageInvalid

MANIFEST_NAME = "model.yaml"
MAX_MANIFEST_BYTES = 1 << 20  # some forty thousand labels

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputPolicy(_Part):
    """How an upright 8-bit RGB picture becomes one row of the input tensor, uint8 [height, width, 3].

    Normalisation, layout and dtype are no part of it: they are inside the graph.
    """

    tensor: str = Field(default="image", description="Name of the graph's input, uint8 [batch, height, width, 3].")
    height: int = Field(ge=1, le=8192, description="Height of the input, pixels.")
    width: int = Field(ge=1, le=8192, description="Width of the input, pixels.")
    fit: Literal["stretch", "crop", "letterbox"] = Field(
        description="stretch: both sides scaled to the input, aspect lost. crop: the shorter side scaled to "
        "`short_side`, then the centre cut out. letterbox: scaled to fit inside, the rest filled with `pad_value`."
    )
    short_side: int | None = Field(
        default=None, ge=1, le=8192, description="crop only: length of the shorter side after scaling, pixels."
    )
    kernel: Literal["bilinear", "bicubic", "area"] = Field(
        default="bilinear",
        description="Interpolation kernel. With antialias, bilinear and bicubic are Pillow's; without, OpenCV's.",
    )
    antialias: bool = Field(
        default=True,
        description="Whether the kernel is widened when shrinking, as Pillow and torchvision do by default. "
        "area always averages, with either value.",
    )
    pad_value: int = Field(default=114, ge=0, le=255, description="letterbox only: grey of the border, 0 to 255.")

    @model_validator(mode="after")
    def _short_side_belongs_to_crop(self) -> "InputPolicy":
        if (self.fit == "crop") != (self.short_side is not None):
            raise ValueError("short_side is required with fit: crop and has no meaning without it")
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ValueError(f"short_side {self.short_side} is below the input size {self.height}x{self.width}")
        return self


class LogitsOutput(_Part):
    """The output contract of the family `logits`."""

    logits: str = Field(default="logits", description="Name of the output with logits, float32 [batch, classes].")
    embedding: str | None = Field(
        default=None, description="Name of the output with features, float32 [batch, embedding_size], if there is one."
    )
    embedding_size: int | None = Field(default=None, ge=1, description="Length of one embedding.")
    activation: Literal["softmax", "sigmoid"] = Field(
        default="softmax", description="How logits become scores: softmax for one class, sigmoid for several."
    )

    @model_validator(mode="after")
    def _embedding_has_a_size(self) -> "LogitsOutput":
        if (self.embedding is None) != (self.embedding_size is None):
            raise ValueError("embedding and embedding_size go together")
        return self


class OpenSet(_Part):
    """How pictures of no known class are told: a score, higher is stranger, and a threshold on it."""

    method: Literal["max_softmax", "energy", "openmax"] = Field(
        description="max_softmax: 1 - max softmax, in [0, 1]. energy: -T logsumexp(z / T), in logits. "
        "openmax: OpenMax's unknown probability, in [0, 1]."
    )
    threshold: float = Field(description="A picture is unknown if its unknown_score is above this.")
    temperature: float = Field(default=1.0, gt=0, description="energy only: T, without unit.")
    file: FileName | None = Field(
        default=None, description="openmax only: .npz with the fitted class means and Weibull parameters."
    )
    auroc: float | None = Field(
        default=None, ge=0, le=1, description="Measured area under the ROC curve, known against unknown pictures."
    )
    measured_on: str | None = Field(default=None, description="What auroc and threshold were measured on.")

    @model_validator(mode="after")
    def _file_belongs_to_openmax(self) -> "OpenSet":
        if (self.method == "openmax") != (self.file is not None):
            raise ValueError("file is required with method: openmax and has no meaning without it")
        return self


class Accuracy(_Part):
    """One measured figure."""

    metric: str = Field(min_length=1, description="Name of the metric, such as top1.")
    value: float = Field(description="Its value; a share is in [0, 1].")
    dataset: str = Field(min_length=1, description="What it was measured on, split included.")
    sample_count: int | None = Field(default=None, ge=1, description="How many samples that is.")


class Provenance(_Part):
    """Where the weights come from."""

    source: str = Field(min_length=1, description="Who made the weights, from what.")
    recipe: str | None = Field(default=None, description="The command that makes this package again.")
    data: str | None = Field(default=None, description="What they were trained on, with its licence.")
    created: str | None = Field(default=None, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="Date, YYYY-MM-DD.")
    checkpoint_sha256: Sha256 | None = Field(default=None, description="Digest of the checkpoint it was made from.")


class Manifest(_Part):
    """The whole of `model.yaml`."""

    manifest_version: Literal[1] = Field(description="Version of this format.")
    name: Name = Field(description="Name of the model; equals the name of its folder.")
    version: Name = Field(description="Version of the model; equals the name of its folder.")
    description: str = Field(default="", description="One sentence for people.")
    task: Literal["classification"] = Field(description="Which service it belongs to.")
    family: Literal["logits"] = Field(description="How its outputs are to be read.")
    labels: tuple[str, ...] = Field(min_length=1, description="Names of the classes, by class id.")
    input: InputPolicy = Field(description="How a picture becomes the input tensor.")
    output: LogitsOutput = Field(default_factory=LogitsOutput, description="What the graph gives back.")
    open_set: OpenSet | None = Field(default=None, description="Calibration for pictures of no known class.")
    files: dict[FileName, Sha256] = Field(min_length=1, description="Every file of the package with its sha256.")
    accuracy: tuple[Accuracy, ...] = Field(default=(), description="Measured figures; none if not measured.")
    provenance: Provenance = Field(description="Where the weights come from.")
    licence: str = Field(min_length=1, description="SPDX identifier of the weights' licence, or its name.")

    @model_validator(mode="after")
    def _files_are_listed(self) -> "Manifest":
        wanted = ["model.onnx"]
        if self.open_set is not None and self.open_set.file is not None:
            wanted.append(self.open_set.file)
        missing = [name for name in wanted if name not in self.files]
        if missing:
            raise ValueError(f"files does not list {', '.join(missing)}")
        return self


def parse_manifest(text: str) -> Manifest:
    """Return the manifest that a YAML text holds.

    Raises:
        PackageInvalid: the text is no YAML, a key is unknown, missing or repeated, or a value is out of range; the
            message names each key.
    """
    try:
        content = yaml.load(text, _PlainLoader)  # noqa: S506 - a SafeLoader
    # PyYAML lets through what its scalars raise: 2024-13-45 is a ValueError, `!!bool maybe` a KeyError, and so on.
    except (yaml.YAMLError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise PackageInvalid(f"{MANIFEST_NAME} is not YAML: {error}") from error
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}" for problem in error.errors()
        )
        raise PackageInvalid(f"{MANIFEST_NAME}: {problems}") from error


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a package folder.

    Raises:
        PackageInvalid: there is none, it cannot be read, it is above `MAX_MANIFEST_BYTES`, or it is not valid.
    """
    try:
        with (folder / MANIFEST_NAME).open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
        if len(content) > MAX_MANIFEST_BYTES:
            raise PackageInvalid(f"{MANIFEST_NAME} is above {MAX_MANIFEST_BYTES} bytes")
        return parse_manifest(content.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise PackageInvalid(f"{MANIFEST_NAME} cannot be read: {type(error).__name__}") from error


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write a manifest as `model.yaml` into a package folder, keys in the order of the class, no defaults left out."""
    content = manifest.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    if any(mark in text for mark in "\x85\u2028\u2029"):  # line breaks of Unicode's, lost unless they are escaped
        text = yaml.safe_dump(content, sort_keys=False, width=110)
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def manifest_schema() -> str:
    """Return the JSON schema of `model.yaml`, as `docs/model-manifest.schema.json` holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, a few of which can grow to gigabytes, and without repeated keys, the last of which wins."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.MarkedYAMLError(problem="a key is repeated", problem_mark=node.start_mark)
        return mapping


if __name__ == "__main__":
    sys.stdout.write(manifest_schema())
