"""What the commands that ask a matching service understand."""

import argparse
from pathlib import Path

from retinue.cli.number_arguments import count, distance, likeness, pixels, share
from retinue.cli.parser import Parser, add_server

MATCH_MODES = ("max", "hovernet_compat")
BOX_METRICS = ("iou", "giou", "diou", "ios")


def add_match(parser: Parser) -> None:
    """Add `retinue match points` and `retinue match boxes`."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    points = commands.add_parser("points", help="pair points that are near each other")
    points.set_defaults(command="retinue.cli.match_points")
    points.add_argument("a", type=Path, metavar="A.csv", help="the reference: a point a line, columns x and y")
    points.add_argument("b", type=Path, metavar="B.csv", help="what is compared with it")
    points.add_argument(
        "--radius", type=distance, required=True, metavar="R", help="points at this distance or nearer can be paired"
    )
    points.add_argument(
        "--mode", choices=MATCH_MODES, help="max (default): most pairs first; hovernet_compat: as published figures"
    )
    boxes = commands.add_parser("boxes", help="pair boxes that overlap")
    boxes.set_defaults(command="retinue.cli.match_boxes")
    boxes.add_argument(
        "a", type=Path, metavar="A.json", help="the reference: corner boxes, `retinue detect --json`, or COCO's"
    )
    boxes.add_argument("b", type=Path, metavar="B.json", help="what is compared with it")
    boxes.add_argument("--threshold", type=likeness, metavar="X", help="least likeness of a pair; default: 0.5")
    boxes.add_argument("--metric", choices=BOX_METRICS, help="how likeness is measured; default: iou")
    boxes.add_argument("--class-aware", action="store_true", help="pair boxes of the same class only")
    for one in (points, boxes):
        told = one.add_mutually_exclusive_group()
        told.add_argument("--json", action="store_true", help="print one JSON object")
        told.add_argument("--csv", type=Path, metavar="OUT", help="write all pairs, and who is alone, as CSV")
        add_server(one, "the answer")


def add_evaluate(parser: Parser) -> None:
    """Add `retinue evaluate`."""
    parser.set_defaults(command="retinue.cli.evaluate")
    parser.add_argument("--gt", type=Path, required=True, metavar="COCO.json", help="the truth, as COCO annotations")
    parser.add_argument("--dt", type=Path, required=True, metavar="RESULTS.json", help="detections, as COCO results")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the curves as PNG, and all figures as JSON")
    parser.add_argument("--json", action="store_true", help="print all figures as one JSON object instead of the table")
    add_server(parser, "the scores", timeout_s=3600.0)


def add_track(parser: argparse.ArgumentParser) -> None:
    """Add `retinue track`."""
    parser.set_defaults(command="retinue.cli.track")
    parser.add_argument(
        "file",
        metavar="FILE",
        help="detections: MOTChallenge's det.txt, or a JSON object per frame and line, also of `retinue detect --json`;"
        " - for stdin",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write MOTChallenge lines there; default: stdout")
    thresholds = (
        ("--high-score", "high_score_threshold", "detections from this score on are paired first"),
        ("--low-score", "low_score_threshold", "those from this score on second"),
        ("--new-score", "new_track_score_threshold", "those from this score on start tracks"),
        ("--high-iou", "high_iou_threshold", "least overlap with a detection of high score"),
        ("--low-iou", "low_iou_threshold", "least overlap with a detection of low score"),
    )
    for option, name, meaning in thresholds:
        parser.add_argument(option, dest=name, type=share, metavar="X", help=f"{meaning}, 0 to 1")
    parser.add_argument(
        "--max-lost", dest="max_lost_frames", type=pixels, metavar="N", help="frames that a track may go unseen"
    )
    parser.add_argument(
        "--min-seen", dest="min_seen_frames", type=count, metavar="N", help="frames in a row before it is reported"
    )
    parser.add_argument("--max-tracks", type=count, metavar="N", help="most tracks alive at once")
    parser.add_argument("--class-aware", action="store_true", help="a track keeps to its first class")
    add_server(parser, "the next answer")
