"""`retinue match boxes`: two files of boxes, and who belongs to whom."""

import argparse

from retinue.cli.box_files import read_boxes
from retinue.cli.connection import connected
from retinue.cli.pairs_report import PairsReport, report
from retinue.cli.refusal import Refused
from retinue.client.matching import MatchingClient


def run(arguments: argparse.Namespace) -> int:
    """Pair the boxes and return 0.

    Raises:
        Refused: a file cannot be used, or the service failed.
    """
    a, b = read_boxes(arguments.a), read_boxes(arguments.b)
    if arguments.class_aware:
        for path, filed in ((arguments.a, a), (arguments.b, b)):
            if filed.class_ids is None and filed.boxes:
                raise Refused(f"{path}: holds no classes, which --class-aware needs")
    with connected(MatchingClient, arguments) as client:
        found = client.match_boxes(
            a.boxes,
            b.boxes,
            arguments.threshold,
            metric=arguments.metric,
            a_class_ids=(a.class_ids or []) if arguments.class_aware else None,
            b_class_ids=(b.class_ids or []) if arguments.class_aware else None,
        )
    told = PairsReport(found.pairs, found.scores, found.similarities, arguments.metric or "iou", found.solve_time_s)
    report(told, is_json=arguments.json, csv_path=arguments.csv)
    return 0
