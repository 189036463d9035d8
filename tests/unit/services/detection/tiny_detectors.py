"""Detectors small enough to know every answer by arithmetic, as graphs and as packages on disk.

All of them look at nothing but the red channel's mean, or at blocks of pixels, and use only operations whose result for
one picture does not depend on its neighbours.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto

from retinue.runtime.backend import LoadGraph
from retinue.runtime.manifest_file import validate_manifest, write_manifest
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import open_package
from retinue.runtime.picture import Picture, PictureLimits, raw_picture
from retinue.runtime.view import WholePicture
from services.detection.detections import DetectionItem, DetectionOptions, Detections
from services.detection.pipeline import DetectionPipeline
from tests.unit.services.detection.onnx_graph import GraphMaker, masked_pixels

LABELS = ("ring", "disc", "cross")
STRIDES = (8, 16)
ASPECT_RATIOS = (0.5, 1.0)
HEAD_TARGETS_PX = (16.0, 32.0, 64.0)  # by class how wide its things are; background first
HEAD_FACTORS = (0.0, 1.0, 0.5)
SQUARE_PX, SQUARES_SIDE_PX = 6, 64
POISON = 255  # a picture whose red mean is that makes the graphs answer NaN


def _brightness(make: GraphMaker, image: str, *, is_planar: bool, scale: float) -> str:
    """Return float32 [batch, 1, 1]: the mean of red, 0 to 1."""
    pixels = make("Cast", image, to=TensorProto.FLOAT)
    red = make("Gather", pixels, make.constant(0, np.int64), axis=1 if is_planar else 3)
    mean = make("ReduceMean", red, axes=[1, 2], keepdims=1)
    return make("Mul", mean, make.constant(scale))


def _poisoned(make: GraphMaker, values: str, brightness: str) -> str:
    """Return the values; NaN where the brightness is 1."""
    none = make("Sub", make.constant(1), brightness)
    return make("Add", values, make("Sub", make("Div", none, none), make.constant(1)))


def yolo_graph(
    table: ArrayLike,
    form: str = "anchor_free",
    *,
    batch: int | str = "batch",
    policy: dict[str, Any] | None = None,
    is_poisonable: bool = False,
    **wrong: Any,
) -> bytes:
    """Return a graph that answers a table of boxes whatever it sees; the first score is times the brightness.

    Args:
        table: [boxes, 4 + classes] or [boxes, 5 + classes]: what it answers for a white picture.
        form: as in the manifest; ``anchor_free`` is turned so that boxes come last.
        batch: fixed to a number, as exporters leave it, or free.
        policy: of the input, if it is not 64 x 64.
        is_poisonable: whether a white picture gets NaN.
        wrong: ``outputs`` or ``inputs``, to be wrong on purpose, ``wrong_rows``: tells every row twice, ``is_open``:
            leaves open what it gives, or ``is_poisoned_by_black``: gives NaN for a black picture.
    """
    own = letterbox() | (policy or {})
    is_planar, make = own.get("layout", "nchw") == "nchw", GraphMaker()
    sides = (own["height"], own["width"])
    shape: list[Any] = [batch, 3, *sides] if is_planar else [batch, *sides, 3]
    dtype: str = own.get("pixels", "float32")
    scale = 1.0 if dtype == "float32" else 1 / 255
    brightness = _brightness(make, "images", is_planar=is_planar, scale=scale)  # [batch, 1, 1]
    rows = np.asarray(table, np.float32)
    boxes = make("Mul", make("Sub", brightness, brightness), make.constant(0))  # zeros [batch, 1, 1]
    parts = [
        make("Add", boxes, make.constant(rows[None, :, :4])),
        make("Mul", brightness, make.constant(rows[None, :, 4:5])),
    ]
    if rows.shape[1] > 5:
        parts.append(make("Add", boxes, make.constant(rows[None, :, 5:])))
    out = make("Concat", *parts, axis=2)
    if is_poisonable:
        out = _poisoned(make, out, brightness)
    if wrong.get("is_poisoned_by_black"):
        out = _poisoned(make, out, make("Sub", make.constant(1), brightness))
    if wrong.get("wrong_rows"):
        out = make("Concat", out, out, axis=0)
    out_shape: Sequence[int | str] = [batch, *rows.shape]
    if form == "anchor_free":
        out, out_shape = make("Transpose", out, perm=[0, 2, 1]), [batch, rows.shape[1], len(rows)]
    if wrong.get("is_open"):  # its shape is known when it runs, and not before
        nothing = make("Reshape", make("Cast", boxes, to=TensorProto.INT64), make.constant([-1], np.int64))
        least = make("ReduceMax", nothing, axes=[0], keepdims=1)
        out = make("Reshape", out, make("Add", make("Shape", out), least))
    make.named("output0", out)
    return make.model(
        {"images": (dtype, shape)} | wrong.get("inputs", {}), wrong.get("outputs", {"output0": ("float32", out_shape)})
    )


def squares_graph() -> bytes:
    """Return a graph, of yolo's anchor-free form, that finds bright squares of 6 x 6 pixels on 64 x 64, exactly."""
    make, side = GraphMaker(), SQUARES_SIDE_PX - SQUARE_PX + 1
    red = make("Gather", "images", make.constant([0], np.int64), axis=1)
    is_bright = make("Cast", make("Greater", red, make.constant(0.5)), to=TensorProto.FLOAT)
    counts = make("Conv", is_bright, make.constant(np.ones((1, 1, SQUARE_PX, SQUARE_PX))))
    # Of the windows only those that are bright all over.
    scores = make("Clip", make("Sub", counts, make.constant(SQUARE_PX**2 - 1)), make.constant(0), make.constant(1))
    row = make("Reshape", scores, make.constant([0, 1, -1], np.int64))
    y, x = (np.mgrid[:side, :side].reshape(2, -1) + SQUARE_PX / 2).astype(np.float32)
    table = make.constant(np.stack([x, y, np.full_like(x, SQUARE_PX), np.full_like(x, SQUARE_PX)])[None])
    boxes = make("Add", make("Mul", row, make.constant(0)), table)
    make.named("output0", make("Concat", boxes, row, axis=1))
    shape: list[int | str] = ["batch", 3, SQUARES_SIDE_PX, SQUARES_SIDE_PX]
    return make.model({"images": ("float32", shape)}, {"output0": ("float32", ["batch", 5, side**2])})


def detr_graph(logits: ArrayLike, boxes: ArrayLike, *, is_poisonable: bool = False, **wrong: Any) -> bytes:
    """Return a graph that answers these logits and boxes; the first class's logit grows with the brightness of red.

    Args:
        logits: [queries, classes + 1]; that of the first class is for black, 4 more for white.
        boxes: [queries, 4] cx, cy, w, h, shares of the picture.
        is_poisonable: whether a white picture gets NaN.
        wrong: ``inputs`` or ``outputs``, to be wrong on purpose.
    """
    make = GraphMaker()
    red = make("Gather", masked_pixels(make, "image", "size"), make.constant(0, np.int64), axis=1)
    brightest = make("ReduceMax", red, axes=[1, 2], keepdims=1)
    brightness = make("Mul", brightest, make.constant(1 / 255))
    table, shares = np.asarray(logits, np.float32), np.asarray(boxes, np.float32)
    growth = np.zeros_like(table)
    growth[:, 0] = 4
    out = make("Add", make("Mul", brightness, make.constant(growth[None])), make.constant(table[None]))
    zeros = make("Mul", brightness, make.constant(0))
    make.named("logits", _poisoned(make, out, brightness) if is_poisonable else out)
    make.named("boxes", make("Add", zeros, make.constant(shares[None])))
    sides: Sequence[int | str] = ["batch", "height", "width", 3]
    return make.model(
        {"image": ("float32", sides), "size": ("int64", ["batch", 2])} | wrong.get("inputs", {}),
        {"logits": ("float32", ["batch", *table.shape]), "boxes": ("float32", ["batch", *shares.shape])}
        | wrong.get("outputs", {}),
    )


def rpn_graph(*, per_level: int = 40, pixels: str = "uint8", is_poisonable: bool = False, **wrong: Any) -> bytes:
    """Return a first graph: cells of mean colours, red and green the objectness of two anchors, blue their deltas.

    Args:
        per_level: most anchors of a level.
        pixels: type of the pictures.
        is_poisonable: whether a picture with a white cell gets NaN.
        wrong: ``outputs``, to be wrong on purpose, ``delta``: what all deltas are, or ``first_anchor``: added to all
            indices.
    """
    make = GraphMaker()
    picture = masked_pixels(make, "image", "size")
    kept: list[list[str]] = [[], [], []]
    means = make("AveragePool", picture, kernel_shape=[STRIDES[0]] * 2, strides=[STRIDES[0]] * 2)
    make.named("p8", means)
    for level in range(len(STRIDES)):
        if level > 0:  # every second cell, as torchvision's extra level
            means = make("MaxPool", means, kernel_shape=[1, 1], strides=[2, 2])
        cells = make("Transpose", means, perm=[0, 2, 3, 1])  # [batch, rows, columns, 3]
        pair = make("Gather", cells, make.constant([0, 1], np.int64), axis=3)
        logits = make("Reshape", make("Sub", pair, make.constant(96)), make.constant([0, -1], np.int64))
        logits = make("Mul", logits, make.constant(1 / 32))
        if is_poisonable:
            none = make("Sub", make.constant(POISON), pair)
            nothing = make("Reshape", make("Sub", none, none), make.constant([0, -1], np.int64))
            logits = make("Add", logits, make("Div", nothing, make("Reshape", none, make.constant([0, -1], np.int64))))
        colours = make("Gather", cells, make.constant([2, 0, 1, 2], np.int64), axis=3)
        shift = make("Mul", make("Sub", colours, make.constant(128)), make.constant(1 / 256))
        both = make("Concat", shift, make("Mul", shift, make.constant(0.5)), axis=3)
        deltas = make("Reshape", both, make.constant([0, -1, 4], np.int64))
        if "delta" in wrong:
            deltas = make("Add", make("Mul", deltas, make.constant(0)), make.constant(wrong["delta"]))
        total = make("Gather", make("Shape", logits), make.constant([1], np.int64))
        count = make("Min", total, make.constant([per_level], np.int64))
        best, indices = make.many("TopK", 2, logits, count, axis=1)
        wide = make("Unsqueeze", indices, make.constant([2], np.int64))
        wide = make("Expand", wide, make.constant([1, 1, 4], np.int64))
        indices = make("Add", indices, make.constant(wrong.get("first_anchor", 0), np.int64))
        for parts, value in zip(kept, (best, indices, make("GatherElements", deltas, wide, axis=1)), strict=True):
            parts.append(value)
    for name, parts in zip(("objectness", "anchor", "anchor_deltas"), kept, strict=True):
        make.named(name, make("Concat", *parts, axis=1))
    return make.model(
        {"image": (pixels, ["batch", "height", "width", 3]), "size": ("int64", ["batch", 2])},
        {
            "p8": ("float32", ["batch", 3, "rows", "columns"]),
            "objectness": ("float32", ["batch", "anchors"]),
            "anchor": ("int64", ["batch", "anchors"]),
            "anchor_deltas": ("float32", ["batch", "anchors", 4]),
        }
        | wrong.get("outputs", {}),
    )


def head_graph(*, class_count: int = 3, gain: float = 1.0, **wrong: Any) -> bytes:
    """Return a second graph: the better a box's width fits a class's the higher the score, times the mean of red.

    Args:
        class_count: how many of the classes it has.
        gain: what deltas are multiplied by.
        wrong: ``outputs``, to be wrong on purpose.
    """
    make = GraphMaker()
    means = make("Reshape", make("GlobalAveragePool", "p8"), make.constant([0, 3], np.int64))
    red = make("Gather", means, make.constant([0], np.int64), axis=1)
    brightness = make("Gather", make("Mul", red, make.constant(1 / 255)), "picture", axis=0)  # [boxes, 1]
    x1, x2 = (make("Gather", "boxes", make.constant([column], np.int64), axis=1) for column in (0, 2))
    misfit = make("Abs", make("Sub", make("Sub", x2, x1), make.constant([HEAD_TARGETS_PX[:class_count]])))
    fit = make("Sub", make.constant(1), make("Mul", misfit, make.constant(1 / 64)))
    scores = make("Mul", make("Clip", fit, make.constant(0), make.constant(1)), brightness)
    make.named("scores", scores)
    shift = make("Mul", make("Sub", "boxes", make.constant(64)), make.constant(1 / 128))
    factors = np.reshape(HEAD_FACTORS[:class_count], (1, -1, 1)) * np.float32(gain)
    make.named(
        "box_deltas", make("Mul", make("Unsqueeze", shift, make.constant([1], np.int64)), make.constant(factors))
    )
    return make.model(
        {
            "p8": ("float32", ["batch", 3, "rows", "columns"]),
            "boxes": ("float32", ["boxes", 4]),
            "picture": ("int64", ["boxes"]),
        },
        {"scores": ("float32", ["boxes", class_count]), "box_deltas": ("float32", ["boxes", class_count, 4])}
        | wrong.get("outputs", {}),
    )


# --- packages


def letterbox(side: int = 64) -> dict[str, Any]:
    return {"fit": "letterbox", "height": side, "width": side}


def shorter_side(**changes: Any) -> dict[str, Any]:
    """Return a policy that leaves pictures up to 64 x 128 as they are, if their shorter side is 64."""
    return {"fit": "shorter_side", "short_side": 64, "long_side": 128, "pixels": "uint8", "size_divisor": 16} | changes


def two_stage_output(**changes: Any) -> dict[str, Any]:
    anchors = {"sizes": ((16.0,), (48.0,)), "aspect_ratios": ASPECT_RATIOS, "strides": STRIDES}
    return {"levels": ("p8",), "anchors": anchors, "proposals": {"per_level": 40, "count": 30}} | changes


def write_detector(
    root: Path,
    name: str = "tiny",
    version: str = "1",
    *,
    family: str,
    graphs: dict[str, bytes],
    policy: dict[str, Any],
    output: dict[str, Any],
    labels: Sequence[str] = LABELS,
) -> Path:
    """Write a package under a repository's root and return its folder."""
    folder = root / name / version
    folder.mkdir(parents=True)
    for file_name, data in graphs.items():
        (folder / file_name).write_bytes(data)
    content = {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "task": "detection",
        "family": family,
        "labels": tuple(labels),
        "input": policy,
        "output": output,
        "files": {file_name: hashlib.sha256(data).hexdigest() for file_name, data in graphs.items()},
        "provenance": {"source": "the test"},
        "licence": "CC0-1.0",
    }
    write_manifest(validate_manifest(content), folder)
    return folder


def write_yolo(root: Path, table: ArrayLike, form: str = "anchor_free", **changes: Any) -> Path:
    """Write a package that answers a table, see `yolo_graph`; ``changes`` are of it, of the manifest or the graph."""
    manifest = {key: changes.pop(key) for key in ("name", "version", "labels") if key in changes}
    policy = letterbox() | (changes.get("policy") or {})
    output = {"form": form, "selection": changes.pop("selection", {"score_threshold": 0.0})}
    graph = changes.pop("model", None) or yolo_graph(table, form, **changes)
    return write_detector(root, family="yolo", graphs={"model.onnx": graph}, policy=policy, output=output, **manifest)


def write_squares(root: Path, name: str = "squares", **selection: Any) -> Path:
    """Write a package that finds bright squares."""
    return write_detector(
        root,
        name,
        family="yolo",
        graphs={"model.onnx": squares_graph()},
        policy=letterbox(SQUARES_SIDE_PX),
        output={"form": "anchor_free", "selection": {"score_threshold": 0.5} | selection},
        labels=("square",),
    )


def write_detr(root: Path, logits: ArrayLike, boxes: ArrayLike, **changes: Any) -> Path:
    manifest = {key: changes.pop(key) for key in ("name", "version", "labels") if key in changes}
    policy = shorter_side(pixels="float32") | changes.pop("policy", {})
    output = changes.pop("output", {})
    graph = changes.pop("model", None) or detr_graph(logits, boxes, **changes)
    return write_detector(root, family="detr", graphs={"model.onnx": graph}, policy=policy, output=output, **manifest)


def write_two_stage(root: Path, *, rpn: bytes | None = None, head: bytes | None = None, **changes: Any) -> Path:
    return write_detector(
        root,
        family="faster_rcnn",
        graphs={
            "rpn.onnx": rpn_graph() if rpn is None else rpn,
            "head.onnx": head_graph() if head is None else head,
        },
        policy=shorter_side() | changes.pop("policy", {}),
        output=two_stage_output(**changes.pop("output", {})),
        **{"labels": ("nothing", "ring", "disc"), **changes},
    )


# --- what is asked of them


class Recorder:
    """Loads graphs and counts how often each has run."""

    def __init__(self, folder: Path) -> None:
        self._package = open_package(folder)
        self.backends: dict[str, _Recorded] = {}

    def load(self, file_name: str) -> "_Recorded":
        self.backends[file_name] = _Recorded(self._package.path(file_name))
        return self.backends[file_name]

    def pipeline(self) -> DetectionPipeline:
        load: LoadGraph = self.load
        return DetectionPipeline(self._package, load)


class _Recorded(OnnxBackend):
    """A real backend that writes down the batches it is run on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.batches: list[int] = []

    def run(self, feeds: Any, outputs: Sequence[str]) -> list[NDArray[Any]]:
        self.batches.append(len(next(iter(feeds.values()))))
        return super().run(feeds, outputs)

    def run_kept(self, feeds: Any, outputs: Sequence[str], kept: Any) -> list[Any]:
        self.batches.append(len(list(feeds.values())[-1]))
        return super().run_kept(feeds, outputs, kept)


def pipeline_of(folder: Path) -> DetectionPipeline:
    return Recorder(folder).pipeline()


def options_with(**changes: Any) -> DetectionOptions:
    """Return options that let everything through."""
    everything: dict[str, Any] = {
        "score_threshold": 0.0,
        "class_ids": None,
        "nms": "none",
        "iou_threshold": 0.5,
        "sigma": 0.5,
        "is_class_agnostic": False,
        "max_detections": 1000,
    }
    return DetectionOptions(**everything | changes)


def picture_of(pixels: NDArray[np.uint8]) -> Picture:
    height, width = pixels.shape[:2]
    return raw_picture(pixels.tobytes(), height, width, "rgb", PictureLimits())


def plain(value: int | tuple[int, int, int] = 255, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    """Return a picture of one colour."""
    return np.full((height, width, 3), value, np.uint8)


def item_of(pixels: NDArray[np.uint8], **options: Any) -> DetectionItem:
    return DetectionItem(WholePicture(picture_of(pixels)), options_with(**options))


def answers(pipeline: DetectionPipeline, *items: DetectionItem) -> list[Detections]:
    """Return the answers to a batch, made as a worker makes them."""
    rows = pipeline.allocate(pipeline.bucket(items[0]), len(items))
    for index, item in enumerate(items):
        pipeline.prepare(pipeline.decode(item), rows, index)
    return pipeline.finish(items, pipeline.run(rows, len(items)))
