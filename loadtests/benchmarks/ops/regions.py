"""Anchors, regions, and tiles: what a detector does around its network, and what large pictures are put together by."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import kmeans_anchors, plan_tiles, pyramid_anchors, roi_align, stitch
from retinue.ops.anchors import anchors_at, cell_anchors
from retinue.runtime.onnx_runtime import onnxruntime

FEATURES = [(200, 336), (100, 168), (50, 84), (25, 42), (13, 21)]
SIZES = [(32,), (64,), (128,), (256,), (512,)]
RATIOS = (0.5, 1.0, 2.0)
IMAGE = (800, 1344)

STREAMED = """
import numpy as np
from retinue.ops import plan_tiles
from retinue.ops.stitching import RowStitcher
def run(size):
    plan = plan_tiles(size, size, 512, 64)
    stitcher = RowStitcher(plan, blend="gaussian")
    tile = np.ones((512, 512), np.float32)
    return sum(len(stitcher.add(tile)) for _ in plan)
run(600)
"""


def cases() -> Iterator[Case | MemoryCase]:
    """Yield what is measured of anchors, regions and tiles."""
    yield from _anchors()
    for count, side_px, ratio, target in (
        (1000, (16, 112), 2, 1.0),
        (1000, (64, 448), 2, 1.0),
        (1000, (64, 448), 0, 1.0),
        (100, (16, 112), 2, 1.0),
        (10, (64, 448), 2, None),
    ):
        yield _regions(count, side_px, ratio, target)
    yield from _stitching()


def _anchors() -> Iterator[Case]:
    yield Case(
        "pyramid_anchors 800x1333, 5 levels",
        lambda: pyramid_anchors(FEATURES, SIZES, [RATIOS] * 5, image_size=IMAGE),
        {"numpy": _numpy_anchors},
        target=1.0,
        note="numpy as torchvision does it: a grid of shifts plus the anchors of a cell",
    )
    cells = cell_anchors(SIZES[0], RATIOS)
    level = pyramid_anchors(FEATURES, SIZES, [RATIOS] * 5, image_size=IMAGE)[0]
    best = np.random.default_rng(0).permutation(len(level))[:1000]
    yield Case(
        "anchors_at 1000 of 201600",
        lambda: anchors_at(best, FEATURES[0], 4, cells),
        {"rows of all": lambda: level[best]},
        note="the peer has all anchors of the level in memory already",
    )
    wh = np.exp(np.random.default_rng(0).normal(4, 1, (10_000, 2)))
    start = kmeans_anchors(wh, 9, max_iterations=0)
    yield Case(
        "kmeans_anchors n=10000 k=9, 40 moves",
        lambda: kmeans_anchors(wh, 9, max_iterations=40),
        {"numpy": lambda: _numpy_kmeans(wh, start, 40)},
        target=2.0,
        note="numpy starts from our first anchors, so it is spared finding them",
    )


def _regions(count: int, side_px: tuple[int, int], ratio: int, target: float | None) -> Case:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(256, 200, 336)).astype(np.float32)
    sides = np.exp(rng.uniform(np.log(side_px[0]), np.log(side_px[1]), (count, 2)))
    centres = rng.random((count, 2)) * (1333, 800)
    limits = (1333, 800, 1333, 800)
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).clip(0, limits).astype(np.float32)
    session = _onnx_session(ratio)
    feed = {"features": features[None], "boxes": boxes, "indices": np.zeros(count, np.int64)}
    return Case(
        f"roi_align {count} boxes of {side_px[0]} to {side_px[1]} px, sampling_ratio={ratio}",
        lambda: roi_align(features, boxes, 7, spatial_scale=0.25, sampling_ratio=ratio),
        {"onnxruntime": lambda: session.run(None, feed)},
        target=target,
        note="256 channels of 200x336 to 7x7; onnxruntime on one thread",
    )


def _stitching() -> Iterator[Case | MemoryCase]:
    picture = np.random.default_rng(0).normal(size=(4096, 4096)).astype(np.float32)
    plan = plan_tiles(4096, 4096, 512, 64)
    outputs = [picture[tile.slices].copy() for tile in plan]
    ramp = np.exp(-0.5 * (((np.arange(512) + 0.5) / 512 - 0.5) / 0.125) ** 2).astype(np.float32)
    yield Case(
        "stitch 4096x4096 of 512 by 64, gaussian",
        lambda: stitch(plan, outputs, blend="gaussian"),
        {"numpy": lambda: _numpy_blend(plan, outputs, np.outer(ramp, ramp))},
        target=1.5,
        note="numpy adds weighted tiles and weights, and divides",
    )
    yield Case(
        "stitch 4096x4096 of 512 by 64, crop",
        lambda: stitch(plan, outputs),
        {"numpy": lambda: _numpy_paste(plan, outputs)},
        note="numpy pastes each tile whole over the last, without seams in the middle: the cost of copying",
    )
    yield MemoryCase(
        "RowStitcher 8192x8192 float32 of 512 by 64, gaussian",
        STREAMED,
        "run(8192)",
        limit_mib=96,
    )


def _numpy_anchors() -> list[NDArray[np.float32]]:
    levels = []
    for (height, width), sizes in zip(FEATURES, SIZES, strict=True):
        shifts_y, shifts_x = np.meshgrid(
            np.arange(height, dtype=np.int32) * (IMAGE[0] // height),
            np.arange(width, dtype=np.int32) * (IMAGE[1] // width),
            indexing="ij",
        )
        shifts = np.stack([shifts_x.ravel(), shifts_y.ravel(), shifts_x.ravel(), shifts_y.ravel()], axis=1)
        cells = cell_anchors(sizes, RATIOS)
        levels.append((shifts[:, None].astype(np.float32) + cells[None]).reshape(-1, 4))
    return levels


def _numpy_kmeans(wh: NDArray[np.float64], anchors: NDArray[np.float64], moves: int) -> NDArray[np.float64]:
    owner = np.full(len(wh), -1)
    for _ in range(moves):
        shared = np.minimum(wh[:, None], anchors[None]).prod(-1)
        nearest = (shared / (wh.prod(-1)[:, None] + anchors.prod(-1)[None] - shared)).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        anchors = np.stack([wh[owner == place].mean(axis=0) for place in range(len(anchors))])
    return anchors


def _numpy_blend(plan: Any, outputs: list[NDArray[np.float32]], window: NDArray[np.float32]) -> NDArray[np.float32]:
    total, weights = np.zeros((4096, 4096), np.float32), np.zeros((4096, 4096), np.float32)
    for tile, output in zip(plan, outputs, strict=True):
        total[tile.slices] += output * window
        weights[tile.slices] += window
    return total / weights


def _numpy_paste(plan: Any, outputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    picture = np.empty((4096, 4096), np.float32)
    for tile, output in zip(plan, outputs, strict=True):
        picture[tile.slices] = output
    return picture


def _onnx_session(ratio: int) -> Any:
    float32, int64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    node = onnx.helper.make_node(
        "RoiAlign",
        ["features", "boxes", "indices"],
        ["regions"],
        coordinate_transformation_mode="output_half_pixel",
        output_height=7,
        output_width=7,
        sampling_ratio=ratio,
        spatial_scale=0.25,
    )
    value = onnx.helper.make_tensor_value_info
    inputs = [
        value("features", float32, [None] * 4),
        value("boxes", float32, [None, 4]),
        value("indices", int64, [None]),
    ]
    graph = onnx.helper.make_graph([node], "graph", inputs, [value("regions", float32, [None] * 4)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 16)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
