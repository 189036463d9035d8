"""What matching over gRPC costs, beside the same work in-process and beside a server that does nothing, in one run.

Run as `python -m loadtests.benchmarks.matching` (or `make bench-matching`). Rivals take turns, so that a neighbour on
the machine disturbs them alike; medians are shown.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from loadtests.benchmarks.closed_loop import LoadResult, run_load
from loadtests.benchmarks.echo_server import EchoProcess
from loadtests.service_process import ServiceProcess
from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc

MATCH_POINTS = "/retinue.matching.v1.MatchingService/MatchPoints"
RADIUS = 12.0
IMAGES, CLASSES, OBJECTS, DETECTIONS = 5000, 80, 7, 20
_IMAGES_PER_MESSAGE = 100
_console = Console(width=110)

Points = NDArray[np.float64]


def main() -> int:
    """Measure, print the tables, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.matching", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each load")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians are shown")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as name:
        folder = Path(name)
        with (
            ServiceProcess("matching", folder / "service.log") as service,
            grpc.insecure_channel(service.target) as one,
        ):
            stub = matching_pb2_grpc.MatchingServiceStub(one)
            are_met = [
                _measure_small(service, stub, folder, arguments.seconds, arguments.rounds),
                _measure_large(stub, arguments.rounds),
                _measure_evaluation(stub, arguments.rounds),
            ]
    return int(not all(are_met))


def _measure_small(service: ServiceProcess, stub: Any, folder: Path, seconds: float, rounds: int) -> bool:
    """100 by 100 points: answers and CPU per answer, beside an echo of the same payload and beside scipy."""
    a, b = _nuclei(100)
    request, answer = _points_request(a, b), folder / "answer.bin"
    message = folder / "request.bin"
    message.write_bytes(request.SerializeToString())
    answer.write_bytes(stub.MatchPoints(request).SerializeToString())
    costs: dict[tuple[str, int], list[tuple[LoadResult, float]]] = {}
    scipy_us = []
    with EchoProcess(MATCH_POINTS, answer) as echo:
        for _ in range(rounds):
            scipy_us.append(1e6 * _cpu_s(lambda: _gated_afterwards(a, b), 500))
            for in_flight in (1, 16):
                for name, server in (("matching", service), ("echo", echo)):
                    run_load(server.target, MATCH_POINTS, message, in_flight, 0.5)
                    before_s = server.cpu_s()
                    result = run_load(server.target, MATCH_POINTS, message, in_flight, seconds)
                    used_us = 1e6 * (server.cpu_s() - before_s) / result.answers
                    costs.setdefault((name, in_flight), []).append((result, used_us))
    table = Table(title=f"MatchPoints, 100 by 100 points; scipy in-process {statistics.median(scipy_us):.0f} us a call")
    for heading in ("server", "in flight", "answers / s", "p50 ms", "p99 ms", "CPU us / answer", "to the echo"):
        table.add_column(heading, justify="right")
    medians = {key: statistics.median(used for _, used in runs) for key, runs in costs.items()}
    for (name, in_flight), runs in costs.items():
        ratio = medians[name, in_flight] / medians["echo", in_flight]
        figures = [
            statistics.median(result.answers / result.seconds for result, _ in runs),
            statistics.median(result.p50_ms for result, _ in runs),
            statistics.median(result.p99_ms for result, _ in runs),
        ]
        cells = (f"{figures[0]:.0f}", *(f"{figure:.2f}" for figure in figures[1:]), f"{medians[name, in_flight]:.0f}")
        table.add_row(name, str(in_flight), *cells, f"{ratio:.2f}")
    _console.print(table)
    return _told("CPU per answer to the echo's", medians["matching", 16] / medians["echo", 16], at_most=1.5)


def _measure_large(stub: Any, rounds: int) -> bool:
    """5000 points, the wire included, beside cdist and scipy in-process."""
    a, b = _nuclei(5000)
    ours, theirs = [], []
    for _ in range(rounds):
        ours += [_wall_s(lambda: stub.MatchPoints(_points_request(a, b)))[0] for _ in range(5)]
        theirs.append(_wall_s(lambda: _gated_afterwards(a, b))[0])
    ours_ms, theirs_ms = 1e3 * statistics.median(ours), 1e3 * statistics.median(theirs)
    _console.print(f"MatchPoints, n = 5000, with the wire: {ours_ms:.1f} ms; cdist + scipy: {theirs_ms:.0f} ms")
    return _told("times faster", theirs_ms / ours_ms, at_least=10)


def _measure_evaluation(stub: Any, rounds: int) -> bool:
    """5000 pictures of 80 classes, the wire included, beside pycocotools in-process."""
    pictures = list(_pictures())
    ours = [_wall_s(lambda: stub.Evaluate(_messages(pictures), timeout=600)) for _ in range(rounds)]
    theirs_s, theirs = _wall_s(lambda: _pycocotools(pictures))
    ours_s = statistics.median(seconds for seconds, _ in ours)
    summary = ours[0][1].summary
    print(f"AP of both: {summary.ap:.6f} {theirs[0]:.6f}; AR@100: {summary.ar_100:.6f} {theirs[8]:.6f}")
    _console.print(
        f"Evaluate, {IMAGES} pictures, {CLASSES} classes, with the wire: {ours_s:.2f} s "
        f"(of it solving {ours[0][1].solve_time.ToMilliseconds()} ms); pycocotools: {theirs_s:.1f} s"
    )
    return _told("times faster", theirs_s / ours_s, at_least=5)


def _told(what: str, figure: float, *, at_most: float = np.inf, at_least: float = -np.inf) -> bool:
    is_met = at_least <= figure <= at_most
    target = f"at most {at_most}" if at_most < np.inf else f"at least {at_least}"
    _console.print(f"  {figure:.2f} {what}; target {target}: {'met' if is_met else 'missed'}")
    return is_met


def _nuclei(count: int) -> tuple[Points, Points]:
    """Return centres of nuclei as dense as in a slide, and the same found: a tenth missed, a tenth made up."""
    rng = np.random.default_rng(count)
    side = 32 * count**0.5
    true = rng.uniform(0, side, (count, 2))
    found = true[rng.random(count) > 0.1]
    found = found + rng.normal(0, 4, found.shape)
    return true, np.concatenate([found, rng.uniform(0, side, (count - len(found), 2))])


def _points_request(a: Points, b: Points) -> pb.MatchPointsRequest:
    return pb.MatchPointsRequest(problems=[pb.PointsProblem(a_xy=a.ravel(), b_xy=b.ravel(), radius=RADIUS)])


def _gated_afterwards(a: Points, b: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    distances = cdist(a, b)
    rows, columns = linear_sum_assignment(distances)
    is_near = distances[rows, columns] <= RADIUS
    return rows[is_near], columns[is_near]


Picture = tuple[Points, NDArray[np.int64], Points, NDArray[np.int64], Points]


def _pictures() -> Iterator[Picture]:
    """Yield true boxes and classes, and detected boxes, classes and scores, in whole pixels as in COCO's files."""
    rng = np.random.default_rng(0)
    for _ in range(IMAGES):
        corners = rng.integers(0, 500, (OBJECTS, 2))
        truth = np.concatenate([corners, corners + rng.integers(8, 140, (OBJECTS, 2))], axis=1).astype(np.float64)
        classes = rng.integers(1, CLASSES + 1, OBJECTS)
        picked = rng.integers(0, OBJECTS, DETECTIONS)
        found = truth[picked] + rng.integers(-6, 7, (DETECTIONS, 4))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        found_classes = np.where(
            rng.random(DETECTIONS) < 0.8, classes[picked], rng.integers(1, CLASSES + 1, DETECTIONS)
        )
        yield truth, classes, found, found_classes, rng.random(DETECTIONS)


def _messages(pictures: Sequence[Picture]) -> Iterator[pb.EvaluateRequest]:
    for first in range(0, len(pictures), _IMAGES_PER_MESSAGE):
        yield pb.EvaluateRequest(
            images=[
                pb.EvaluationImage(
                    truth_xyxy_px=truth.ravel(),
                    truth_class_ids=classes,
                    detection_xyxy_px=found.ravel(),
                    detection_class_ids=found_classes,
                    detection_scores=scores,
                )
                for truth, classes, found, found_classes, scores in pictures[first : first + _IMAGES_PER_MESSAGE]
            ]
        )


def _pycocotools(pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """Return the twelve figures; making the dictionaries that it wants is not counted against it by much."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (truth, classes, found, found_classes, scores) in enumerate(pictures):
        for box, label in zip(truth.tolist(), classes.tolist(), strict=True):
            size = [box[2] - box[0], box[3] - box[1]]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": label, "bbox": [*box[:2], *size],
                 "area": size[0] * size[1], "iscrowd": 0}
            )  # fmt: skip
        for box, label, score in zip(found.tolist(), found_classes.tolist(), scores.tolist(), strict=True):
            bbox = [*box[:2], box[2] - box[0], box[3] - box[1]]
            results.append({"image_id": image, "category_id": label, "bbox": bbox, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth_file = COCO()
        truth_file.dataset = {
            "images": [{"id": image} for image in range(len(pictures))],
            "annotations": annotations,
            "categories": [{"id": label} for label in range(1, CLASSES + 1)],
        }
        truth_file.createIndex()
        evaluation = COCOeval(truth_file, truth_file.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.asarray(evaluation.stats)


def _wall_s(work: Callable[[], Any]) -> tuple[float, Any]:
    begin_s = time.perf_counter()
    result = work()
    return time.perf_counter() - begin_s, result


def _cpu_s(work: Callable[[], object], count: int) -> float:
    begin_s = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - begin_s) / count


if __name__ == "__main__":
    sys.exit(main())
