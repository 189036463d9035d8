"""Laws of pasted masks: bit for bit a plain reference, and torch but for scores beside the threshold."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from retinue.ops import paste_masks, rle_encode
from retinue.ops.rle import rle_decode

no_deadline = settings(deadline=None)  # a kernel may be compiled in the first example


@st.composite
def detections(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any], int, int, float]:
    """Masks and boxes, inside the image and across its borders, down to less than a pixel; scores on both sides."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    side = draw(st.sampled_from([1, 2, 7, 28]))
    masks = rng.random((2, side, side))
    if draw(st.booleans()):  # few values, so that ties are common
        masks = np.round(masks * 4) / 4
    centres, sizes = (
        rng.random((2, 2)) * [width, height],
        rng.random((2, 2)) * [width, height] * rng.choice([0.05, 1.5]),
    )
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    if draw(st.booleans()):
        boxes = np.round(boxes) + np.array([0, 0, 1, 1])
    return masks.astype(dtype), boxes.astype(dtype), height, width, draw(st.sampled_from([0.5, 0.3, 0.75]))


def plain_axis(low: int, size: int, side: int, first: int, last: int, dtype: Any) -> tuple[Any, Any]:
    step = dtype(side) / dtype(size)
    place = np.maximum(step * (np.arange(first - low, last - low).astype(dtype) + dtype(0.5)) - dtype(0.5), dtype(0))
    cell = np.minimum(np.floor(place).astype(int), side - 1)
    return cell, np.clip(place - cell.astype(dtype), dtype(0), dtype(1))


def plain_torchvision(mask: NDArray[Any], box: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the scores of all pixels, from whole arrays in the dtype of the mask."""
    dtype, side = mask.dtype.type, len(mask) + 2
    half, centre = (box[2:] - box[:2]) * dtype(0.5) * dtype(side / len(mask)), (box[2:] + box[:2]) * dtype(0.5)
    (x1, y1), (x2, y2) = (centre - half).astype(int).tolist(), (centre + half).astype(int).tolist()
    left, right, top, foot = max(x1, 0), min(x2 + 1, width), max(y1, 0), min(y2 + 1, height)
    scores = np.zeros((height, width), dtype)
    if left < right and top < foot:
        padded = np.pad(mask, 1)
        x, w = plain_axis(x1, max(x2 - x1 + 1, 1), side, left, right, dtype)
        y, n = plain_axis(y1, max(y2 - y1 + 1, 1), side, top, foot, dtype)
        rows = (dtype(1) - w) * padded[:, x] + w * padded[:, np.minimum(x + 1, side - 1)]
        lower = np.minimum(y + 1, side - 1)
        scores[top:foot, left:right] = (dtype(1) - n)[:, None] * rows[y] + n[:, None] * rows[lower]
    return scores


def by_torchvision(mask: NDArray[Any], box: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the scores of all pixels as torchvision computes them, with torch's own interpolation."""
    grown = functional.pad(torch.from_numpy(mask)[None, None], (1, 1, 1, 1))
    corners = torch.from_numpy(box)
    half, centre = (corners[2:] - corners[:2]) * 0.5, (corners[2:] + corners[:2]) * 0.5
    half = half * ((len(mask) + 2) / len(mask))
    (x1, y1), (x2, y2) = (centre - half).to(torch.int64).tolist(), (centre + half).to(torch.int64).tolist()
    size = (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
    resized = functional.interpolate(grown, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
    left, right, top, foot = max(x1, 0), min(x2 + 1, width), max(y1, 0), min(y2 + 1, height)
    scores = np.zeros((height, width), mask.dtype)
    if left < right and top < foot:
        scores[top:foot, left:right] = resized[top - y1 : foot - y1, left - x1 : right - x1]
    return scores


def by_detectron2(mask: NDArray[Any], box: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the scores of all pixels as detectron2 computes them, with torch's own sampling."""
    corners = torch.from_numpy(box)
    left, top = (corners[:2].floor().long() - 1).clamp(min=0).tolist()
    right, foot = min(int(corners[2].ceil()) + 1, width), min(int(corners[3].ceil()) + 1, height)
    scores = np.zeros((height, width), mask.dtype)
    if left < right and top < foot:
        x = (torch.arange(left, right, dtype=corners.dtype) + 0.5 - corners[0]) / (corners[2] - corners[0]) * 2 - 1
        y = (torch.arange(top, foot, dtype=corners.dtype) + 0.5 - corners[1]) / (corners[3] - corners[1]) * 2 - 1
        grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=2)
        sampled = functional.grid_sample(torch.from_numpy(mask)[None, None], grid[None], align_corners=False)
        scores[top:foot, left:right] = sampled[0, 0].numpy()
    return scores


@settings(max_examples=200, deadline=None)
@given(detections())
def test_torchvision_masks_are_those_of_the_plain_reference_bit_for_bit(
    detected: tuple[NDArray[Any], NDArray[Any], int, int, float],
) -> None:
    masks, boxes, height, width, threshold = detected
    level = masks.dtype.type(threshold)
    expected = [
        rle_encode(plain_torchvision(mask, box, height, width) > level) for mask, box in zip(masks, boxes, strict=True)
    ]
    assert paste_masks(masks, boxes, height, width, threshold=threshold) == expected


@pytest.mark.parametrize(("convention", "peer"), [("torchvision", by_torchvision), ("detectron2", by_detectron2)])
@no_deadline
@given(detected=detections())
def test_masks_are_those_of_torch_but_beside_the_threshold(
    detected: tuple[NDArray[Any], NDArray[Any], int, int, float], convention: Any, peer: Any
) -> None:
    masks, boxes, height, width, threshold = detected
    pasted = paste_masks(masks, boxes, height, width, threshold=threshold, convention=convention)
    for rle, mask, box in zip(pasted, masks, boxes, strict=True):
        scores = peer(mask, box, height, width)
        expected = scores > threshold if convention == "torchvision" else scores >= threshold
        # torch fuses roundings, and which depends on the processor.
        is_beside = np.abs(scores - threshold) < (2e-6 if masks.dtype == np.float32 else 1e-12)
        assert ((rle_decode(rle) == expected) | is_beside).all()


@no_deadline
@given(detections())
def test_each_detection_is_pasted_by_itself(detected: tuple[NDArray[Any], NDArray[Any], int, int, float]) -> None:
    masks, boxes, height, width, _ = detected
    both = paste_masks(masks, boxes, height, width)
    assert both == [paste_masks(masks[i : i + 1], boxes[i : i + 1], height, width)[0] for i in range(2)]


@no_deadline
@given(detections())
def test_a_larger_image_leaves_the_mask_where_it_was(
    detected: tuple[NDArray[Any], NDArray[Any], int, int, float],
) -> None:
    masks, boxes, height, width, threshold = detected
    for convention in ("torchvision", "detectron2"):
        small = paste_masks(masks, boxes, height, width, threshold=threshold, convention=convention)
        large = paste_masks(masks, boxes, height + 50, width + 60, threshold=threshold, convention=convention)
        for mask, canvas in zip(small, large, strict=True):
            assert (rle_decode(canvas)[:height, :width] == rle_decode(mask)).all()
