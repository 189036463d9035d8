"""The demo: start the services, send them real pictures through the real client, show what they answer, stop them.

Run as `make demo` or `python -m loadtests.demo`; annotated pictures and the services' logs land in `out/`.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from loadtests.service_process import REPOSITORY, ServiceFailed, ServiceProcess
from retinue.cli.main import main as retinue

_ASKED = {
    "classification": ("classify", "--top-k", "3"),
    "detection": ("detect", "--score", "0.5"),
}


def main() -> int:
    """Run the demo into `out/` and return 0 where every picture was answered."""
    out = Path("out")
    out.mkdir(exist_ok=True)
    try:
        codes = [_shown(service, command, out) for service, command in _ASKED.items()]
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"annotated pictures: {out}/*.png; what the services logged: {out}/*.log")
    return max(codes)


def _shown(service: str, command: Sequence[str], out: Path) -> int:
    """Start one service, ask it about its samples and return the exit code of the command."""
    begin_s = time.monotonic()
    samples = REPOSITORY / "services" / service / "samples"
    pictures = sorted(os.path.relpath(path) for path in samples.iterdir() if path.suffix in (".jpg", ".png"))
    with ServiceProcess(service, out / f"{service}.log") as process:
        print(f"{service} is ready on {process.target} after {time.monotonic() - begin_s:.1f} s", flush=True)
        name, *options = command
        return retinue([name, *pictures, "--server", process.target, *options, "--out", str(out)])


if __name__ == "__main__":
    sys.exit(main())
