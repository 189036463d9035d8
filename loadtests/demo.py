"""The demo: start the services, send them real pictures through the real client, show what they answer, stop them.

Run as `make demo` or `python -m loadtests.demo`; annotated pictures and the services' logs land in `out/`.
"""

import os
import sys
import time
from pathlib import Path

from loadtests.service_process import REPOSITORY, ServiceFailed, ServiceProcess
from retinue.cli.main import main as retinue

SAMPLES = REPOSITORY / "services" / "classification" / "samples"


def main() -> int:
    """Run the demo into `out/` and return 0 where every picture was answered."""
    out = Path("out")
    out.mkdir(exist_ok=True)
    begin_s = time.monotonic()
    try:
        with ServiceProcess("classification", out / "classification.log") as service:
            print(f"classification is ready on {service.target} after {time.monotonic() - begin_s:.1f} s", flush=True)
            pictures = sorted(os.path.relpath(path) for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))
            code = retinue(["classify", *pictures, "--server", service.target, "--top-k", "3", "--out", str(out)])
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"annotated pictures: {out}/*.png; what the service logged: {out}/classification.log")
    return code


if __name__ == "__main__":
    sys.exit(main())
