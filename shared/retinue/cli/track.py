"""`retinue track`: detections of frames in, MOTChallenge's lines out, as they come."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from retinue.cli.connection import connected
from retinue.cli.frame_files import read_frames
from retinue.cli.refusal import Refused
from retinue.client.matching import MatchingClient
from retinue.client.tracking_answer import TrackedFrame


def run(arguments: argparse.Namespace) -> int:
    """Follow the things through the frames and return 0.

    Raises:
        Refused: a file cannot be used, or the service failed; the lines until then are written.
    """
    try:
        return _run(arguments)
    except OSError as error:  # of a disk that is full, told once more where the file is closed
        if arguments.out is None:  # the reader of a pipe left, which is for the command as a whole to deal with
            raise
        raise Refused(f"--out {arguments.out}: {error.strerror}", exit_code=1) from error


def _run(arguments: argparse.Namespace) -> int:
    with _source(arguments.file) as source, _target(arguments.out, arguments.file) as target:
        track_ids, frame_count = set[int](), 0
        with connected(MatchingClient, arguments) as client:
            for frame in client.track(
                read_frames(arguments.file, source),
                high_score_threshold=arguments.high_score_threshold,
                low_score_threshold=arguments.low_score_threshold,
                new_track_score_threshold=arguments.new_track_score_threshold,
                high_iou_threshold=arguments.high_iou_threshold,
                low_iou_threshold=arguments.low_iou_threshold,
                max_lost_frames=arguments.max_lost_frames,
                min_seen_frames=arguments.min_seen_frames,
                max_tracks=arguments.max_tracks,
                class_aware=arguments.class_aware,
            ):
                target.writelines(_lines(frame))
                target.flush()
                frame_count += 1
                if arguments.out is not None:
                    track_ids.update(frame.track_ids.tolist())
    if arguments.out is not None:
        sys.stdout.write(f"{len(track_ids)} tracks in {frame_count} frames\n")
    return 0


def _lines(frame: TrackedFrame) -> Iterator[str]:
    """Yield MOTChallenge's lines of a frame: frame, id, left, top, width, height, score, and three that say nothing."""
    for track_id, box, score in zip(frame.track_ids.tolist(), frame.boxes.tolist(), frame.scores.tolist(), strict=True):
        x_min, y_min, x_max, y_max = box
        yield (
            f"{frame.frame_index},{track_id},{x_min:.2f},{y_min:.2f},{x_max - x_min:.2f},{y_max - y_min:.2f},"
            f"{score:.4g},-1,-1,-1\n"
        )


def _source(name: str) -> AbstractContextManager[TextIO]:
    """Return the lines of a file, or of stdin for ``-``; what is no UTF-8 is complained about with its line."""
    if name == "-":
        return nullcontext(sys.stdin)
    try:
        return Path(name).open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Refused(f"{name}: {error.strerror}") from error


def _target(path: Path | None, source: str) -> AbstractContextManager[TextIO]:
    """Return where lines go: a file, or stdout."""
    if path is None:
        return nullcontext(sys.stdout)
    try:
        if source != "-" and path.exists() and path.samefile(source):
            raise Refused(f"--out {path}: is the file that is read")
        return path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise Refused(f"--out {path}: {error.strerror}") from error
