"""From the maps of a model to single things, each with a class and a score."""

from collections.abc import Iterable

import numpy as np

from retinue.ops import (
    MaskCrop,
    MergedInstance,
    instance_properties,
    instance_sums,
    label_map_to_instances,
    split_instances,
)
from retinue.runtime.segmentation_manifest import Splitting
from services.segmentation.segmentations import Floats, Found, Labels, SegmentationOptions, Sums, Thing

_HALF = 0.5  # from the index of a pixel to its centre


def foreground_of(probabilities: Floats) -> Floats:
    """Return how probable it is that a pixel is of any class but the background, which is the first."""
    foreground: Floats = 1 - probabilities[0]
    return foreground


def split(foreground: Floats, guide: Floats | None, splitting: Splitting, min_area_px: int) -> Labels:
    """Return the label map of single things, int32 [height, width], ids 1 to n.

    Args:
        foreground: probabilities [height, width].
        guide: as the manifest says, [height, width]; of a boundary its probability.
        splitting: how.
        min_area_px: smaller things are left out.
    """
    return split_instances(
        foreground,
        guide,
        method=splitting.method,
        threshold=splitting.interior_threshold,
        guide_threshold=splitting.guide_threshold,
        min_marker_area=splitting.min_marker_area_px,
        min_area=min_area_px,
    )


def class_sums(label_map: Labels, bands: Iterable[Floats]) -> Sums:
    """Return what is said of each thing: the sum of each class's probability over it, and its pixels.

    Args:
        label_map: ids from 1 up, [height, width].
        bands: probabilities [classes, rows, width], from the top down.

    Returns:
        float64 [highest id, classes + 1].
    """
    sums = np.zeros((0, 0))
    count, top = int(label_map.max(initial=0)), 0
    for band in bands:
        if not top:
            sums = np.zeros((count, len(band) + 1))
        ids, own = instance_sums(label_map[top : top + band.shape[1]], band)
        sums[ids - 1] += own
        top += band.shape[1]
    return sums


def things_of(found: Found, options: SegmentationOptions) -> list[Thing]:
    """Return the things that the options let through, best first, equal scores from top to bottom."""
    label_ids, scores = _judged(found.sums)
    properties = instance_properties(found.label_map)
    is_kept = (properties.areas >= options.min_area_px) & (scores >= options.score_threshold)
    order = np.lexsort((properties.boxes[:, 0], properties.boxes[:, 1], -scores))
    kept = [place for place in order.tolist() if is_kept[place]][: options.max_instances]
    crops = dict(label_map_to_instances(found.label_map))
    return [
        Thing(
            crops[place + 1],
            int(properties.areas[place]),
            (float(properties.centroids[place, 0]) + _HALF, float(properties.centroids[place, 1]) + _HALF),
            int(label_ids[place]),
            float(scores[place]),
        )
        for place in kept
    ]


def thing_of(merged: MergedInstance) -> Thing:
    """Return what windows have found together as one thing."""
    [label_id], [score] = _judged(merged.sums[None])
    y, x1, x2 = merged.runs.T.astype(np.float64)
    lengths = x2 - x1
    centroid = (float((lengths * (x1 + x2)).sum() / 2 / merged.area), float((lengths * y).sum() / merged.area + _HALF))
    return Thing(merged.crop(), merged.area, centroid, int(label_id), float(score))


def is_wanted(thing: Thing, options: SegmentationOptions) -> bool:
    """Return whether the options let a thing through."""
    return thing.area >= options.min_area_px and thing.score >= options.score_threshold


def best_first(things: list[Thing], most: int) -> list[Thing]:
    """Return things by score, equal ones from top to bottom, and no more than so many."""
    return sorted(things, key=lambda thing: (-thing.score, thing.crop.y, thing.crop.x))[:most]


def whole_mask(crop: MaskCrop) -> MaskCrop:
    """Return a mask in the frame of its own box."""
    return MaskCrop(0, 0, crop.mask)


def _judged(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each thing, background left out, and the mean probability of that over its pixels."""
    foreground = sums[:, 1:-1]
    label_ids = foreground.argmax(axis=1) + 1 if len(sums) else np.zeros(0, np.int64)
    totals = np.take_along_axis(sums, label_ids[:, None], axis=1)[:, 0]
    return label_ids, np.clip(totals / np.maximum(sums[:, -1], 1), 0.0, 1.0)
