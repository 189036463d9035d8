"""`retinue evaluate`: COCO's figures of two files, as its twelve lines, as JSON, and drawn."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from retinue.cli.coco_files import read_coco
from retinue.cli.coco_table import coco_lines
from retinue.cli.connection import connected
from retinue.cli.refusal import Refused
from retinue.client.curve_drawing import draw_curves
from retinue.client.evaluation_answer import Evaluation
from retinue.client.matching import MatchingClient


def run(arguments: argparse.Namespace) -> int:
    """Score the detections and return 0.

    Raises:
        Refused: a file cannot be used, or the service failed.
    """
    files = read_coco(arguments.gt, arguments.dt)
    with connected(MatchingClient, arguments) as client:
        found = client.evaluate(
            files.images(),
            labels=files.labels,
            return_curves=arguments.out is not None,
            timeout_s=arguments.timeout_s,
        )
    figures = json.dumps(_figures(found))
    if arguments.out is not None:
        _write(arguments.out, found, figures)
    sys.stdout.write(figures + "\n" if arguments.json else "".join(f"{line}\n" for line in coco_lines(found.summary)))
    return 0


def _write(folder: Path, found: Evaluation, figures: str) -> None:
    drawn = np.ascontiguousarray(draw_curves(found)[:, :, ::-1])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "precision-recall.png").write_bytes(cv2.imencode(".png", drawn)[1].tobytes())
        (folder / "evaluation.json").write_text(figures + "\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"--out {folder}: {error.strerror}") from error


def _figures(found: Evaluation) -> dict[str, Any]:
    return {
        "summary": asdict(found.summary),
        "classes": [
            {
                "class_id": one.label.class_id,
                "name": one.label.name,
                "summary": asdict(one.summary),
                "truth_count": one.truth_count,
                "detection_count": one.detection_count,
                "sensitivity": one.sensitivity,
                "specificity": one.specificity,
            }
            for one in found.classes
        ],
        "confusion": {
            "class_ids": [label.class_id for label in found.confusion_labels],
            "counts": found.confusion.tolist(),
        },
        "image_count": found.image_count,
        "solve_time_s": found.solve_time_s,
    }
