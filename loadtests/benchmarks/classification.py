"""JPEG 500 x 375 to MobileNetV3-small 224 logits: what the service costs beside the bare loop, in one run.

Run as `python -m loadtests.benchmarks.classification` (or `make bench`). The two take turns, so that a neighbour on the
machine disturbs both alike; CPU per answer is what is compared, since wall time here also holds the load generator's.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from loadtests.benchmarks.bare_loop import BareResult, run_bare_loop
from loadtests.benchmarks.closed_loop import LoadResult, run_load
from loadtests.service_process import ServiceProcess
from retinue.classification.v1 import classification_pb2 as pb
from retinue.oip import open_inference_pb2 as oip
from retinue.zoo.architectures import build
from retinue.zoo.export import export_classifier
from retinue.zoo.package import write_package

CLASSIFY = "/retinue.classification.v1.ClassificationService/Classify"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
SIDE_PX = 224
MODEL = "bench-mobilenet"
TARGET_RATIO = 1.20


def main() -> int:
    """Measure, print the table, and return 1 where an answer failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.classification", description=__doc__)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 16, 32, 64], help="calls under way at once")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often both are measured; medians are shown")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as folder:
        return _measure(Path(folder), arguments.in_flight, arguments.seconds, arguments.rounds)


def _measure(folder: Path, in_flight: list[int], seconds: float, rounds: int) -> int:
    graph = write_model(folder)
    jpeg = write_picture()
    messages = write_messages(jpeg, folder)
    settings = {"RETINUE_MODELS__ROOTS": f'["{folder / "models"}"]', "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"}
    bare: list[BareResult] = []
    loads: dict[tuple[str, int], list[tuple[LoadResult, float]]] = {}
    with ServiceProcess("classification", folder / "service.log", settings) as service:
        for number in range(rounds):
            for is_shared in (False, True):
                sizes = (1, 2, 4, 8, 16)
                bare += run_bare_loop(graph, jpeg, SIDE_PX, sizes, seconds / 4, is_session_shared=is_shared)
            for method, message in messages.items():
                for count in in_flight:
                    run_load(service.target, method, message, count, 0.5)
                    before_s = service.cpu_s()
                    result = run_load(service.target, method, message, count, seconds)
                    cost_ms = 1e3 * (service.cpu_s() - before_s) / result.answers
                    loads.setdefault((method, count), []).append((result, cost_ms))
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return _report(bare, loads, len(jpeg))


def _report(bare: list[BareResult], loads: dict[tuple[str, int], list[tuple[LoadResult, float]]], size: int) -> int:
    console = Console(width=110)
    table = Table(title=f"Bare loop, {len(os.sched_getaffinity(0))} threads, JPEG of {size} bytes")
    for heading in ("session", "batch", "CPU ms / picture", "pictures / s"):
        table.add_column(heading, justify="right")
    costs: dict[tuple[bool, int], float] = {}
    for key in dict.fromkeys((result.is_session_shared, result.batch_size) for result in bare):
        same = [result for result in bare if (result.is_session_shared, result.batch_size) == key]
        costs[key] = statistics.median(result.cpu_ms for result in same)
        rate = statistics.median(result.pictures_per_s for result in same)
        table.add_row("shared" if key[0] else "own", str(key[1]), f"{costs[key]:.2f}", f"{rate:.0f}")
    console.print(table)
    best_ms = min(costs.values())
    table = Table(title=f"Service; ratio to the best bare loop, {best_ms:.2f} ms; target {TARGET_RATIO:.2f}")
    for heading in ("method", "in flight", "answers / s", "p50 ms", "p99 ms", "CPU ms / answer", "ratio", "bytes"):
        table.add_column(heading, justify="right")
    for (method, count), runs in loads.items():
        cost_ms = statistics.median(cost for _, cost in runs)
        rate = statistics.median(result.answers / result.seconds for result, _ in runs)
        p50_ms = statistics.median(result.p50_ms for result, _ in runs)
        p99_ms = statistics.median(result.p99_ms for result, _ in runs)
        name = method.rpartition("/")[2]
        row = (f"{rate:.0f}", f"{p50_ms:.1f}", f"{p99_ms:.1f}", f"{cost_ms:.2f}", f"{cost_ms / best_ms:.2f}")
        table.add_row(name, str(count), *row, str(runs[0][0].answer_bytes))
    console.print(table)
    failures = sum(result.failures for runs in loads.values() for result, _ in runs)
    if failures:
        console.print(f"{failures} calls failed")
    return 1 if failures else 0


def write_model(folder: Path) -> Path:
    """Write a package of MobileNetV3-small with seeded weights: its cost does not depend on what it has learned."""
    torch.manual_seed(0)
    graph = folder / "model.onnx"
    exported = export_classifier(build("mobilenet_v3_small").eval(), graph, height=SIDE_PX, width=SIDE_PX)
    fields = {
        "name": MODEL,
        "version": "1",
        "task": "classification",
        "family": "logits",
        "labels": [f"class {index}" for index in range(exported.class_count)],
        "input": {
            "height": SIDE_PX,
            "width": SIDE_PX,
            "fit": "stretch",
            "kernel": "bilinear",
            "antialias": False,  # what the bare loop does
        },
        "provenance": {"source": "Seeded random weights, for benchmarks."},
        "licence": "Apache-2.0",
    }
    package = write_package(folder / "models", fields, {"model.onnx": graph})
    return package / "model.onnx"


def write_picture() -> bytes:
    """Return a JPEG of 500 x 375 pixels, a real photograph."""
    photograph: NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # untyped library
    picture = np.ascontiguousarray(cv2.resize(photograph, (500, 375)))
    is_encoded, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not is_encoded:
        raise RuntimeError("OpenCV cannot write JPEG")
    return data.tobytes()


def write_messages(jpeg: bytes, folder: Path) -> dict[str, Path]:
    """Write the request of each method into a file: our typed one, and the Open Inference Protocol's for logits."""
    typed = pb.ClassifyRequest()
    typed.image.encoded = jpeg
    tensors = oip.ModelInferRequest(model_name=MODEL)
    tensors.inputs.add(name="image", datatype="BYTES", shape=[1, 1])
    tensors.outputs.add(name="logits")
    tensors.raw_input_contents.append(len(jpeg).to_bytes(4, "little") + jpeg)
    paths = {}
    for method, message in ((CLASSIFY, typed), (MODEL_INFER, tensors)):
        paths[method] = folder / f"{method.rpartition('/')[2]}.bin"
        paths[method].write_bytes(message.SerializeToString())
    return paths


if __name__ == "__main__":
    sys.exit(main())
