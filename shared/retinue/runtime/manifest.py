"""What every `model.yaml` says, whatever its task: typed, complete, unknown keys refused.

A model package is a folder `<repository>/<model>/<version>/` that holds `model.yaml` and the files it lists. The
manifest says everything that serving needs to know and everything that a user should know: how pictures become the
input tensor, what comes out, how sure it is, where it comes from. Each task adds what is its own in a file of its own;
`manifest_file` reads and writes them.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from retinue.runtime.errors import PackageInvalid

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Precision = Literal["float32", "float16"]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Part(BaseModel):
    """A part of a manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Accuracy(Part):
    """One measured figure."""

    metric: str = Field(min_length=1, description="Name of the metric, such as top1.")
    value: float = Field(description="Its value; a share is in [0, 1].")
    dataset: str = Field(min_length=1, description="What it was measured on, split included.")
    sample_count: int | None = Field(default=None, ge=1, description="How many samples that is.")


class Provenance(Part):
    """Where the weights come from."""

    source: str = Field(min_length=1, description="Who made the weights, from what.")
    recipe: str | None = Field(default=None, description="The command that makes this package again.")
    data: str | None = Field(default=None, description="What they were trained on, with its licence.")
    created: str | None = Field(default=None, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="Date, YYYY-MM-DD.")
    checkpoint_sha256: Sha256 | None = Field(default=None, description="Digest of the checkpoint it was made from.")


class Manifest(Part):
    """What the manifests of all tasks have in common."""

    graphs: ClassVar[tuple[str, ...]] = ("model.onnx",)
    """Files that the family is made of."""

    manifest_version: Literal[1] = Field(description="Version of this format.")
    name: Name = Field(description="Name of the model; equals the name of its folder.")
    version: Name = Field(description="Version of the model; equals the name of its folder.")
    description: str = Field(default="", description="One sentence for people.")
    task: str = Field(description="Which service it belongs to.")
    family: str = Field(description="How its outputs are to be read.")
    labels: tuple[str, ...] = Field(min_length=1, description="Names of the classes, by class id.")
    input: Part = Field(description="How a picture becomes the input tensor.")
    output: Part = Field(description="What the graph gives back.")
    files: dict[FileName, Sha256] = Field(min_length=1, description="Every file of the package with its sha256.")
    precision: Precision = Field(
        default="float32",
        description="Least precise arithmetic that the model stands: float16 lets TensorRT and OpenVINO reckon in "
        "16 bits where that is faster. A graph that holds float16 weights needs nothing said.",
    )
    accuracy: tuple[Accuracy, ...] = Field(default=(), description="Measured figures; none if not measured.")
    provenance: Provenance = Field(description="Where the weights come from.")
    licence: str = Field(min_length=1, description="SPDX identifier of the weights' licence, or its name.")

    @classmethod
    def of(cls, manifest: "Manifest") -> Self:
        """Return a manifest as one of this class.

        Raises:
            PackageInvalid: it is one of another task or family.
        """
        if not isinstance(manifest, cls):
            kind = f"task {manifest.task}, family {manifest.family}"
            raise PackageInvalid(f"{manifest.name}@{manifest.version}: {kind} is not what is served here")
        return manifest

    def needed_files(self) -> tuple[str, ...]:
        """Return the names of the files that must be listed."""
        return self.graphs

    @model_validator(mode="after")
    def _files_are_listed(self) -> "Manifest":
        missing = [name for name in self.needed_files() if name not in self.files]
        if missing:
            raise ValueError(f"files does not list {', '.join(missing)}")
        return self
