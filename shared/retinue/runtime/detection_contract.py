"""Whether a detector's graphs have the inputs and outputs that their manifest speaks of, by family."""

from collections.abc import Collection

from retinue.runtime.backend import Backend, TensorInfo
from retinue.runtime.contract import FREE, check_tensor
from retinue.runtime.detection_manifest import DetrManifest, FasterRcnnManifest, ShorterSideInput, YoloManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest

_DTYPES = {"float32": "float", "uint8": "uint8"}


def check_faster_rcnn(manifest: FasterRcnnManifest, rpn: Backend, head: Backend) -> None:
    """Compare both graphs with what the manifest says of them.

    Raises:
        PackageInvalid: an input or output is missing, or has another type or shape, or there are more inputs.
    """
    output, classes = manifest.output, len(manifest.labels)
    _check_pictures(manifest, manifest.input, rpn)
    for name in output.levels:
        check_tensor(manifest, "output", rpn.outputs, name, "float", (None,) * 4)
        check_tensor(manifest, "input", head.inputs, name, "float", (None,) * 4)
    check_tensor(manifest, "output", rpn.outputs, output.objectness, "float", (None, None))
    check_tensor(manifest, "output", rpn.outputs, output.anchor, "int64", (None, None))
    check_tensor(manifest, "output", rpn.outputs, output.anchor_deltas, "float", (None, None, 4))
    check_tensor(manifest, "input", head.inputs, output.boxes, "float", (FREE, 4))
    check_tensor(manifest, "input", head.inputs, output.picture, "int64", (FREE,))
    _check_no_more(manifest, head, (*output.levels, output.boxes, output.picture))
    check_tensor(manifest, "output", head.outputs, output.scores, "float", (None, classes))
    check_tensor(manifest, "output", head.outputs, output.box_deltas, "float", (None, classes, 4))


def check_detr(manifest: DetrManifest, graph: Backend) -> None:
    """Compare the graph with what the manifest says of it.

    Raises:
        PackageInvalid: an input or output is missing, or has another type or shape, or there are more inputs.
    """
    _check_pictures(manifest, manifest.input, graph)
    classes = len(manifest.labels) + 1  # no object is none of the labels
    check_tensor(manifest, "output", graph.outputs, manifest.output.logits, "float", (None, None, classes))
    check_tensor(manifest, "output", graph.outputs, manifest.output.boxes, "float", (None, None, 4))


def check_yolo(manifest: YoloManifest, graph: Backend) -> TensorInfo:
    """Return what the graph says of its input, after comparing it with the manifest.

    Raises:
        PackageInvalid: an input or output is missing, or has another type or shape, or there are more inputs.
    """
    policy, output, classes = manifest.input, manifest.output, len(manifest.labels)
    sides = (policy.height, policy.width)
    shape = (None, 3, *sides) if policy.layout == "nchw" else (None, *sides, 3)
    info = check_tensor(manifest, "input", graph.inputs, policy.tensor, _DTYPES[policy.pixels], shape)
    form = (None, 4 + classes, None) if output.form == "anchor_free" else (None, None, 5 + classes)
    check_tensor(manifest, "output", graph.outputs, output.tensor, "float", form)
    _check_no_more(manifest, graph, (policy.tensor,))
    return info


def _check_pictures(manifest: Manifest, policy: ShorterSideInput, graph: Backend) -> None:
    shape = (FREE, FREE, FREE, 3)
    check_tensor(manifest, "input", graph.inputs, policy.tensor, _DTYPES[policy.pixels], shape)
    check_tensor(manifest, "input", graph.inputs, policy.size_tensor, "int64", (FREE, 2))
    _check_no_more(manifest, graph, (policy.tensor, policy.size_tensor))


def _check_no_more(manifest: Manifest, graph: Backend, fed: Collection[str]) -> None:
    if more := graph.inputs.keys() - set(fed):
        raise PackageInvalid(f"{manifest.name}@{manifest.version}: the graph also wants {', '.join(sorted(more))}")
