"""`retinue classify`: pictures through one stream, answers as a table, as JSON lines, or drawn."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retinue.cli.answer_lines import AnswerLines, json_number
from retinue.cli.classification_table import ClassificationTable
from retinue.cli.picture_run import PictureRun, Report
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification
from retinue.client.classification_drawing import draw_classification
from retinue.client.errors import ItemError


def run(arguments: argparse.Namespace) -> int:
    """Classify the pictures and return 0, or 1 if any of them has no answer or no drawing.

    Raises:
        Refused: an argument cannot be used; or the service failed, and the answers until then are printed.
    """

    def ask(client: ClassificationClient, files: list[Path]) -> Iterator[Classification | ItemError]:
        return client.classify_stream(
            files, model=arguments.model, top_k=arguments.top_k, score_threshold=arguments.score_threshold
        )

    report: Report[Classification] = (
        AnswerLines(_findings) if arguments.json else ClassificationTable(arguments.top_k or 1)
    )
    asked: PictureRun[ClassificationClient, Classification] = PictureRun(
        client=ClassificationClient,
        ask=ask,
        report=report,
        draw=draw_classification,
        suffix="labels",
    )
    return asked.run(arguments)


def _findings(answer: Classification) -> dict[str, Any]:
    return {
        "labels": [
            {"id": one.label.class_id, "name": one.label.name, "score": json_number(one.score)} for one in answer.labels
        ],
        "is_unknown": answer.is_unknown,
        "unknown_score": json_number(answer.unknown_score),
    }
