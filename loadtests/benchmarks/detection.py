"""What detection costs: stage by stage in one thread, and served beside the same graphs run bare, in one run.

Run as `python -m loadtests.benchmarks.detection` (or `make bench-detection`). Bare is what no server can spare: decode,
scale, both graphs on boxes that are known ahead, one thread per core; so the service's surplus is gRPC, the queue,
proposals, suppression, and the writing of answers. Both take turns. CPU per answer is what is compared.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from loadtests.benchmarks.bare_loop import cost_of_loop_ms
from loadtests.benchmarks.closed_loop import LoadResult, run_load
from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.detection.v1 import detection_pb2 as pb
from retinue.runtime.detection_manifest import FasterRcnnManifest
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import Package, open_package
from retinue.runtime.placement import place_into, placement_of
from retinue.zoo.detector_import import faster_rcnn_fields
from retinue.zoo.detectors import TWO_STAGE
from retinue.zoo.export_faster_rcnn import export_faster_rcnn
from retinue.zoo.package import write_package
from services.detection.detections import DetectionOptions, Floats, Rows
from services.detection.faster_rcnn import FasterRcnn
from services.detection.suppression import suppressed

DETECT = "/retinue.detection.v1.DetectionService/Detect"
STAGES = ("decode", "resize", "rpn", "proposals", "head", "post")
LARGE = "fasterrcnn_resnet50_fpn"


@dataclass(frozen=True, slots=True)
class Subject:
    """A detector, the picture it is asked about, and how much dearer than bare it may be."""

    package: Package
    picture: bytes
    target_ratio: float
    seconds: float


class Stages(NamedTuple):
    """Milliseconds of each stage for one picture, and the boxes that the second graph looked at."""

    ms: dict[str, float]
    boxes: Floats


class BareDetector:
    """One detector without a server."""

    def __init__(self, package: Package) -> None:
        self._manifest = FasterRcnnManifest.of(package.manifest)
        self._family = FasterRcnn(self._manifest, lambda name: OnnxBackend(package.path(name)))
        chosen = self._manifest.output.selection
        self._options = DetectionOptions(
            chosen.score_threshold,
            None,
            chosen.nms,
            chosen.iou_threshold,
            0.5,
            is_class_agnostic=False,
            max_detections=chosen.max_detections,
        )

    def stages(self, picture: bytes) -> Stages:
        """Do all that a service does with one picture, and take the time of each stage."""
        marks = [time.perf_counter()]

        def passed() -> None:
            marks.append(time.perf_counter())

        pixels = _decoded(picture)
        passed()
        rows = self._rows(pixels)
        passed()
        found = self._family.propose(rows)
        passed()
        canvas, (height, width) = rows.images.shape[1:3], rows.sizes[0].tolist()
        boxes = self._family.proposals(
            found.logits[0], found.anchors[0], found.deltas[0], (canvas[0], canvas[1]), (height, width)
        )
        passed()
        raw = self._family.look(found.levels, [boxes])
        passed()
        place = placement_of(pixels.shape[0], pixels.shape[1], self._manifest.input)
        candidates = self._family.candidates(raw, 0, place, self._options)
        kept, _ = suppressed(candidates, self._options)
        place.back(candidates.boxes[kept])
        passed()
        return Stages(
            {stage: 1e3 * (end - begin) for stage, begin, end in zip(STAGES, marks, marks[1:], strict=False)}, boxes
        )

    def graphs_alone(self, picture: bytes, boxes: Floats) -> None:
        """Decode, scale and run both graphs, on boxes that are known."""
        found = self._family.propose(self._rows(_decoded(picture)))
        self._family.look(found.levels, [boxes])

    def _rows(self, pixels: NDArray[np.uint8]) -> Rows:
        policy = self._manifest.input
        place = placement_of(pixels.shape[0], pixels.shape[1], policy)
        images = np.empty((1, *place.canvas, 3), policy.pixels)
        place_into(pixels, policy, place, images[0])
        return Rows(images, np.array([place.scaled], np.int64))


def main() -> int:
    """Measure, print the tables, and return 1 where a call failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.detection", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often both are measured; medians are shown")
    parser.add_argument("--in-flight", type=int, default=4, help="calls under way at once")
    parser.add_argument("--small-only", action="store_true", help="leave the ResNet-50 out")
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as folder:
        for subject in _subjects(Path(folder), is_small_only=arguments.small_only):
            failures += _measure(subject, Path(folder), arguments.in_flight, arguments.rounds)
    return 1 if failures else 0


def _subjects(folder: Path, *, is_small_only: bool) -> Iterator[Subject]:
    yield Subject(
        open_package(REPOSITORY / "services" / "detection" / "models" / "rounds-frcnn" / "1"),
        (REPOSITORY / "services" / "detection" / "samples" / "coins.png").read_bytes(),
        1.20,
        4.0,
    )
    if not is_small_only:
        yield Subject(_write_large(folder), _photograph(), 1.05, 30.0)


def _measure(subject: Subject, folder: Path, in_flight: int, rounds: int) -> int:
    """Print the tables of one subject and return how many calls failed."""
    console, name = Console(width=110), subject.package.name
    bare = BareDetector(subject.package)
    bare.stages(subject.picture)
    runs = [bare.stages(subject.picture) for _ in range(max(5, 2 * rounds))]
    table = Table(title=f"{name}: ms of each stage, one thread, {len(runs[0].boxes)} proposals")
    for stage in (*STAGES, "all"):
        table.add_column(stage, justify="right")
    medians = [statistics.median(run.ms[stage] for run in runs) for stage in STAGES]
    table.add_row(*(f"{value:.2f}" for value in (*medians, sum(medians))))
    console.print(table)
    message = folder / "detect.bin"
    request = pb.DetectRequest()
    request.image.encoded = subject.picture
    message.write_bytes(request.SerializeToString())
    settings = {
        "RETINUE_MODELS__ROOTS": f'["{subject.package.folder.parents[1]}"]',
        "RETINUE_MODELS__LOAD": f'["{name}"]',
        "RETINUE_MODELS__DEFAULT": name,
    }
    costs_ms: list[float] = []
    loads: list[tuple[LoadResult, float]] = []
    with ServiceProcess("detection", folder / "service.log", settings) as service:
        for _ in range(rounds):
            costs_ms.append(cost_of_loop_ms(lambda: bare.graphs_alone(subject.picture, runs[0].boxes), subject.seconds))
            before_s = service.cpu_s()
            load = run_load(service.target, DETECT, message, in_flight, subject.seconds)
            # Calls that were under way when time was up are answered too, and their CPU time is in the difference.
            loads.append((load, 1e3 * (service.cpu_s() - before_s) / (load.answers + in_flight)))
    best_ms, cost_ms = statistics.median(costs_ms), statistics.median(cost for _, cost in loads)
    table = Table(title=f"{name} served, {in_flight} in flight; target ratio {subject.target_ratio:.2f}")
    for heading in ("answers / s", "p50 ms", "p99 ms", "CPU ms / answer", "bare CPU ms", "ratio", "bytes"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{statistics.median(load.answers / load.seconds for load, _ in loads):.2f}",
        f"{statistics.median(load.p50_ms for load, _ in loads):.0f}",
        f"{statistics.median(load.p99_ms for load, _ in loads):.0f}",
        f"{cost_ms:.1f}",
        f"{best_ms:.1f}",
        f"{cost_ms / best_ms:.3f}",
        str(loads[0][0].answer_bytes),
    )
    console.print(table)
    return sum(load.failures for load, _ in loads)


def _write_large(folder: Path) -> Package:
    """Write a ResNet-50 with a feature pyramid and seeded weights: its cost does not depend on what it has learned."""
    torch.manual_seed(0)
    architecture = TWO_STAGE[LARGE]
    exported = export_faster_rcnn(architecture.build().eval(), folder, architecture.policy)
    fields = {
        "name": LARGE,
        "version": "1",
        "task": "detection",
        "labels": [f"class {index}" for index in range(91)],
        **faster_rcnn_fields(architecture.policy, exported.levels),
        "provenance": {"source": "Seeded random weights, for benchmarks."},
        "licence": "Apache-2.0",
    }
    return open_package(write_package(folder / "models", fields, {path.name: path for path in exported.files}))


def _photograph() -> bytes:
    """Return a JPEG of 640 x 480 pixels, a real photograph."""
    photograph: NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # untyped library
    picture = np.ascontiguousarray(cv2.resize(photograph, (640, 480)))
    is_encoded, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not is_encoded:
        raise RuntimeError("OpenCV cannot write JPEG")
    return data.tobytes()


def _decoded(picture: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise ValueError("the picture cannot be decoded")
    return np.asarray(pixels, np.uint8)


if __name__ == "__main__":
    sys.exit(main())
