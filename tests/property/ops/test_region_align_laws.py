"""Laws of features under boxes, against a plain loop and against onnxruntime."""

import functools
import math
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.ops import roi_align


def plain_roi_align(
    features: NDArray[Any], box: NDArray[Any], bins: tuple[int, int], scale: float, ratio: int, *, aligned: bool
) -> NDArray[Any]:
    """roi_align_common.h, sample by sample, for one box; every step in the dtype of the features."""
    real = features.dtype.type
    channels, height, width = features.shape
    shift = real(0.5 if aligned else 0)
    left, top, right, bottom = (real(side) * real(scale) - shift for side in box)
    wide, high = right - left, bottom - top
    if not aligned:
        wide, high = max(wide, real(1)), max(high, real(1))
    step_y, step_x = high / real(bins[0]), wide / real(bins[1])
    grid_y, grid_x = (ratio or math.ceil(step) for step in (step_y, step_x))
    region = np.zeros((channels, *bins), features.dtype)
    for row, column in np.ndindex(bins):
        total = np.zeros(channels)
        for i in range(grid_y):
            y = top + real(row) * step_y + real(i + 0.5) * step_y / real(grid_y)
            for j in range(grid_x):
                x = left + real(column) * step_x + real(j + 0.5) * step_x / real(grid_x)
                if -1 <= y <= height and -1 <= x <= width:
                    total += plain_bilinear(features, y, x)
        region[:, row, column] = total / max(grid_y * grid_x, 1)
    return region


def plain_bilinear(features: NDArray[Any], y: Any, x: Any) -> Any:
    _, height, width = features.shape
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    above, before = int(y), int(x)
    below, behind = min(above + 1, height - 1), min(before + 1, width - 1)
    part_y, part_x = y - above, x - before
    upper = (1 - part_x) * features[:, above, before] + part_x * features[:, above, behind]
    lower = (1 - part_x) * features[:, below, before] + part_x * features[:, below, behind]
    return (1 - part_y) * upper + part_y * lower


@functools.cache
def onnx_session(mode: str, bins: tuple[int, int], scale: float, ratio: int) -> Any:
    float32, int64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    node = onnx.helper.make_node(
        "RoiAlign",
        ["features", "boxes", "indices"],
        ["regions"],
        coordinate_transformation_mode=mode,
        output_height=bins[0],
        output_width=bins[1],
        sampling_ratio=ratio,
        spatial_scale=scale,
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


seeds = st.integers(0, 2**32 - 1)
# Whole and half numbers among the corners, so that samples fall on cells and on the ends of the margin.
sides = st.one_of(st.integers(-16, 48).map(lambda half: half / 2), st.floats(-10, 30, width=32))
corners = st.lists(st.tuples(sides, sides, sides, sides), min_size=1, max_size=4)
bin_counts = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(deadline=None)
@given(
    boxes=corners,
    bins=bin_counts,
    scale=st.sampled_from([0.5, 1.0]),
    ratio=st.integers(0, 3),
    aligned=st.booleans(),
    seed=seeds,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regions_are_those_of_a_plain_loop(
    dtype: Any, boxes: Any, bins: tuple[int, int], scale: float, ratio: int, seed: int, *, aligned: bool
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, *rng.integers(1, 9, 2))).astype(dtype)
    array = np.array(boxes, dtype=dtype)
    regions = roi_align(features, array, bins, spatial_scale=scale, sampling_ratio=ratio, aligned=aligned)
    expected = [plain_roi_align(features, box, bins, scale, ratio, aligned=aligned) for box in array]
    # Samples lie in the same places; their sum is rounded in another order.
    np.testing.assert_allclose(regions, expected, atol=64 * np.finfo(dtype).eps)


@settings(deadline=None, max_examples=50)
@given(seeds, st.sampled_from([0, 1, 2, 3]), st.sampled_from([(7, 7), (3, 2)]), st.sampled_from([0.25, 1.0]))
@pytest.mark.parametrize("mode", ["half_pixel", "output_half_pixel"])
def test_regions_are_those_of_onnxruntime(
    mode: str, seed: int, ratio: int, bins: tuple[int, int], scale: float
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, 5, 11, 16)).astype(np.float32)
    starts = rng.uniform(-6, 16, (30, 2))
    boxes = (np.concatenate([starts, starts + rng.uniform(0, 14, (30, 2))], axis=1) / scale).astype(np.float32)
    indices = rng.integers(0, 2, 30)
    [expected] = onnx_session(mode, bins, scale, ratio).run(
        None, {"features": features, "boxes": boxes, "indices": indices}
    )
    aligned = mode == "half_pixel"
    options: Any = {"batch_indices": indices, "spatial_scale": scale, "sampling_ratio": ratio, "aligned": aligned}
    # Normal features differ by a few units from cell to cell; both sides round each of up to a few dozen samples.
    np.testing.assert_allclose(roi_align(features, boxes, bins, **options), expected, atol=1e-5)


@settings(deadline=None)
@given(boxes=corners, bins=bin_counts, ratio=st.integers(0, 3), aligned=st.booleans(), seed=seeds)
def test_turning_map_and_boxes_turns_regions(
    boxes: Any, bins: tuple[int, int], ratio: int, seed: int, *, aligned: bool
) -> None:
    features = np.random.default_rng(seed).normal(size=(2, 6, 9))
    array = np.array(boxes)
    upright = roi_align(features, array, bins, sampling_ratio=ratio, aligned=aligned)
    turned = roi_align(
        features.swapaxes(1, 2), array[:, [1, 0, 3, 2]], bins[::-1], sampling_ratio=ratio, aligned=aligned
    )
    np.testing.assert_allclose(turned.swapaxes(2, 3), upright, atol=1e-13)  # sums in another order


@settings(deadline=None)
@given(st.tuples(*[st.floats(0, 8)] * 4), bin_counts, st.integers(1, 4))
def test_a_linear_map_is_given_back_at_the_middle_of_each_bin(
    box: tuple[float, float, float, float], bins: tuple[int, int], ratio: int
) -> None:
    left, right = sorted((box[0], box[2]))
    top, bottom = sorted((box[1], box[3]))
    ramp = np.add.outer(10 * np.arange(9.0), np.arange(9.0))[None]
    [[region]] = roi_align(ramp, np.array([[left, top, right, bottom]]) + 0.5, bins, sampling_ratio=ratio, aligned=True)
    ys = top + (np.arange(bins[0]) + 0.5) * (bottom - top) / bins[0]
    xs = left + (np.arange(bins[1]) + 0.5) * (right - left) / bins[1]
    np.testing.assert_allclose(region, np.add.outer(10 * ys, xs), atol=1e-12)  # rounding of values below 100
