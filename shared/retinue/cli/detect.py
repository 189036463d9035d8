"""`retinue detect`: pictures through one stream, boxes as tables, as JSON lines, or drawn."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retinue.cli.answer_lines import AnswerLines, json_number
from retinue.cli.detection_table import DetectionTable
from retinue.cli.picture_run import PictureRun, Report
from retinue.cli.refusal import Refused
from retinue.client.detection import DetectionClient
from retinue.client.detection_answer import DetectionAnswer
from retinue.client.detection_drawing import draw_detections
from retinue.client.errors import ItemError
from retinue.client.tiling import Tiling


def run(arguments: argparse.Namespace) -> int:
    """Detect what is on the pictures and return 0, or 1 if any of them has no answer or no drawing.

    Raises:
        Refused: an argument cannot be used; or the service failed, and the answers until then are printed.
    """
    tiling = _tiling(arguments)

    def ask(client: DetectionClient, files: list[Path]) -> Iterator[DetectionAnswer | ItemError]:
        return client.detect_stream(
            files,
            model=arguments.model,
            score_threshold=arguments.score_threshold,
            class_names=arguments.class_names,
            nms=arguments.nms,
            iou_threshold=arguments.iou_threshold,
            max_detections=arguments.max_detections,
            tiling=tiling,
        )

    report: Report[DetectionAnswer] = AnswerLines(_findings) if arguments.json else DetectionTable()
    asked: PictureRun[DetectionClient, DetectionAnswer] = PictureRun(
        client=DetectionClient,
        ask=ask,
        report=report,
        draw=draw_detections,
        suffix="boxes",
    )
    return asked.run(arguments)


def _tiling(arguments: argparse.Namespace) -> Tiling | None:
    if arguments.tile is None:
        if arguments.overlap is not None:
            raise Refused("--overlap: there are no tiles without --tile")
        return None
    try:
        return Tiling(arguments.tile, arguments.overlap)
    except ValueError as error:
        raise Refused(
            str(error).replace("tiling.tile_size_px", "--tile").replace("tiling.overlap_px", "--overlap")
        ) from error


def _findings(answer: DetectionAnswer) -> dict[str, Any]:
    return {
        "detections": [
            {
                "label_id": one.label_id,
                "label": one.label,
                "score": json_number(one.score),
                "box": [json_number(edge) for edge in one.box],
            }
            for one in answer.detections
        ]
    }
