"""Segmenters small enough to know every answer by arithmetic, as graphs and as packages on disk.

Red and green make the logits of the classes, blue the guide. Unless a box blurs them, they look at each pixel by
itself. Where blue is `POISON`, a poisonable graph says NaN.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from prometheus_client import CollectorRegistry

from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.manifest_file import validate_manifest, write_manifest
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import open_package
from retinue.runtime.picture import Picture, PictureLimits, raw_picture
from retinue.runtime.view import Cut
from retinue.serving.metrics import Metrics
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import Segmentation, SegmentationItem, SegmentationOptions

PATIENCE_S = 20  # how long a test waits for what must come; it is never waited out
LABELS = ("background", "red", "green")
POISON = 255
# Of red, green and blue, for each class; with the bias, class 1 is red from 128 up and class 2 is green from there.
WEIGHTS = ((0, 0, 0), (1 / 8, -1 / 16, 0), (-1 / 16, 1 / 8, 0))
BIAS = (0, -16, -16)
GUIDE_BIAS = -16.0  # of blue / 8: a boundary is where blue is at least 128
BOUNDARY = {"method": "boundary", "guide": "guide", "min_marker_area_px": 4, "min_area_px": 8}


def graph(
    *,
    weights: ArrayLike = WEIGHTS,
    bias: ArrayLike = BIAS,
    box: int = 1,
    shrink: int = 1,
    sides: Sequence[int | str] = ("height", "width"),
    has_guide: bool = True,
    **wrong: Any,
) -> bytes:
    """Return a graph: logits [batch, classes, height, width], and a guide [batch, 1, height, width].

    Args:
        weights: [classes, 3], what a step of red, green and blue adds to each logit.
        bias: [classes].
        box: side of the mean that is taken of all channels first, with zeros around the picture: the receptive field.
        shrink: a model that gives maps of a fraction of its input.
        sides: height and width of the input, if they are not free.
        has_guide: whether there is one: blue / 8 - 16.
        wrong: ``is_poisonable`` says NaN where blue is `POISON`; ``dtype`` of the input, ``logits_name``,
            ``logits_shape``, ``batch`` are told other than they should be.
    """
    weights, bias = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
    mean = np.zeros((3, 1, box, box), np.float32) + np.float32(1 / box**2)
    constants = {
        "mean": mean,
        "weights": weights[:, :, None, None],
        "bias": bias,
        "blue": np.array([[[[0]], [[0]], [[1 / 8]]]], np.float32),
        "guide_bias": np.array([GUIDE_BIAS], np.float32),
        "poison": np.array([[[[0]], [[0]], [[1 / POISON]]]], np.float32),
        "one": np.array(1, np.float32),
    }
    logits = wrong.get("logits_name", "logits")
    nodes = [
        helper.make_node("Cast", ["image"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["bytes"], ["pixels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["pixels", "mean"], ["blurred"], group=3, auto_pad="SAME_UPPER"),
        helper.make_node(
            "AveragePool", ["blurred"], ["seen"], kernel_shape=[shrink] * 2, strides=[shrink] * 2, ceil_mode=1
        ),
        helper.make_node("Conv", ["seen", "weights", "bias"], ["sound"]),
        helper.make_node("Conv", ["seen", "blue", "guide_bias"], ["guide"]),
    ]
    if wrong.get("is_poisonable"):
        nodes += [
            helper.make_node("Conv", ["pixels", "poison"], ["share"]),
            helper.make_node("Sub", ["one", "share"], ["rest"]),
            helper.make_node("Div", ["rest", "rest"], ["ones"]),
            helper.make_node("Mul", ["sound", "ones"], [logits]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["sound"], [logits]))
    batch = wrong.get("batch", "batch")
    image = helper.make_tensor_value_info("image", wrong.get("dtype", TensorProto.UINT8), [batch, *sides, 3])
    outputs = [
        helper.make_tensor_value_info(
            logits, TensorProto.FLOAT, wrong.get("logits_shape", [batch, len(weights), *map_sides(sides, shrink)])
        )
    ]
    if has_guide:
        outputs.append(helper.make_tensor_value_info("guide", TensorProto.FLOAT, [batch, 1, *map_sides(sides, shrink)]))
    model = helper.make_model(
        helper.make_graph(
            nodes, "tiny", [image], outputs, [numpy_helper.from_array(value, name) for name, value in constants.items()]
        ),
        opset_imports=[helper.make_opsetid("", 17)],  # versions that any runtime reads
        ir_version=8,
    )
    return onnx.ModelProto.SerializeToString(model)


def map_sides(sides: Sequence[int | str], shrink: int) -> list[int | str | None]:
    if shrink == 1:
        return list(sides)
    return [-(-side // shrink) if isinstance(side, int) else None for side in sides]


def write_segmenter(root: Path, name: str = "tiny", version: str = "1", **changes: Any) -> Path:
    """Write a package under a repository's root and return its folder.

    Args:
        root: of the repository.
        name: of the model.
        version: of it.
        changes: ``family`` (instance), ``labels``, ``policy``, ``output``, ``splitting``, ``tiles`` and ``model`` (the
            graph's bytes); all else is of `graph`.
    """
    family = changes.pop("family", "instance")
    labels = changes.pop("labels", LABELS)
    policy = {"fit": "scale"} | changes.pop("policy", {})
    if policy["fit"] == "scale":
        policy = {"stride_px": 1} | policy  # pixels are looked at wherever they lie
    output = dict(changes.pop("output", {}))
    splitting = changes.pop("splitting", BOUNDARY)
    tiles = {"tile_size_px": 64, "overlap_px": 16} | changes.pop("tiles", {})
    if family == "instance":
        output["splitting"] = splitting
    model = changes.pop("model", None)
    data = graph(**changes) if model is None else model
    folder = root / name / version
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(data)
    content = {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "task": "segmentation",
        "family": family,
        "labels": tuple(labels),
        "input": policy,
        "output": output,
        "tiles": tiles,
        "files": {"model.onnx": hashlib.sha256(data).hexdigest()},
        "provenance": {"source": "the test"},
        "licence": "CC0-1.0",
    }
    write_manifest(validate_manifest(content), folder)
    return folder


def pipeline_of(folder: Path) -> SegmentationPipeline:
    package = open_package(folder)

    def load(file_name: str) -> OnnxBackend:
        return OnnxBackend(package.path(file_name), providers=("cpu",), threads=1, is_fallback_allowed=False)

    return SegmentationPipeline(package, load)


def options_with(thresholds: tuple[float | None, ...] = (None,) * 3, **changes: Any) -> SegmentationOptions:
    """Return options that let everything through."""
    everything: dict[str, Any] = {"score_threshold": 0.0, "min_area_px": 0, "max_instances": 1000}
    return SegmentationOptions(thresholds, **everything | changes)


def item_of(pixels: NDArray[np.uint8], options: SegmentationOptions | None = None, **changes: Any) -> SegmentationItem:
    return SegmentationItem(Cut(pixels), options or options_with(), **changes)


def answers(pipeline: SegmentationPipeline, *items: SegmentationItem) -> list[Segmentation]:
    """Return the answers to a batch, made as a worker makes them."""
    rows = pipeline.allocate(pipeline.bucket(items[0]), len(items))
    for index, item in enumerate(items):
        pipeline.prepare(pipeline.decode(item), rows, index)
    return pipeline.finish(items, pipeline.run(rows, len(items)))


def answer(pipeline: SegmentationPipeline, pixels: NDArray[np.uint8], **options: Any) -> Segmentation:
    (one,) = answers(pipeline, item_of(pixels, options_with(**options)))
    return one


def picture_of(pixels: NDArray[np.uint8]) -> Picture:
    height, width = pixels.shape[:2]
    return raw_picture(pixels.tobytes(), height, width, "rgb", PictureLimits())


def idle_engine(
    pipeline: SegmentationPipeline, *, workers: int = 1, max_batch_size: int = 4, max_queue_items: int = 64
) -> Engine[SegmentationItem, Segmentation]:
    """Return an engine that is not started."""
    observer = Metrics(CollectorRegistry()).engine_observer("tiny", "1")
    size = EngineSize(workers, max_batch_size, max_queue_items, 2**28)
    return Engine(pipeline.manifest, pipeline, size, observer)


@contextmanager
def running_engine(pipeline: SegmentationPipeline, **size: Any) -> Iterator[Engine[SegmentationItem, Segmentation]]:
    """Run an engine until the block is left."""
    engine = idle_engine(pipeline, **size)
    engine.start()
    try:
        yield engine
    finally:
        assert engine.close(PATIENCE_S)


# --- pictures


def black(height: int, width: int) -> NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def with_discs(
    height: int, width: int, seed: int = 0, *, step: int = 40, radii: tuple[int, int] = (5, 17)
) -> tuple[NDArray[np.uint8], int]:
    """Return a picture of red and green discs on a jittered grid, none touching another, and how many they are."""
    rng = np.random.default_rng(seed)
    pixels, count = black(height, width), 0
    for y in range(0, height - step + 1, step):
        for x in range(0, width - step + 1, step):
            radius = int(rng.integers(*radii))
            centre = [corner + int(rng.integers(radius + 1, step - radius - 1)) for corner in (x, y)]
            colour = (230, 20, 0) if rng.random() < 0.5 else (20, 230, 0)
            cv2.circle(pixels, centre, radius, colour, -1)
            count += 1
    return pixels, count


def with_blobs(height: int, width: int, seed: int = 0, coarseness: float = 6.0) -> NDArray[np.uint8]:
    """Return smooth noise: things of every shape, of both classes, with boundaries and without."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), coarseness, borderType=cv2.BORDER_REFLECT).reshape(noise.shape)
    share = smooth / max(float(np.abs(smooth).max()), 1e-6)
    return np.asarray(np.clip(128 + 200 * share, 0, 255), np.uint8)
