"""What segmentation costs: served beside the same done in a loop, and what comes after the graph beside scikit-image.

Run as `python -m loadtests.benchmarks.segmentation` (or `make bench-segmentation`). The loop decodes, scales, runs the
graph and finds classes and single things, one thread per core; the service's surplus is gRPC, the queue and the writing
of masks. What the graph takes without what follows is told beside it. They take turns. The steps after the graph are
compared in one thread on the same maps: ours with scikit-image's label, watershed and regionprops.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from skimage.measure import label, regionprops_table
from skimage.segmentation import watershed

from loadtests.benchmarks.bare_loop import cost_of_loop_ms
from loadtests.benchmarks.closed_loop import LoadResult, run_load
from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import open_package
from retinue.runtime.picture import PictureLimits, open_picture
from retinue.runtime.segmentation_manifest import InstanceManifest
from retinue.runtime.view import WholePicture
from retinue.segmentation.v1 import segmentation_pb2 as pb
from services.segmentation.pipeline import SegmentationOutputs, SegmentationPipeline
from services.segmentation.segmentations import SegmentationItem, SegmentationOptions
from services.segmentation.things import things_of

SEGMENT = "/retinue.segmentation.v1.SegmentationService/Segment"
PACKAGE = REPOSITORY / "services" / "segmentation" / "models" / "rounds-unet" / "1"
TARGET_RATIO = 1.10
TARGET_TIMES = 5.0
_REPEATS = 9

Floats = NDArray[np.float32]


def main() -> int:
    """Measure, print the tables, and return 1 where a call failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.segmentation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often both are measured; medians are shown")
    parser.add_argument("--in-flight", type=int, default=4, help="calls under way at once")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    arguments = parser.parse_args()
    package = open_package(PACKAGE)
    pipeline = SegmentationPipeline(package, lambda name: OnnxBackend(package.path(name)))
    _compare_steps(pipeline, _picture(4))
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as folder:
        return _compare_served(pipeline, _picture(2), Path(folder), arguments)


def _compare_served(pipeline: SegmentationPipeline, picture: bytes, folder: Path, arguments: argparse.Namespace) -> int:
    item = _item(pipeline, picture)
    megapixels = item.view.size[0] * item.view.size[1] / 1e6
    message = folder / "segment.bin"
    request = pb.SegmentRequest()
    request.image.encoded = picture
    message.write_bytes(request.SerializeToString())
    graph_ms: list[float] = []
    loop_ms: list[float] = []
    loads: list[tuple[LoadResult, float]] = []
    with ServiceProcess("segmentation", folder / "service.log") as service:
        for _ in range(arguments.rounds):
            graph_ms.append(cost_of_loop_ms(lambda: _run(pipeline, item), arguments.seconds))
            loop_ms.append(cost_of_loop_ms(lambda: _things(pipeline, item, _run(pipeline, item)), arguments.seconds))
            before_s = service.cpu_s()
            load = run_load(service.target, SEGMENT, message, arguments.in_flight, arguments.seconds)
            # Calls that were under way when time was up are answered too, and their CPU time is in the difference.
            loads.append((load, 1e3 * (service.cpu_s() - before_s) / (load.answers + arguments.in_flight)))
    cost_ms, best_ms = statistics.median(cost for _, cost in loads), statistics.median(loop_ms)
    rate = statistics.median(load.answers / load.seconds for load, _ in loads)
    table = Table(title=f"rounds-unet served, {megapixels:.2f} megapixels, {arguments.in_flight} in flight")
    for heading in (
        "megapixels / s",
        "p50 ms",
        "CPU ms / megapixel",
        "in a loop",
        "graph alone",
        "ratio to the loop",
        "target",
        "bytes",
    ):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{rate * megapixels:.2f}",
        f"{statistics.median(load.p50_ms for load, _ in loads):.0f}",
        f"{cost_ms / megapixels:.0f}",
        f"{best_ms / megapixels:.0f}",
        f"{statistics.median(graph_ms) / megapixels:.0f}",
        f"{cost_ms / best_ms:.3f}",
        f"{TARGET_RATIO:.2f}",
        str(loads[0][0].answer_bytes),
    )
    Console(width=110).print(table)
    return 1 if any(load.failures for load, _ in loads) else 0


def _compare_steps(pipeline: SegmentationPipeline, picture: bytes) -> None:
    """Print how long the steps from maps to single things take, ours and scikit-image's."""
    item = _item(pipeline, picture)
    outputs = _run(pipeline, item)
    ours = _median_ms(lambda: _things(pipeline, item, outputs))
    theirs = _median_ms(lambda: _by_skimage(outputs, pipeline))
    megapixels = outputs.logits.shape[2] * outputs.logits.shape[3] / 1e6
    table = Table(title="From maps to single things, one thread, ms per megapixel")
    for heading in ("ours", "scikit-image", "times as fast", "target"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{ours / megapixels:.0f}", f"{theirs / megapixels:.0f}", f"{theirs / ours:.1f}", f"{TARGET_TIMES:.0f}"
    )
    Console(width=110).print(table)


def _things(pipeline: SegmentationPipeline, item: SegmentationItem, outputs: SegmentationOutputs) -> int:
    found = pipeline.finish([item], outputs)[0].found
    return 0 if found is None else len(things_of(found, item.options))


def _by_skimage(outputs: SegmentationOutputs, pipeline: SegmentationPipeline) -> int:
    """Do the same steps: probabilities, foreground, seeds, watershed, small ones out, properties, masks."""
    splitting = InstanceManifest.of(pipeline.manifest).output.splitting
    logits = outputs.logits[0]
    probabilities = np.exp(logits - logits.max(axis=0))
    probabilities /= probabilities.sum(axis=0)
    foreground = 1 - probabilities[0] >= splitting.interior_threshold
    guide = 1 / (1 + np.exp(-outputs.guide[0, 0])) if outputs.guide is not None else -probabilities[0]
    seeds: Any = label(foreground & (guide < (splitting.guide_threshold or 0.5)), connectivity=1)  # type: ignore[no-untyped-call]  # untyped library
    labels: Any = watershed(guide, seeds, mask=foreground)  # type: ignore[no-untyped-call]
    properties = ("label", "area", "bbox", "centroid", "image", "intensity_mean")
    found: Any = regionprops_table(  # type: ignore[no-untyped-call]
        labels, probabilities.transpose(1, 2, 0), properties=properties
    )
    return len(found["label"])


def _run(pipeline: SegmentationPipeline, item: SegmentationItem) -> SegmentationOutputs:
    rows = pipeline.allocate(pipeline.bucket(item), 1)
    pipeline.prepare(pipeline.decode(item), rows, 0)
    return pipeline.run(rows, 1)


def _item(pipeline: SegmentationPipeline, picture: bytes) -> SegmentationItem:
    splitting = InstanceManifest.of(pipeline.manifest).output.splitting
    options = SegmentationOptions(
        thresholds=(None,) * len(pipeline.manifest.labels),
        score_threshold=splitting.score_threshold,
        min_area_px=splitting.min_area_px,
        max_instances=10_000,
    )
    return SegmentationItem(WholePicture(open_picture(picture, PictureLimits())), options)


def _picture(times: int) -> bytes:
    """Return a JPEG of the photograph of coins, 303 x 384 pixels, so many times beside and below itself."""
    coins: NDArray[np.uint8] = skimage.data.coins()  # type: ignore[no-untyped-call]  # untyped library
    is_encoded, data = cv2.imencode(".jpg", np.tile(coins, (times, times)), [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not is_encoded:
        raise RuntimeError("OpenCV cannot write JPEG")
    return data.tobytes()


def _median_ms(once: Callable[[], object]) -> float:
    once()
    times_s = []
    for _ in range(_REPEATS):
        begin_s = time.thread_time()
        once()
        times_s.append(time.thread_time() - begin_s)
    return 1e3 * statistics.median(times_s)


if __name__ == "__main__":
    sys.exit(main())
