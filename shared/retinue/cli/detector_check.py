"""Whether the graphs of a detector load, are what its manifest says, and answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.backend import Backend, LoadGraph
from retinue.runtime.detection_contract import check_detr, check_faster_rcnn, check_yolo
from retinue.runtime.detection_manifest import DetrManifest, FasterRcnnManifest, ShorterSideInput, YoloManifest
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest

_ROWS = 2  # more than one, so that a graph with a fixed batch does not pass where it must not
_SIDE_PX = 128


def check_detector(manifest: Manifest, load: LoadGraph) -> None:
    """Ask the graphs about grey pictures and compare the answers with the manifest.

    Raises:
        BackendFailed: a graph does not run.
        PackageInvalid: it does not load, or differs from the manifest, or an answer is not finite.
    """
    match manifest:
        case FasterRcnnManifest():
            _check_two_stages(manifest, load("rpn.onnx"), load("head.onnx"))
        case DetrManifest():
            _check_queries(manifest, load("model.onnx"))
        case YoloManifest():
            _check_grid(manifest, load("model.onnx"))


def _check_two_stages(manifest: FasterRcnnManifest, rpn: Backend, head: Backend) -> None:
    check_faster_rcnn(manifest, rpn, head)
    output = manifest.output
    names = [*output.levels, output.objectness, output.anchor, output.anchor_deltas]
    answers = dict(zip(names, rpn.run(_pictures(manifest.input), names), strict=True))
    limits = _anchor_limits(manifest)
    for name in output.levels:
        _check_answer(name, answers[name], (_ROWS, None, None, None))
    _check_answer(output.objectness, answers[output.objectness], (_ROWS, len(limits)))
    _check_answer(output.anchor, answers[output.anchor], (_ROWS, len(limits)))
    _check_answer(output.anchor_deltas, answers[output.anchor_deltas], (_ROWS, len(limits), 4))
    if not ((answers[output.anchor] >= 0) & (answers[output.anchor] < limits)).all():
        raise PackageInvalid(f"{output.anchor} names anchors that its level does not have")
    for boxes, picture in (
        (np.empty((0, 4)), []),
        (np.array([[0, 0, 64, 64], [8, 8, 40, 24], [0, 0, 9, 9]]), [0, 1, 1]),
    ):
        feeds = {name: answers[name] for name in output.levels}
        feeds |= {output.boxes: boxes.astype(np.float32), output.picture: np.array(picture, np.int64)}
        scores, deltas = head.run(feeds, [output.scores, output.box_deltas])
        _check_answer(output.scores, scores, (len(boxes), len(manifest.labels)))
        _check_answer(output.box_deltas, deltas, (len(boxes), len(manifest.labels), 4))


def _check_queries(manifest: DetrManifest, graph: Backend) -> None:
    check_detr(manifest, graph)
    names = [manifest.output.logits, manifest.output.boxes]
    logits, boxes = graph.run(_pictures(manifest.input), names)
    _check_answer(names[0], logits, (_ROWS, None, len(manifest.labels) + 1))
    _check_answer(names[1], boxes, (_ROWS, logits.shape[1], 4))


def _check_grid(manifest: YoloManifest, graph: Backend) -> None:
    policy, output = manifest.input, manifest.output
    rows = check_yolo(manifest, graph).shape[0] or _ROWS
    sides = (policy.height, policy.width)
    grey = 128 if policy.pixels == "uint8" else 128 / policy.divisor
    pictures = np.full((rows, 3, *sides) if policy.layout == "nchw" else (rows, *sides, 3), grey, policy.pixels)
    [answer] = graph.run({policy.tensor: pictures}, [output.tensor])
    classes = len(manifest.labels)
    form = (rows, 4 + classes, None) if output.form == "anchor_free" else (rows, None, 5 + classes)
    _check_answer(output.tensor, answer, form)


def _anchor_limits(manifest: FasterRcnnManifest) -> NDArray[np.int64]:
    """Return, for each anchor that must leave the first graph for a picture asked about, how many its level has."""
    anchors, side = manifest.output.anchors, _side_px(manifest.input)
    sizes = np.array([len(level) for level in anchors.sizes]) * len(anchors.aspect_ratios)
    cells = (-(-side // np.array(anchors.strides))) ** 2 * sizes
    return np.repeat(cells, np.minimum(cells, manifest.output.proposals.per_level))


def _side_px(policy: ShorterSideInput) -> int:
    return -(-_SIDE_PX // policy.size_divisor) * policy.size_divisor


def _pictures(policy: ShorterSideInput) -> dict[str, NDArray[Any]]:
    side = _side_px(policy)
    return {
        policy.tensor: np.full((_ROWS, side, side, 3), 128, policy.pixels),
        policy.size_tensor: np.full((_ROWS, 2), side, np.int64),
    }


def _check_answer(name: str, answer: NDArray[Any], shape: Sequence[int | None]) -> None:
    """Compare an answer with what the manifest says; None may be anything."""
    if answer.ndim != len(shape) or any(
        side not in {None, there} for side, there in zip(shape, answer.shape, strict=True)
    ):
        needed = ", ".join("any" if side is None else str(side) for side in shape)
        raise PackageInvalid(f"{name} is {list(answer.shape)}, the manifest says [{needed}]")
    if not np.isfinite(answer).all():
        raise PackageInvalid(f"{name} of a grey picture is not finite")
