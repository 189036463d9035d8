"""A model's work without its answers: pictures decoded, prepared by its own input policy, run through its graphs.

Stands in for a service's pipeline, which the runtime does not know. What an answer takes after the last graph does not
depend on how the graphs are run, and is left out.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.backend import LoadGraph
from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.detection_manifest import (
    DetrManifest,
    FasterRcnnManifest,
    LetterboxInput,
    ShorterSideInput,
    YoloManifest,
)
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.runtime.placement import place_into, placement_of
from retinue.runtime.resize import fit_into, scale_into
from retinue.runtime.segmentation_manifest import InstanceManifest, ScaleInput, SemanticManifest

Size = tuple[int, int]
Rows = NDArray[Any]


class _Act(Protocol):
    """What a family does with a batch."""

    def __call__(self, rows: Rows) -> object: ...


class Rehearsal:
    """A pipeline whose answers are empty.

    Args:
        package: of any task and family.
        load: loads its graphs.

    Raises:
        PackageInvalid: a graph cannot be loaded or lacks its input, or the family is none that is run.
    """

    def __init__(self, package: Package, load: LoadGraph) -> None:
        self._manifest = manifest = package.manifest
        names = manifest.graphs
        backends = {name: load(name) for name in names}
        self.provider = backends[names[0]].provider
        self._act = _act_of(manifest, backends)

    def warm_up_buckets(self) -> Sequence[Hashable]:
        """Return none: what is measured is warmed for its own pictures."""
        return []

    def bucket(self, item: Picture) -> Hashable:
        """Return height and width of the input for a picture."""
        return _canvas(self._manifest, (item.info.height, item.info.width))

    def allocate(self, bucket: Hashable, row_count: int) -> Rows:
        """Return a buffer of black pictures."""
        height, width = _size_of(bucket)
        policy = self._manifest.input
        is_planar = isinstance(policy, LetterboxInput) and policy.layout == "nchw"
        dtype = policy.pixels if isinstance(policy, LetterboxInput | ShorterSideInput) else "uint8"
        return np.zeros((row_count, 3, height, width) if is_planar else (row_count, height, width, 3), dtype)

    def row_pixels(self, bucket: Hashable) -> int:
        """Return the pixels of an input of that size."""
        height, width = _size_of(bucket)
        return height * width

    def decode(self, item: Picture) -> NDArray[np.uint8]:
        """Return the upright picture, uint8 [height, width, 3] RGB."""
        return item.pixels()

    def prepare(self, pixels: NDArray[np.uint8], rows: Rows, index: int) -> None:
        """Bring a picture to the input as the manifest says."""
        match self._manifest:
            case ClassificationManifest(input=policy):
                fit_into(pixels, policy, rows[index])
            case SemanticManifest(input=scaling) | InstanceManifest(input=scaling):
                scale_into(pixels, scaling, rows[index])
            case FasterRcnnManifest(input=placing) | DetrManifest(input=placing) | YoloManifest(input=placing):
                height, width = pixels.shape[:2]
                place_into(pixels, placing, placement_of(height, width, placing), rows[index])

    def run(self, rows: Rows, count: int) -> int:
        """Run the graphs on the first rows, and return how many those are."""
        self._act(rows[:count])
        return count

    def finish(self, items: Sequence[Picture], outputs: int) -> list[None]:
        """Return an empty answer for each."""
        return [None] * min(len(items), outputs)


def _act_of(manifest: Manifest, backends: Mapping[str, Any]) -> _Act:
    """Return what runs a batch through the graphs of a family."""
    match manifest:
        case ClassificationManifest(input=policy, output=output):
            wanted = [name for name in (output.logits, output.embedding) if name is not None]
            return _one_graph(backends["model.onnx"], policy.tensor, wanted)
        case SemanticManifest(input=scaling, output=maps) | InstanceManifest(input=scaling, output=maps):
            guide = manifest.output.splitting.guide if isinstance(manifest, InstanceManifest) else None
            wanted = [name for name in (maps.logits, guide) if name is not None]
            return _one_graph(backends["model.onnx"], scaling.tensor, wanted)
        case YoloManifest(input=letterbox, output=grid):
            return _one_graph(backends["model.onnx"], letterbox.tensor, [grid.tensor])
        case DetrManifest(input=sides, output=queries):
            graph = backends["model.onnx"]
            return lambda rows: graph.run(_with_sizes(sides, rows), [queries.logits, queries.boxes])
        case FasterRcnnManifest():
            return _two_stages(manifest, backends)
    raise PackageInvalid(f"{manifest.name}@{manifest.version}: family {manifest.family} cannot be tuned")


def _one_graph(graph: Any, tensor: str, wanted: Sequence[str]) -> _Act:
    info = graph.inputs.get(tensor)
    if info is None or not info.shape:
        raise PackageInvalid(f"the graph has no input {tensor}")
    fixed = info.shape[0]  # as exporters of YOLOs leave it

    def act(rows: Rows) -> None:
        step = fixed or len(rows)
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step]
            if len(part) < step:
                part = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), part.dtype)])
            graph.run({tensor: part}, wanted)

    return act


def _two_stages(manifest: FasterRcnnManifest, backends: Mapping[str, Any]) -> _Act:
    """Run the second graph on as many boxes as there may be, which lie all over the pictures."""
    rpn, head = backends["rpn.onnx"], backends["head.onnx"]
    output, policy = manifest.output, manifest.input
    names = [*output.levels, output.objectness, output.anchor, output.anchor_deltas]
    count = output.proposals.count

    def act(rows: Rows) -> None:
        found = rpn.run_kept(_with_sizes(policy, rows), names, output.levels)
        height, width = rows.shape[1:3]
        corners = np.random.default_rng(0).random((len(rows) * count, 4), np.float32)
        corners *= np.array([width / 2, height / 2, width / 2, height / 2], np.float32)
        corners[:, 2:] += corners[:, :2] + 1
        feeds = dict(zip(output.levels, found, strict=False))
        feeds |= {output.boxes: corners, output.picture: np.repeat(np.arange(len(rows)), count)}
        head.run_kept(feeds, [output.scores, output.box_deltas], ())

    return act


def _with_sizes(policy: ShorterSideInput, rows: Rows) -> dict[str, Any]:
    return {policy.tensor: rows, policy.size_tensor: np.tile(np.array(rows.shape[1:3]), (len(rows), 1))}


def _canvas(manifest: Manifest, size: Size) -> Size:
    match manifest:
        case SemanticManifest(input=ScaleInput() as policy) | InstanceManifest(input=ScaleInput() as policy):
            return policy.size_of(*size)
        case FasterRcnnManifest(input=placing) | DetrManifest(input=placing) | YoloManifest(input=placing):
            return placement_of(*size, placing).canvas
    fixed: Any = manifest.input
    return fixed.height, fixed.width


def _size_of(bucket: Hashable) -> Size:
    if isinstance(bucket, tuple):
        height, width = bucket
        return int(height), int(width)
    raise TypeError(f"{bucket!r} is no bucket of this pipeline")
