"""What segmentation means: a picture becomes a row of the input, the model's maps become classes and single things."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retinue.ops import SeamMerger, plan_tiles, relabel_sequential, resize_bilinear, rle_encode_crop
from retinue.runtime.backend import LoadGraph
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.manifest import Manifest
from retinue.runtime.package import Package
from retinue.runtime.resize import scale_into
from retinue.runtime.segmentation_contract import check_segmentation
from retinue.runtime.segmentation_manifest import (
    InstanceManifest,
    ScaleInput,
    SegmentationManifest,
    Splitting,
    StretchInput,
)
from retinue.runtime.view import Size
from services.segmentation.codes import by_thresholds, class_masks, most_probable
from services.segmentation.segmentations import (
    Codes,
    Floats,
    Found,
    Labels,
    Segmentation,
    SegmentationItem,
    SegmentationOptions,
)
from services.segmentation.things import class_sums, foreground_of, split, things_of

_WARM_UP_SIDE_PX = 128
_ANY = SegmentationOptions(thresholds=(), score_threshold=0.0, min_area_px=0, max_instances=9)
_BAND_PIXELS = 1 << 17  # of maps that are worked on at a time: of a few classes they stay in the second cache


class SegmentationOutputs(NamedTuple):
    """A model's maps for a batch: logits [batch, classes, height, width] and, where there is one, a guide."""

    logits: Floats
    guide: Floats | None


class SegmentationPipeline:
    """One segmentation model of either family.

    Pictures share a batch only where their inputs are of one size.

    Args:
        package: its manifest and files.
        load: loads a graph of the package.

    Raises:
        PackageInvalid: the graph is not what the manifest says, or the package is none of segmentation.
    """

    def __init__(self, package: Package, load: LoadGraph) -> None:
        self.manifest = manifest = segmentation_manifest_of(package.manifest)
        self._policy: ScaleInput | StretchInput = manifest.input
        self._splitting = manifest.output.splitting if isinstance(manifest, InstanceManifest) else None
        self._graph = load("model.onnx")
        self.provider = self._graph.provider
        self._output_names = check_segmentation(manifest, self._graph)
        self._ready_operations()

    def warm_up_buckets(self) -> Sequence[Hashable]:
        """Return the size of the input for a small picture."""
        return [self._input_size((_WARM_UP_SIDE_PX, _WARM_UP_SIDE_PX), is_window=False)]

    def bucket(self, item: SegmentationItem) -> Hashable:
        """Return height and width of the input for an item."""
        return self._input_size(item.view.size, is_window=item.is_window)

    def allocate(self, bucket: Hashable, row_count: int) -> NDArray[np.uint8]:
        """Return uint8 [row_count, height, width, 3]."""
        return np.zeros((row_count, *_size_of(bucket), 3), np.uint8)

    def row_pixels(self, bucket: Hashable) -> int:
        """Return the pixels of an input of that size."""
        height, width = _size_of(bucket)
        return height * width

    def decode(self, item: SegmentationItem) -> NDArray[np.uint8]:
        """Return the upright pixels, uint8 [height, width, 3] RGB."""
        return item.view.pixels()

    def prepare(self, pixels: NDArray[np.uint8], rows: NDArray[np.uint8], index: int) -> None:
        """Scale the picture to the input, as the model's manifest says."""
        scale_into(pixels, self._policy, rows[index])

    def run(self, rows: NDArray[np.uint8], count: int) -> SegmentationOutputs:
        """Return the maps of the first rows."""
        logits, *guide = self._graph.run({self._policy.tensor: rows[:count]}, self._output_names)
        wanted = (count, len(self.manifest.labels), *rows.shape[1:3])
        if logits.shape != wanted or (guide and guide[0].shape != (count, 1, *wanted[2:])):
            raise BackendFailed(f"the model's maps are {[list(map_.shape) for map_ in (logits, *guide)]}, not {wanted}")
        return SegmentationOutputs(logits, guide[0] if guide else None)

    def finish(self, items: Sequence[SegmentationItem], outputs: SegmentationOutputs) -> list[Segmentation]:
        """Return what each caller asked for."""
        guides = [None] * len(items) if outputs.guide is None else list(outputs.guide[:, 0])
        return [
            self._answer(item, logits, guide) for item, logits, guide in zip(items, outputs.logits, guides, strict=True)
        ]

    def _answer(self, item: SegmentationItem, logits: Floats, guide: Floats | None) -> Segmentation:
        if not np.isfinite(logits).all() or (guide is not None and not np.isfinite(guide).all()):
            raise BackendFailed("the model's maps are not finite")
        size = item.view.size
        found = None if self._splitting is None else self._found(logits, guide, item, self._splitting)
        if item.is_blended:
            bands = [self._probabilities(band).transpose(1, 2, 0) for band in _bands(logits, size)]
            probabilities = np.ascontiguousarray(np.concatenate(bands))
            return Segmentation(self.manifest, np.empty((0, 0), np.uint8), found, probabilities)
        codes = np.concatenate([self._codes(band, item.options) for band in _bands(logits, size)])
        return Segmentation(self.manifest, codes, found)

    def _codes(self, logits: Floats, options: SegmentationOptions) -> Codes:
        if options.is_exclusive:
            return most_probable(logits)
        return by_thresholds(self._probabilities(logits), options.thresholds)

    def _found(self, logits: Floats, guide: Floats | None, item: SegmentationItem, splitting: Splitting) -> Found:
        """Return the single things, found at the size of the picture."""
        size = item.view.size
        foreground = np.concatenate([foreground_of(self._probabilities(band)) for band in _bands(logits, size)])
        if guide is not None:
            is_logit = splitting.method == "boundary"
            bands = (band[0] for band in _bands(guide[None], size))
            guide = np.concatenate([_sigmoid(band) if is_logit else band for band in bands])
        label_map = _label_map(foreground, guide, item, splitting)
        sums = class_sums(label_map, (self._probabilities(band) for band in _bands(logits, size)))
        return Found(label_map if item.core is None else label_map[item.core], sums)

    def _probabilities(self, logits: Floats) -> Floats:
        if self.manifest.output.activation == "sigmoid":
            return _sigmoid(logits)
        with np.errstate(over="ignore"):  # the largest and the least number of all differ by infinity
            weights: Floats = logits - logits.max(axis=0)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=0)
        return weights

    def _ready_operations(self) -> None:
        """Load, or compile, what comes after the graph, so that no caller waits for it."""
        spot = np.zeros((8, 8), np.float32)
        spot[2:6, 2:6] = 1
        codes = most_probable(np.stack([1 - spot, spot]))
        class_masks(codes, 2)
        resize_bilinear(spot[..., None], 9, 9)
        if self._splitting is not None:
            guide = None if self._splitting.guide is None else 1 - spot
            found = split(spot, guide, self._splitting, 0)
            for thing in things_of(Found(found, class_sums(found, [np.stack([1 - spot, spot])])), _ANY):
                rle_encode_crop(thing.crop.mask, 0, 0, 8, 8)
            SeamMerger().add(plan_tiles(8, 8, 8)[0], found)

    def _input_size(self, size: Size, *, is_window: bool) -> Size:
        policy = self._policy
        if isinstance(policy, StretchInput):
            return policy.height, policy.width
        return size if is_window else policy.size_of(*size)


def segmentation_manifest_of(manifest: Manifest) -> SegmentationManifest:
    """Return a manifest as that of a segmentation model.

    Raises:
        PackageInvalid: it is of another task.
    """
    if isinstance(manifest, SegmentationManifest):
        return manifest
    raise PackageInvalid(f"{manifest.name}@{manifest.version}: task {manifest.task} is not served here")


def _size_of(bucket: Hashable) -> Size:
    if isinstance(bucket, tuple):
        height, width = bucket
        return int(height), int(width)
    raise TypeError(f"{bucket!r} is no bucket of this pipeline")


def _label_map(foreground: Floats, guide: Floats | None, item: SegmentationItem, splitting: Splitting) -> Labels:
    """Return the label map of single things; of a window, of those that lie in its core, and nothing around it."""
    if item.core is None:
        return split(foreground, guide, splitting, item.options.min_area_px)
    rows, columns = item.core
    seen = _seen(rows, foreground.shape[0]), _seen(columns, foreground.shape[1])
    # What is cut by the edge of a window may be larger than what is seen of it: nothing is too small.
    found = np.zeros(foreground.shape, np.int32)
    found[seen] = split(foreground[seen], None if guide is None else guide[seen], splitting, 0)
    label_map = np.zeros_like(found)
    label_map[item.core] = relabel_sequential(found[item.core])[0]
    return label_map


def _seen(core: slice, size: int) -> slice:
    """Return what of a window things are split in, along one axis: half as far from its edges as its core is.

    What the model says at the very edge may run along all of it and join what it meets, or close around it. A bit
    further in it is mostly right, and shows how that goes on which ends with the core.
    """
    return slice(core.start // 2, size - (size - core.stop) // 2)


def _bands(maps: Floats, size: Size) -> Iterator[Floats]:
    """Yield maps [layers, height, width] at the size of the picture, so many rows at a time that memory stays small."""
    height, width = size
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        rows = (top, min(top + step, height))
        if maps.shape[1:] == size:
            yield maps[:, slice(*rows)]
        else:
            yield np.stack([resize_bilinear(layer[..., None], height, width, rows=rows)[..., 0] for layer in maps])


def _sigmoid(logits: Floats) -> Floats:
    with np.errstate(over="ignore"):  # of what is far below 0 the exponential is infinite, and its inverse 0
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
