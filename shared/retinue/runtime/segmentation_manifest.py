"""What `model.yaml` says of a segmentation model, by family."""

from math import isqrt
from typing import Annotated, Literal

from pydantic import Field, model_validator

from retinue.runtime.manifest import Manifest, Part

Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1, le=8192)]
_MOST_SIDE_PX = 8192


class ScaleInput(Part):
    """A picture is scaled by a factor, or not at all, and is the whole of the input: its sides are free.

    Normalisation is inside the graph, whose input is uint8 [batch, height, width, 3].
    """

    tensor: str = Field(default="image", description="Name of the graph's input.")
    fit: Literal["scale"] = Field(default="scale", description="Both sides are scaled by the factor, rounded down.")
    factor: float = Field(default=1.0, gt=0, le=16, description="What sides are multiplied by.")
    max_pixels: int = Field(
        default=4_194_304, ge=1024, description="Pictures that would have more are scaled down to so many; tile them."
    )
    kernel: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="Interpolation kernel. With antialias Pillow's, without OpenCV's."
    )
    antialias: bool = Field(default=True, description="Whether the kernel is widened when shrinking.")
    stride_px: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Windows begin at multiples of it, pixels; 2 ** d of a network that halves its maps d times.",
    )

    @model_validator(mode="after")
    def _two_strides_make_a_window(self) -> "ScaleInput":
        least = 4 * self.stride_px**2
        if self.max_pixels < least:
            raise ValueError(f"max_pixels {self.max_pixels} is below {least}, a window of two strides a side")
        return self

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the input for a picture of that size.

        >>> ScaleInput(factor=0.5).size_of(301, 200)
        (150, 100)
        """
        factor = min(self.factor, (self.max_pixels / (height * width)) ** 0.5)
        rows, columns = max(1, int(height * factor)), max(1, int(width * factor))
        # Of a line one side is 1 and cannot be less, so that the other has to be.
        return min(rows, max(1, self.max_pixels // columns)), min(columns, max(1, self.max_pixels // rows))


class StretchInput(Part):
    """Both sides of a picture are scaled to an input of one size."""

    tensor: str = Field(default="image", description="Name of the graph's input, uint8 [batch, height, width, 3].")
    fit: Literal["stretch"] = Field(default="stretch", description="Both sides scaled to the input, aspect lost.")
    height: Side = Field(description="Height of the input, pixels.")
    width: Side = Field(description="Width of the input, pixels.")
    kernel: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="Interpolation kernel. With antialias Pillow's, without OpenCV's."
    )
    antialias: bool = Field(default=True, description="Whether the kernel is widened when shrinking.")


class TilePolicy(Part):
    """How a picture is looked at tile by tile where a request does not say."""

    tile_size_px: int = Field(
        default=512,
        ge=32,
        le=8192,
        description="Side of a tile, pixels of the picture; rounded up to a multiple of the input's stride_px.",
    )
    overlap_px: int = Field(
        default=64, ge=0, description="How far neighbours overlap, rounded up likewise; best the receptive field."
    )

    @model_validator(mode="after")
    def _overlap_leaves_a_middle(self) -> "TilePolicy":
        if self.overlap_px > self.tile_size_px // 2:
            raise ValueError(f"overlap_px {self.overlap_px} is above half of tile_size_px {self.tile_size_px}")
        return self


class SemanticOutput(Part):
    """The output contract of the family `semantic`."""

    logits: str = Field(
        default="logits", description="Name of the output, float32 [batch, classes, height, width] of the input's size."
    )
    activation: Literal["softmax", "sigmoid"] = Field(
        default="softmax", description="softmax: a pixel is of one class. sigmoid: of any number of them."
    )
    threshold: Share | None = Field(
        default=None, description="A pixel is of a class from this probability on; none: of the most probable one."
    )

    @model_validator(mode="after")
    def _sigmoid_needs_a_threshold(self) -> "SemanticOutput":
        if self.activation == "sigmoid" and self.threshold is None:
            raise ValueError("threshold is required with activation: sigmoid")
        return self


class Splitting(Part):
    """How foreground becomes single things."""

    method: Literal["boundary", "distance"] = Field(
        description="boundary: the guide is the logit of a boundary. distance: it peaks inside each thing."
    )
    guide: str | None = Field(
        default=None, description="Name of the output, float32 [batch, 1, height, width]. distance: may be left out."
    )
    interior_threshold: Share = Field(default=0.5, description="Pixels of at least so much foreground are looked at.")
    guide_threshold: float | None = Field(default=None, ge=0, description="See `retinue.ops.split_instances`.")
    min_marker_area_px: int = Field(default=10, ge=0, description="Smaller seeds are none, pixels.")
    min_area_px: int = Field(default=10, ge=0, description="Smaller things are left out, pixels.")
    score_threshold: Share = Field(default=0.0, description="Things that score less are left out.")

    @model_validator(mode="after")
    def _boundary_needs_a_guide(self) -> "Splitting":
        if self.method == "boundary" and self.guide is None:
            raise ValueError("guide is required with method: boundary")
        return self


class InstanceOutput(SemanticOutput):
    """The output contract of the family `instance`."""

    splitting: Splitting = Field(description="How foreground becomes single things.")


class _TiledManifest(Manifest):
    """What the families have in common."""

    task: Literal["segmentation"] = Field(description="Which service it belongs to.")
    input: ScaleInput | StretchInput = Field(description="How a picture becomes the input.", discriminator="fit")
    tiles: TilePolicy = Field(default_factory=TilePolicy, description="How large pictures are looked at.")

    @property
    def stride_px(self) -> int:
        """What places and sides of windows are multiples of; an input of one size is looked at wherever it lies."""
        return 1 if isinstance(self.input, StretchInput) else self.input.stride_px

    @property
    def most_tile_size_px(self) -> int:
        """The side of the largest square that is looked at: more than the model may see would not fit into memory."""
        if isinstance(self.input, StretchInput):
            return min(self.input.height, self.input.width)
        most = min(_MOST_SIDE_PX, isqrt(self.input.max_pixels))
        return most - most % self.input.stride_px

    @property
    def default_tile_size_px(self) -> int:
        """The side of a tile where a request does not say."""
        if isinstance(self.input, StretchInput):
            return self.input.height
        return min(self.tiles.tile_size_px, self.most_tile_size_px)


class SemanticManifest(_TiledManifest):
    """The whole of a semantic model's `model.yaml`."""

    family: Literal["semantic"] = Field(description="How its outputs are to be read.")
    output: SemanticOutput = Field(default_factory=SemanticOutput, description="What the graph gives back.")


class InstanceManifest(_TiledManifest):
    """The whole of an instance model's `model.yaml`."""

    family: Literal["instance"] = Field(description="How its outputs are to be read.")
    labels: tuple[str, ...] = Field(min_length=2, description="Names of the classes, by class id; 0 is background.")
    output: InstanceOutput = Field(description="What the graph gives back.")


SegmentationManifest = SemanticManifest | InstanceManifest
