"""`retinue match points`: two files of points, and who belongs to whom."""

import argparse

from retinue.cli.connection import connected
from retinue.cli.pairs_report import PairsReport, report
from retinue.cli.point_files import read_points
from retinue.client.matching import MatchingClient


def run(arguments: argparse.Namespace) -> int:
    """Pair the points and return 0.

    Raises:
        Refused: a file cannot be used, or the service failed.
    """
    a, b = read_points(arguments.a), read_points(arguments.b)
    with connected(MatchingClient, arguments) as client:
        found = client.match_points(a, b, arguments.radius, mode=arguments.mode)
    told = PairsReport(found.pairs, found.scores, found.distances, "distance", found.solve_time_s)
    report(told, is_json=arguments.json, csv_path=arguments.csv)
    return 0
