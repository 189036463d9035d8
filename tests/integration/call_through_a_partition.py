"""Calls two replicas with the default client while the link to one is cut; run inside a network namespace.

Arguments: the namespace of the switch, the link to cut, how long in seconds, and the addresses. Prints one JSON object.
"""

import json
import subprocess
import sys
import threading

import numpy as np

from retinue.client import MatchingClient
from tests.integration.steady_load import SteadyLoad

POINTS = np.random.default_rng(0).random((10, 2)) * 100


def main(switch: str, link: str, cut_s: str, *targets: str) -> None:
    """Call before, during and after the cut."""

    def set_link(state: str) -> None:
        subprocess.run(["ip", "-n", switch, "link", "set", link, state], check=True)  # noqa: S607 - found on the PATH

    with MatchingClient(targets) as client, SteadyLoad(lambda: client.match_points(POINTS, POINTS, 5.0)) as load:
        load.wait_for(200)
        set_link("down")
        threading.Event().wait(float(cut_s))
        load.wait_for(200)
        set_link("up")
        load.wait_for(200)
    seen = {"lost": load.lost, "longest_s": load.longest_s}
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
