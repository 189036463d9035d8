"""What `model.yaml` says of a classifier."""

from typing import Literal

from pydantic import Field, model_validator

from retinue.runtime.manifest import FileName, Manifest, Part


class InputPolicy(Part):
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


class LogitsOutput(Part):
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


class OpenSet(Part):
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


class ClassificationManifest(Manifest):
    """The whole of a classifier's `model.yaml`."""

    task: Literal["classification"] = Field(description="Which service it belongs to.")
    family: Literal["logits"] = Field(description="How its outputs are to be read.")
    input: InputPolicy = Field(description="How a picture becomes the input tensor.")
    output: LogitsOutput = Field(default_factory=LogitsOutput, description="What the graph gives back.")
    open_set: OpenSet | None = Field(default=None, description="Calibration for pictures of no known class.")

    def needed_files(self) -> tuple[str, ...]:
        """Return the names of the files that must be listed."""
        if self.open_set is None or self.open_set.file is None:
            return self.graphs
        return (*self.graphs, self.open_set.file)
