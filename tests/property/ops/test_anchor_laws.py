"""Laws of anchors, made and learned, against plain loops and torch's arithmetic."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinue.ops import kmeans_anchors, pyramid_anchors
from retinue.ops.anchors import anchors_at, cell_anchors

positive = st.floats(1, 600)
sizes = st.lists(positive, min_size=1, max_size=3)
ratios = st.lists(st.floats(0.1, 10), min_size=1, max_size=3)
features = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(sizes, ratios)
def test_torchvision_cells_are_those_of_torch_to_the_bit(sides: list[float], shapes: list[float]) -> None:
    side, stretch = torch.tensor(sides), torch.sqrt(torch.tensor(shapes))
    widths, heights = ((part[:, None] * side[None]).flatten() for part in (1 / stretch, stretch))
    expected = (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()
    assert cell_anchors(sides, shapes).tolist() == expected.tolist()


@given(sizes, ratios)
def test_detectron2_cells_are_those_of_a_plain_loop(sides: list[float], shapes: list[float]) -> None:
    expected = []
    for side in sides:
        for ratio in shapes:
            width = math.sqrt(side**2.0 / ratio)
            expected.append([-width / 2, -ratio * width / 2, width / 2, ratio * width / 2])
    cells = cell_anchors(sides, shapes, convention="detectron2")
    assert cells.tolist() == np.array(expected, np.float32).tolist()


@settings(deadline=None)
@given(
    st.lists(features, max_size=3),
    st.integers(1, 40),
    st.floats(0, 0.99),
    st.sampled_from(["torchvision", "detectron2"]),
)
def test_levels_are_those_of_a_plain_loop(levels: Any, stride: int, offset: float, convention: Any) -> None:
    shapes = [[8.0, 20.0]] * len(levels), [[0.5, 2.0]] * len(levels)
    result = pyramid_anchors(levels, *shapes, strides=[stride] * len(levels), convention=convention, offset=offset)
    cells = cell_anchors([8.0, 20.0], [0.5, 2.0], convention=convention)
    for (height, width), anchors in zip(levels, result, strict=True):
        expected = [
            cell + np.array([(x + offset) * stride, (y + offset) * stride] * 2, np.float32)
            for y in range(height)
            for x in range(width)
            for cell in cells
        ]
        assert anchors.tolist() == [anchor.tolist() for anchor in expected]


@settings(deadline=None)
@given(features, st.integers(1, 64), st.integers(1, 64), st.floats(0, 0.99), st.data())
def test_anchors_at_indices_are_rows_of_the_level(
    size: tuple[int, int], step_y: int, step_x: int, offset: float, data: st.DataObject
) -> None:
    shapes = [[16.0, 32.0]], [[0.5, 1.0, 2.0]]
    [level] = pyramid_anchors([size], *shapes, strides=[(step_y, step_x)], offset=offset)
    indices = data.draw(st.lists(st.integers(0, len(level) - 1), max_size=8)) if len(level) else []
    picked = anchors_at(indices, size, (step_y, step_x), cell_anchors(shapes[0][0], shapes[1][0]), offset=offset)
    assert picked.tolist() == level[indices].tolist()


def mean_iou(wh: NDArray[Any], anchors: NDArray[Any]) -> float:
    shared = np.minimum(wh[:, None], anchors[None]).prod(-1)
    ious = shared / (wh.prod(-1)[:, None] + anchors.prod(-1)[None] - shared)
    return float(ious.max(axis=1).mean())


# Whole numbers, so that distinct boxes are distinct by more than rounding.
groups = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=4, max_size=40, unique=True)
updates = st.sampled_from(["mean", "median"])


@settings(deadline=None)
@given(groups, st.integers(1, 4), st.integers(0, 5), updates)
def test_more_iterations_never_make_the_mean_iou_worse(boxes: Any, k: int, seed: int, update: Any) -> None:
    wh = np.array(boxes, np.float64)
    course = [
        mean_iou(wh, kmeans_anchors(wh, k, seed=seed, update=update, max_iterations=moves))
        for moves in (0, 1, 2, 4, 300)
    ]
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(course))  # rounding


@settings(deadline=None)
@given(groups, st.integers(1, 4), st.integers(0, 5), updates, st.randoms(use_true_random=False))
def test_anchors_do_not_see_the_order_of_boxes(boxes: Any, k: int, seed: int, update: Any, random: Any) -> None:
    shuffled = random.sample(boxes, len(boxes))
    anchors = kmeans_anchors(np.array(boxes), k, seed=seed, update=update)
    assert kmeans_anchors(np.array(shuffled), k, seed=seed, update=update).tolist() == anchors.tolist()


@settings(deadline=None)
@given(groups, st.integers(1, 4), st.integers(0, 5), updates)
def test_anchors_scale_with_the_boxes(boxes: Any, k: int, seed: int, update: Any) -> None:
    wh = np.array(boxes, np.float64)
    doubled = kmeans_anchors(wh * [2, 4], k, seed=seed, update=update)  # powers of two round nothing
    assert sorted(doubled.tolist()) == sorted((kmeans_anchors(wh, k, seed=seed, update=update) * [2, 4]).tolist())


@settings(deadline=None)
@given(groups, st.integers(1, 4), st.integers(0, 5), updates)
def test_anchors_lie_within_the_boxes_and_grow(boxes: Any, k: int, seed: int, update: Any) -> None:
    wh = np.array(boxes, np.float64)
    anchors = kmeans_anchors(wh, k, seed=seed, update=update)
    assert anchors.shape == (k, 2)
    assert (anchors >= wh.min(axis=0) - 1e-12).all()  # a mean of equal numbers rounds
    assert (anchors <= wh.max(axis=0) + 1e-12).all()
    assert (np.diff(anchors.prod(axis=1)) >= 0).all()


@settings(deadline=None)
@given(st.integers(4, 60), st.integers(1, 4), st.integers(0, 2**32 - 1), updates)
def test_anchors_are_the_best_that_a_plain_loop_passes(count: int, k: int, seed: int, update: Any) -> None:
    # Drawn so that no two anchors are equally near to a box: which it goes to would depend on their order.
    wh = np.random.default_rng(seed).uniform(1, 60, (count, 2))
    anchors = kmeans_anchors(wh, k, seed=seed, update=update, max_iterations=0)
    best, owner = mean_iou(wh, anchors), np.full(count, -1)
    for _ in range(300):
        shared = np.minimum(wh[:, None], anchors[None]).prod(-1)
        nearest = (shared / (wh.prod(-1)[:, None] + anchors.prod(-1)[None] - shared)).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        if len(set(owner)) < k:
            return  # an anchor that moves to a far box is tested by itself
        middle: Any = np.mean if update == "mean" else np.median
        anchors = np.array([middle(wh[owner == place], axis=0) for place in range(k)])
        best = max(best, mean_iou(wh, anchors))
    assert mean_iou(wh, kmeans_anchors(wh, k, seed=seed, update=update)) == pytest.approx(best, abs=1e-12)
