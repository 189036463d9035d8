"""The best that could be: decode, resize and run in a loop, one thread per core, no server.

What a service spends above this is what serving costs. Each thread does the whole of its batch, straight into its own
buffer, with a session of its own or one that all share; the best of all variants is the one to compare with.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from retinue.runtime.onnx_runtime import onnxruntime


@dataclass(frozen=True, slots=True)
class BareResult:
    """What one variant of the loop cost."""

    batch_size: int
    is_session_shared: bool
    cpu_ms: float
    """CPU milliseconds per picture, all threads."""
    pictures_per_s: float


def run_bare_loop(
    graph: Path, jpeg: bytes, side_px: int, batch_sizes: Sequence[int], seconds: float, *, is_session_shared: bool
) -> list[BareResult]:
    """Return the cost per picture for each batch size.

    Args:
        graph: ONNX graph with input ``image`` uint8 [batch, side_px, side_px, 3] and output ``logits``.
        jpeg: the picture.
        side_px: height and width of the input.
        batch_sizes: pictures per run.
        seconds: how long each is measured.
        is_session_shared: whether all threads run one session.
    """
    thread_count = len(os.sched_getaffinity(0))
    sessions = [_session(graph) for _ in range(1 if is_session_shared else thread_count)] * thread_count
    results = []
    for batch_size in batch_sizes:
        _loop(sessions[0], jpeg, side_px, batch_size, time.perf_counter() + 0.2)
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(thread_count) as pool:
            loops = [
                pool.submit(_loop, session, jpeg, side_px, batch_size, begin_s + seconds)
                for session in sessions[:thread_count]
            ]
            count = sum(loop.result() for loop in loops)
        wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
        results.append(BareResult(batch_size, is_session_shared, 1e3 * cpu_s / count, count / wall_s))
    return results


def cost_of_loop_ms(once: Callable[[], object], seconds: float) -> float:
    """Return CPU milliseconds per picture, one thread per core doing it over and over."""
    thread_count = len(os.sched_getaffinity(0))
    end_s, begin_cpu_s = time.perf_counter() + seconds, time.process_time()

    def loop() -> int:
        count = 0
        while time.perf_counter() < end_s:
            once()
            count += 1
        return count

    with ThreadPoolExecutor(thread_count) as pool:
        count = sum(run.result() for run in [pool.submit(loop) for _ in range(thread_count)])
    return 1e3 * (time.process_time() - begin_cpu_s) / count


def _session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _loop(session: onnxruntime.InferenceSession, jpeg: bytes, side_px: int, batch_size: int, end_s: float) -> int:
    """Return how many pictures were done until ``end_s``."""
    source = np.frombuffer(jpeg, np.uint8)
    rows = np.empty((batch_size, side_px, side_px, 3), np.uint8)
    count = 0
    while time.perf_counter() < end_s:
        for row in rows:
            pixels = cv2.imdecode(source, cv2.IMREAD_COLOR_RGB)
            if pixels is None:
                raise ValueError("the picture is no JPEG")
            cv2.resize(pixels, (side_px, side_px), dst=row)
        session.run(["logits"], {"image": rows})
        count += batch_size
    return count
