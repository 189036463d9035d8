"""Whether the graphs of a detector load, are what its manifest says, and answer."""

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
            graph = load("model.onnx")
            check_detr(manifest, graph)
            names = [manifest.output.logits, manifest.output.boxes]
            _check_finite(dict(zip(names, graph.run(_pictures(manifest.input), names), strict=True)))
        case YoloManifest():
            graph = load("model.onnx")
            shape = check_yolo(manifest, graph).shape
            policy, name = manifest.input, manifest.output.tensor
            sides = (policy.height, policy.width)
            pictures = (3, *sides) if policy.layout == "nchw" else (*sides, 3)
            grey = np.full((shape[0] or _ROWS, *pictures), 128 / policy.divisor).astype(policy.pixels)
            _check_finite({name: graph.run({policy.tensor: grey}, [name])[0]})


def _check_two_stages(manifest: FasterRcnnManifest, rpn: Backend, head: Backend) -> None:
    check_faster_rcnn(manifest, rpn, head)
    output = manifest.output
    names = [*output.levels, output.objectness, output.anchor_deltas]
    answers = dict(zip(names, rpn.run(_pictures(manifest.input), names), strict=True))
    _check_finite(answers)
    for boxes, picture in ((np.empty((0, 4)), []), (np.array([[0, 0, 64, 64], [8, 8, 40, 24]]), [0, 1])):
        feeds = {name: answers[name] for name in output.levels}
        feeds |= {output.boxes: boxes.astype(np.float32), output.picture: np.array(picture, np.int64)}
        scores, deltas = head.run(feeds, [output.scores, output.box_deltas])
        if len(scores) != len(boxes) or len(deltas) != len(boxes):
            raise PackageInvalid(f"head.onnx answers {len(scores)} boxes for {len(boxes)}")
        _check_finite({output.scores: scores, output.box_deltas: deltas})


def _pictures(policy: ShorterSideInput) -> dict[str, NDArray[Any]]:
    side = -(-_SIDE_PX // policy.size_divisor) * policy.size_divisor
    return {
        policy.tensor: np.full((_ROWS, side, side, 3), 128).astype(policy.pixels),
        policy.size_tensor: np.full((_ROWS, 2), side, np.int64),
    }


def _check_finite(answers: dict[str, NDArray[Any]]) -> None:
    for name, answer in answers.items():
        if not np.isfinite(answer).all():
            raise PackageInvalid(f"{name} of a grey picture is not finite")
