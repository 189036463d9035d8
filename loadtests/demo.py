"""The demo: start the services, send them real pictures through the real client, show what they answer, stop them.

Run as `make demo` or `python -m loadtests.demo`; annotated pictures and the services' logs land in `out/`.
"""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from loadtests.service_process import REPOSITORY, ServiceFailed, ServiceProcess
from retinue.cli.main import main as retinue
from retinue.client import DetectionClient, MatchingClient, SegmentationClient

_COMMANDS = {
    "classification": ("classify", "--top-k", "3"),
    "detection": ("detect", "--score", "0.5"),
    "segmentation": ("segment", "--csv", "out/coins.csv"),
}
_SERVICES = (*_COMMANDS, "matching")
_COINS = REPOSITORY / "services" / "detection" / "samples" / "coins.png"


def main() -> int:
    """Run the demo into `out/` and return 0 where every picture was answered."""
    out = Path("out")
    out.mkdir(exist_ok=True)
    try:
        with ExitStack() as stack:
            targets = {service: _started(service, out, stack) for service in _SERVICES}
            codes = [_shown(service, targets[service], out) for service in _COMMANDS]
            _match_coins(targets)
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"annotated pictures: {out}/*.png; what the services logged: {out}/*.log")
    return max(codes)


def _started(service: str, out: Path, stack: ExitStack) -> str:
    begin_s = time.monotonic()
    target = stack.enter_context(ServiceProcess(service, out / f"{service}.log")).target
    print(f"{service} is ready on {target} after {time.monotonic() - begin_s:.1f} s", flush=True)
    return target


def _shown(service: str, target: str, out: Path) -> int:
    """Ask one service about its samples and return the exit code of the command."""
    samples = REPOSITORY / "services" / service / "samples"
    pictures = sorted(os.path.relpath(path) for path in samples.iterdir() if path.suffix in (".jpg", ".png"))
    name, *options = _COMMANDS[service]
    print(f"\n$ retinue {name} {os.path.relpath(samples)}/* {' '.join(options)}", flush=True)
    return retinue([name, *pictures, "--server", target, *options, "--out", str(out)])


def _match_coins(targets: dict[str, str]) -> None:
    """Pair the boxes that detection finds with those of what segmentation finds, and say how many agree."""
    with (
        DetectionClient(targets["detection"]) as detection,
        SegmentationClient(targets["segmentation"]) as segmentation,
        MatchingClient(targets["matching"]) as matching,
    ):
        detected = detection.detect(_COINS, score_threshold=0.5)
        segmented = segmentation.segment(_COINS, min_area_px=400, instance_masks="none")
        boxes = [one.box for one in segmented.instances]
        found = matching.match_boxes(detected.boxes, boxes, threshold=0.5)
    print(
        f"\nmatching: of {len(detected.boxes)} coins that detection finds, {len(found.pairs.a)} are paired with one of "
        f"{len(boxes)} instances of segmentation (IoU of at least 0.5)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
