"""Masks as runs beside pycocotools, and pasting beside torch."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from torch.nn import functional

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import (
    Rle,
    paste_masks,
    polygons_from_rle,
    rle_decode,
    rle_encode,
    rle_from_polygons,
    rle_from_string,
    rle_iou,
    rle_merge,
    rle_to_string,
)

HEIGHT, WIDTH = 1080, 1920
STRING = "pycocotools keeps masks as strings: each of its calls reads or writes them"


def cases() -> Iterator[Case | MemoryCase]:
    """Yield encoding, decoding and comparing of full HD masks, and pasting into 12 megapixels."""
    masks = [blobs(2, seed) for seed in range(100)]
    rles, peers = [rle_encode(mask) for mask in masks], [coco.encode(np.asfortranarray(mask)) for mask in masks]
    yield from encoding(masks[0], rles[0], peers[0])
    yield Case(
        "rle_merge 10 masks 1080x1920",
        lambda: rle_merge(rles[:10]),
        {"pycocotools": lambda: coco.merge(peers[:10])},
        target=2,
        note=STRING,
    )
    yield Case(
        "rle_iou 100 by 100 masks 1080x1920",
        lambda: rle_iou(rles, rles),
        {"pycocotools": lambda: coco.iou(peers, peers, [0] * 100)},
        target=2,
    )
    yield from outlines()
    yield from pasting()


def blobs(count: int, seed: int) -> NDArray[np.uint8]:
    """Return a mask of a few filled ellipses of the size of objects."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(count):
        centre = int(rng.integers(WIDTH)), int(rng.integers(HEIGHT))
        axes = int(rng.integers(20, WIDTH // 5)), int(rng.integers(20, HEIGHT // 4))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask


def encoding(mask: NDArray[np.uint8], rle: Rle, peer: Any) -> Iterator[Case]:
    """Yield the ways between pixels, runs and strings."""
    by_columns = np.asfortranarray(mask)
    text = peer["counts"]
    uncompressed = {"size": [HEIGHT, WIDTH], "counts": rle.counts.tolist()}
    yield Case(
        "rle_encode 1080x1920 by rows",
        lambda: rle_to_string(rle_encode(mask)),
        {"pycocotools": lambda: coco.encode(np.asfortranarray(mask))},
        target=2,
        note="ours with the string too; pycocotools takes columns only",
    )
    yield Case(
        "rle_encode 1080x1920 by columns",
        lambda: rle_to_string(rle_encode(by_columns)),
        {"pycocotools": lambda: coco.encode(by_columns)},
        target=2,
        note="ours with the string too",
    )
    yield Case(
        "rle_decode 1080x1920",
        lambda: rle_decode(rle_from_string(text, HEIGHT, WIDTH)),
        {"pycocotools": lambda: coco.decode(peer)},
        target=2,
        note="from the string; ours by rows, pycocotools by columns",
    )
    yield Case(
        "rle_to_string 1080x1920",
        lambda: rle_to_string(rle),
        {"pycocotools": lambda: coco.frPyObjects(uncompressed, HEIGHT, WIDTH)},
        target=2,
        note="pycocotools takes runs as a list only",
    )
    yield Case(
        "rle_from_string 1080x1920",
        lambda: rle_from_string(text, HEIGHT, WIDTH),
        {"pycocotools area": lambda: coco.area(peer)},
        note="pycocotools gives no runs; its cheapest call that reads the string, unchecked",
    )


def outlines() -> Iterator[Case]:
    """Yield the ways between polygons and masks."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for radius in (60, 300):
        points = np.stack([960 + 1.5 * radius * np.cos(angles), 540 + radius * np.sin(angles)], axis=1)
        flat = points.ravel()
        yield Case(
            f"rle_from_polygons 60 points, radius {radius}",
            lambda points=points: rle_to_string(rle_from_polygons([points], HEIGHT, WIDTH)),  # type: ignore[misc]
            {"pycocotools": lambda flat=flat: coco.frPyObjects([flat], HEIGHT, WIDTH)},  # type: ignore[misc]
            target=2 if radius == 300 else None,
            note="ours with the string too",
        )
    rle = rle_from_polygons([points], HEIGHT, WIDTH)
    pixels = rle_decode(rle).view(np.uint8)
    yield Case(
        "polygons_from_rle radius 300",
        lambda: polygons_from_rle(rle),
        {"cv2": lambda: cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)},
        note="cv2 from pixels, through their centres",
    )


DETECTIONS = """
import numpy as np
rng = np.random.default_rng(0)
y, x = np.mgrid[-13.5:14, -13.5:14]
radii = rng.uniform(6, 12, (300, 2, 1, 1))
masks = 1 / (1 + np.exp(4 * ((x / radii[:, 0]) ** 2 + (y / radii[:, 1]) ** 2 - 1) + rng.normal(0, 0.3, (300, 28, 28))))
sizes, centres = np.exp(rng.uniform(np.log(30), np.log(2000), (300, 2))), rng.random((300, 2)) * [4000, 3000]
boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).clip(0, [4000, 3000, 4000, 3000])
masks, boxes = masks.astype(np.float32), boxes.astype(np.float32)
"""


def pasting() -> Iterator[Case | MemoryCase]:
    """Yield 300 detections on an image of 12 megapixels."""
    made: dict[str, Any] = {}
    exec(DETECTIONS, made)  # noqa: S102, the same text makes the input of the process whose memory is measured
    masks, boxes = made["masks"], made["boxes"]
    yield Case(
        "paste_masks 10 of 300 on 3000x4000",
        lambda: paste_masks(masks[:10], boxes[:10], 3000, 4000),
        {"torch and pycocotools": lambda: by_torch(masks[:10], boxes[:10], 3000, 4000)},
        target=10,
        note="the peer one at a time, as all together take 14 GB",
    )
    yield Case("paste_masks 300 on 3000x4000", lambda: paste_masks(masks, boxes, 3000, 4000))
    yield Case(
        "paste_masks 300 on 3000x4000, detectron2",
        lambda: paste_masks(masks, boxes, 3000, 4000, convention="detectron2"),
    )
    yield MemoryCase(
        "paste_masks 300 on 3000x4000",
        setup=f"{DETECTIONS}\nfrom retinue.ops import paste_masks\npaste_masks(masks[:1], boxes[:1] / 100, 30, 40)",
        action="kept = paste_masks(masks, boxes, 3000, 4000)",
        limit_mib=200,
    )


def by_torch(masks: NDArray[np.float32], boxes: NDArray[np.float32], height: int, width: int) -> list[Any]:
    """Return COCO's masks as torchvision pastes them: interpolation for each box, on a canvas of the whole image."""
    grown = functional.pad(torch.from_numpy(masks), (1, 1, 1, 1))
    half, centre = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * (30 / 28), (boxes[:, 2:] + boxes[:, :2]) * 0.5
    corners = np.concatenate([centre - half, centre + half], axis=1).astype(np.int64).tolist()
    pasted = []
    for mask, (x1, y1, x2, y2) in zip(grown, corners, strict=True):
        size = (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
        scores = functional.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
        canvas = torch.zeros((height, width))
        left, right, top, foot = max(x1, 0), min(x2 + 1, width), max(y1, 0), min(y2 + 1, height)
        canvas[top:foot, left:right] = scores[top - y1 : foot - y1, left - x1 : right - x1]
        pasted.append(coco.encode(np.asfortranarray(canvas.numpy() > 0.5)))
    return pasted
