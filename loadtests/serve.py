"""Keep the services running on the loopback, on their usual ports, and say what to call. Ctrl-C stops them.

Run as `make serve` or `python -m loadtests.serve`.
"""

import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from loadtests.service_process import ServiceFailed, ServiceProcess

ADDRESSES = {
    "classification": ("127.0.0.1:50051", "127.0.0.1:8080"),
    "detection": ("127.0.0.1:50052", "127.0.0.1:8081"),
    "segmentation": ("127.0.0.1:50053", "127.0.0.1:8082"),
    "matching": ("127.0.0.1:50054", "127.0.0.1:8083"),
}
_COMMANDS = {
    "classification": "classify services/classification/samples/*.png",
    "detection": "detect services/detection/samples/*.png",
    "segmentation": "segment services/segmentation/samples/*.png",
    "matching": "match points A.csv B.csv --radius 12",
}
_CALLS = """\
{name} is ready on {grpc}
  retinue:  .venv/bin/retinue {command} --server {grpc}
  grpcurl:  grpcurl -plaintext {grpc} list
  metrics:  curl http://{http}/metrics
  health:   curl http://{http}/readyz
  log:      {log}"""


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    out = Path("out")
    out.mkdir(exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        for name, (grpc_address, http_address) in ADDRESSES.items():
            log = out / f"{name}.log"
            settings = {"RETINUE_GRPC__ADDRESS": grpc_address, "RETINUE_HTTP__ADDRESS": http_address}
            try:
                stack.enter_context(ServiceProcess(name, log, settings))
            except ServiceFailed as error:
                print(error, file=sys.stderr)
                return 1
            print(
                _CALLS.format(name=name, command=_COMMANDS[name], grpc=grpc_address, http=http_address, log=log),
                flush=True,
            )
        print("Ctrl-C stops.", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
