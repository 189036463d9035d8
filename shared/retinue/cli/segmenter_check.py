"""Whether the graph of a segmentation model loads, is what its manifest says, and answers."""

import numpy as np

from retinue.runtime.backend import LoadGraph
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.segmentation_contract import check_segmentation
from retinue.runtime.segmentation_manifest import SegmentationManifest, StretchInput

_ROWS = 2  # more than one, so that a graph with a fixed batch does not pass
_SIZES = ((64, 96), (67, 45))  # odd sides too: pictures come as they are


def check_segmenter(manifest: SegmentationManifest, load: LoadGraph) -> None:
    """Ask the graph about grey pictures and compare the maps with the manifest.

    Raises:
        BackendFailed: the graph does not run.
        PackageInvalid: it does not load, or differs from the manifest, or a map is of another size or not finite.
    """
    graph = load("model.onnx")
    names = check_segmentation(manifest, graph)
    policy = manifest.input
    for height, width in ((policy.height, policy.width),) if isinstance(policy, StretchInput) else _SIZES:
        grey = np.full((_ROWS, height, width, 3), 128, np.uint8)
        for name, layers, map_ in zip(
            names, (len(manifest.labels), 1), graph.run({policy.tensor: grey}, names), strict=False
        ):
            if map_.dtype != np.float32 or map_.shape != (_ROWS, layers, height, width):
                wanted = [_ROWS, layers, height, width]
                raise PackageInvalid(f"{name} is {map_.dtype} {list(map_.shape)}, the manifest says float32 {wanted}")
            if not np.isfinite(map_).all():
                raise PackageInvalid(f"{name} of a grey picture is not finite")
