"""What `model.yaml` says of a detector, by family."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from retinue.runtime.manifest import Manifest, Part

Positive = Annotated[float, Field(ge=1e-3, le=1e6)]  # whatever is made of two such numbers is a float32 above 0
Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1, le=8192)]
Weights = tuple[Positive, Positive, Positive, Positive]
NmsKind = Literal["hard", "soft_linear", "soft_gaussian", "diou", "matrix", "none"]


class ShorterSideInput(Part):
    """A picture keeps its aspect; it is scaled, laid into the upper left corner of the input and its size is told.

    Normalisation is inside the graph, and what lies beyond a picture's own size does not count there.
    """

    tensor: str = Field(default="image", description="Name of the input with pictures, [batch, height, width, 3].")
    size_tensor: str = Field(default="size", description="Name of the input with their sizes, int64 [batch, 2].")
    fit: Literal["shorter_side"] = Field(
        default="shorter_side",
        description="The shorter side is scaled to `short_side`, the longer to `long_side` at most.",
    )
    pixels: Literal["float32", "uint8"] = Field(
        default="float32", description="Type of the pictures, 0 to 255. float32: scaled without rounding."
    )
    short_side: Side = Field(default=800, description="Length of the shorter side after scaling, pixels.")
    long_side: Side = Field(default=1333, description="Greatest length of the longer side, pixels.")
    rounding: Literal["floor", "detr"] = Field(
        default="floor", description="floor: both sides rounded down (torchvision). detr: as DETR's own transform does."
    )
    size_divisor: int = Field(
        default=32, ge=1, le=512, description="The input's sides are the next multiples of this, pixels."
    )
    antialias: bool = Field(
        default=False,
        description="uint8 only: bilinear scaling as Pillow's, widened when shrinking; otherwise OpenCV's.",
    )

    @model_validator(mode="after")
    def _sides_are_in_order(self) -> "ShorterSideInput":
        if self.long_side < self.short_side:
            raise ValueError(f"long_side {self.long_side} is below short_side {self.short_side}")
        if self.antialias and self.pixels == "float32":
            raise ValueError("antialias needs pixels: uint8")
        return self


class LetterboxInput(Part):
    """A picture keeps its aspect; it is scaled to fit into an input of one size, and the rest is filled."""

    tensor: str = Field(default="images", description="Name of the input with pictures.")
    fit: Literal["letterbox"] = Field(default="letterbox", description="Scaled to fit inside, the rest filled.")
    height: Side = Field(description="Height of the input, pixels.")
    width: Side = Field(description="Width of the input, pixels.")
    align: Literal["centre", "corner"] = Field(
        default="centre", description="centre: filled on both sides (Ultralytics). corner: at right and bottom (YOLOX)."
    )
    pad_value: int = Field(default=114, ge=0, le=255, description="Grey of the filling, 0 to 255.")
    layout: Literal["nchw", "nhwc"] = Field(default="nchw", description="Order of the input's dimensions.")
    channels: Literal["rgb", "bgr"] = Field(default="rgb", description="Order of the channels.")
    pixels: Literal["float32", "uint8"] = Field(default="float32", description="Type of the input.")
    divisor: Positive = Field(default=255.0, description="float32 only: what pixels of 0 to 255 are divided by.")


class Selection(Part):
    """Which boxes are answered where a request does not say."""

    score_threshold: Share = Field(default=0.05, description="Boxes that score less are left out.")
    nms: NmsKind = Field(default="hard", description="How several boxes on one thing become one.")
    iou_threshold: Share = Field(default=0.5, description="Overlap above which boxes suppress each other.")
    is_class_agnostic: bool = Field(default=False, description="Whether boxes of different classes do so too.")
    max_detections: int = Field(default=100, ge=1, le=100_000, description="At most so many boxes, best first.")


class DetrSelection(Selection):
    """The same for a DETR, which gives each thing one box by itself."""

    score_threshold: Share = Field(default=0.0, description="Boxes that score less are left out.")
    nms: NmsKind = Field(default="none", description="How several boxes on one thing become one.")


class YoloSelection(Selection):
    """The same for a YOLO, with the defaults of Ultralytics."""

    score_threshold: Share = Field(default=0.25, description="Boxes that score less are left out.")
    iou_threshold: Share = Field(default=0.7, description="Overlap above which boxes suppress each other.")
    max_detections: int = Field(default=300, ge=1, le=100_000, description="At most so many boxes, best first.")


class Anchors(Part):
    """The boxes that proposals start from, level by level, the finest first."""

    sizes: tuple[Annotated[tuple[Positive, ...], Field(min_length=1)], ...] = Field(
        min_length=1, description="For each level the square roots of the anchors' areas, pixels of the input."
    )
    aspect_ratios: tuple[Positive, ...] = Field(min_length=1, description="Height by width; each size comes in each.")
    strides: tuple[Side, ...] = Field(min_length=1, description="For each level the pixels between cells.")
    convention: Literal["torchvision", "detectron2"] = Field(
        default="torchvision", description="How anchors are rounded and ordered."
    )

    @model_validator(mode="after")
    def _levels_agree(self) -> "Anchors":
        if len(self.sizes) != len(self.strides):
            raise ValueError(f"sizes are given for {len(self.sizes)} levels and strides for {len(self.strides)}")
        return self


class Proposals(Part):
    """How the first graph's anchors become the boxes that the second graph looks at."""

    per_level: int = Field(default=1000, ge=1, le=100_000, description="Anchors of a level that leave the first graph.")
    count: int = Field(default=1000, ge=1, le=100_000, description="Boxes of a picture that go into the second graph.")
    nms_iou: Share = Field(default=0.7, description="Overlap above which boxes of a level suppress each other.")
    score_threshold: Share = Field(default=0.0, description="Anchors of a lower objectness are dropped.")
    min_side_px: float = Field(
        default=1e-3, ge=0, le=8192, description="Smaller boxes are dropped, pixels of the input."
    )
    weights: Weights = Field(default=(1.0, 1.0, 1.0, 1.0), description="What deltas dx, dy, dw, dh are divided by.")


class FasterRcnnOutput(Part):
    """The output contract of the family `faster_rcnn`: two graphs, and the arithmetic between them."""

    levels: tuple[str, ...] = Field(min_length=1, description="Features that go from the first graph to the second.")
    objectness: str = Field(default="objectness", description="First graph: logits [batch, anchors].")
    anchor: str = Field(default="anchor", description="First graph: its index in its level, int64 [batch, anchors].")
    anchor_deltas: str = Field(default="anchor_deltas", description="First graph: [batch, anchors, 4].")
    boxes: str = Field(default="boxes", description="Second graph's input, float32 [boxes, 4] pixels.")
    picture: str = Field(default="picture", description="Second graph's input: row of each box, int64 [boxes].")
    scores: str = Field(default="scores", description="Second graph: [boxes, classes], background first.")
    box_deltas: str = Field(default="box_deltas", description="Second graph: [boxes, classes, 4].")
    weights: Weights = Field(default=(10.0, 10.0, 5.0, 5.0), description="What box_deltas are divided by.")
    min_side_px: float = Field(
        default=1e-2, ge=0, le=8192, description="Smaller boxes are dropped, pixels of the input."
    )
    anchors: Anchors = Field(description="Where proposals start from.")
    proposals: Proposals = Field(default_factory=Proposals, description="How proposals are chosen.")
    selection: Selection = Field(default_factory=Selection, description="Which boxes are answered.")

    @model_validator(mode="after")
    def _levels_differ(self) -> "FasterRcnnOutput":
        if len(set(self.levels)) < len(self.levels):
            raise ValueError("levels must not name a feature twice")
        return self


class DetrOutput(Part):
    """The output contract of the family `detr`."""

    logits: str = Field(default="logits", description="[batch, queries, classes + 1], the last stands for no object.")
    boxes: str = Field(default="boxes", description="[batch, queries, 4] cx, cy, w, h, shares of the picture.")
    selection: DetrSelection = Field(default_factory=DetrSelection, description="Which boxes are answered.")


class YoloOutput(Part):
    """The output contract of the family `yolo`."""

    tensor: str = Field(default="output0", description="Name of the output.")
    form: Literal["anchor_free", "anchor_based"] = Field(
        description="anchor_free: [batch, 4 + classes, boxes]. anchor_based: [batch, boxes, 5 + classes], objectness "
        "before the classes. Boxes are cx, cy, w, h, pixels of the input; scores are in [0, 1]."
    )
    selection: YoloSelection = Field(default_factory=YoloSelection, description="Which boxes are answered.")


class FasterRcnnManifest(Manifest):
    """The whole of a two-stage detector's `model.yaml`."""

    graphs: ClassVar[tuple[str, ...]] = ("rpn.onnx", "head.onnx")

    task: Literal["detection"] = Field(description="Which service it belongs to.")
    family: Literal["faster_rcnn"] = Field(description="How its outputs are to be read.")
    labels: tuple[str, ...] = Field(min_length=2, description="Names of the classes, by class id; 0 is background.")
    input: ShorterSideInput = Field(description="How a picture becomes the input tensor.")
    output: FasterRcnnOutput = Field(description="What the graphs give back.")


class DetrManifest(Manifest):
    """The whole of a DETR's `model.yaml`."""

    task: Literal["detection"] = Field(description="Which service it belongs to.")
    family: Literal["detr"] = Field(description="How its outputs are to be read.")
    input: ShorterSideInput = Field(description="How a picture becomes the input tensor.")
    output: DetrOutput = Field(default_factory=DetrOutput, description="What the graph gives back.")


class YoloManifest(Manifest):
    """The whole of a YOLO's `model.yaml`."""

    task: Literal["detection"] = Field(description="Which service it belongs to.")
    family: Literal["yolo"] = Field(description="How its outputs are to be read.")
    input: LetterboxInput = Field(description="How a picture becomes the input tensor.")
    output: YoloOutput = Field(description="What the graph gives back.")


DetectionManifest = FasterRcnnManifest | DetrManifest | YoloManifest
