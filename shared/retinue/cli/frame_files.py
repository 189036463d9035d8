"""Detections frame by frame, read as they come: MOTChallenge's lines, or JSON objects."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from retinue.cli.json_files import is_box, is_number, is_whole
from retinue.cli.refusal import Refused
from retinue.client.tracking_request import TrackFrame


def read_frames(name: str, lines: Iterable[str]) -> Iterator[TrackFrame]:
    """Yield the frames of a file, a line at a time, so that it may be endless.

    The first line says which kind it is. MOTChallenge: ``frame,id,left,top,width,height,score`` and more, which is not
    looked at, one line for each box, frames ascending. JSON: one object for each frame, with ``boxes`` (corners),
    ``scores``, and if they are known ``class_ids`` and ``frame``; or what `retinue detect --json` prints. Frames
    without a number follow on, from 1.

    Args:
        name: of the file, for complaints.
        lines: of the file.

    Raises:
        Refused: a line is of neither kind.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    read = _json_frames if first[1].lstrip("\ufeff \t").startswith("{") else _mot_frames
    yield from read(name, chain([first], numbered))


def _json_frames(name: str, lines: Iterable[tuple[int, str]]) -> Iterator[TrackFrame]:
    last = 0
    for number, line in lines:
        try:
            content = json.loads(line.lstrip("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise Refused(f"{name}: line {number} is no JSON ({error})") from error
        if not isinstance(content, dict):
            raise Refused(f"{name}: line {number} is no object")
        if "error" in content:  # of `retinue detect --json`: a frame in which nothing could be seen
            content = {"boxes": [], "scores": []}
        frame = content.get("frame", last + 1)
        boxes, scores, class_ids = _columns(content)
        problem = _problem(frame, boxes, scores, class_ids)
        if problem:
            raise Refused(f"{name}: line {number}: {problem}")
        _check_order(name, number, frame, last if "frame" in content else frame - 1)
        last = frame
        yield TrackFrame(frame, boxes, scores, class_ids)


def _columns(content: dict[str, Any]) -> tuple[Any, Any, Any]:
    found = content.get("detections")
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        class_ids = [one.get("label_id") for one in found]
        return (
            [one.get("box") for one in found],
            [one.get("score") for one in found],
            None if None in class_ids else class_ids,
        )
    return content.get("boxes"), content.get("scores"), content.get("class_ids")


def _problem(frame: Any, boxes: Any, scores: Any, class_ids: Any) -> str:
    if not is_whole(frame) or frame < 0:
        return "frame must be a whole number from 0 up"
    if not isinstance(boxes, list) or not all(map(is_box, boxes)):
        return "boxes must be four numbers each"
    if not isinstance(scores, list) or len(scores) != len(boxes) or not all(map(is_number, scores)):
        return "scores must be a number for each box"
    if class_ids is not None and not (
        isinstance(class_ids, list) and len(class_ids) == len(boxes) and all(map(is_whole, class_ids))
    ):
        return "class_ids must be a whole number for each box"
    return ""


def _mot_frames(name: str, lines: Iterable[tuple[int, str]]) -> Iterator[TrackFrame]:
    frame, boxes, scores = -1, list[list[float]](), list[float]()
    for number, line in lines:
        at, box, score = _mot_row(name, number, line)
        if at != frame:
            if frame >= 0:
                yield TrackFrame(frame, boxes, scores)
            _check_order(name, number, at, frame)
            frame, boxes, scores = at, [], []
        boxes.append(box)
        scores.append(score)
    yield TrackFrame(frame, boxes, scores)


def _mot_row(name: str, number: int, line: str) -> tuple[int, list[float], float]:
    try:
        frame, _, left, top, width, height, score = (float(cell) for cell in line.lstrip("\ufeff").split(",")[:7])
    except ValueError as error:
        raise Refused(f"{name}: line {number} is not frame,id,left,top,width,height,score") from error
    if not (frame.is_integer() and frame >= 0):
        raise Refused(f"{name}: line {number}: the frame must be a whole number from 0 up")
    if not 0 <= score <= 1:
        raise Refused(f"{name}: line {number}: the score is {score:g}, must be from 0 to 1")
    return int(frame), [left, top, left + width, top + height], score


def _check_order(name: str, number: int, frame: int, last: int) -> None:
    if frame <= last:
        raise Refused(f"{name}: line {number}: frame {frame} comes after frame {last}; frames must ascend")
