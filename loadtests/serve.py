"""Keep the services running on the loopback, on their usual ports, and say what to call. Ctrl-C stops them.

Run as `make serve` or `python -m loadtests.serve`; with `make serve REPLICAS=2` there are two processes of each.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from loadtests.service_process import ServiceFailed, ServiceProcess

SERVICES = ("classification", "detection", "segmentation", "matching")
MAX_REPLICAS = 9  # the ports of a tenth would be those on which the proxies listen
_COMMANDS = {
    "classification": "classify services/classification/samples/*.png",
    "detection": "detect services/detection/samples/*.png",
    "segmentation": "segment services/segmentation/samples/*.png",
    "matching": "match points A.csv B.csv --radius 12",
}
_CALLS = """\
{name} is ready on {targets}
  retinue:  .venv/bin/retinue {command} --server {targets}"""
_CALLS_OF_ONE = """\
  grpcurl:  grpcurl -plaintext {grpc} list
  metrics:  curl http://{http}/metrics
  health:   curl http://{http}/readyz
  log:      {log}"""
_PROXIES = """\
Each service on one port, {fronts}, by either of
  haproxy -f deploy/proxies/haproxy.cfg
  nginx -p out -c "$PWD/deploy/proxies/nginx.conf\""""


def addresses(service: str, replica: int = 0) -> tuple[str, str]:
    """Return where one replica of a service listens: its gRPC and its HTTP address.

    >>> addresses("detection"), addresses("detection", 1)
    (('127.0.0.1:50052', '127.0.0.1:8081'), ('127.0.0.1:50062', '127.0.0.1:8091'))
    """
    place = SERVICES.index(service) + 10 * replica
    return f"127.0.0.1:{50051 + place}", f"127.0.0.1:{8080 + place}"


def front(service: str) -> str:
    """Return where the shipped proxies listen for calls of a service.

    >>> front("detection")
    '127.0.0.1:50152'
    """
    return f"127.0.0.1:{50151 + SERVICES.index(service)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    replica_count = _parsed(arguments).replicas
    out = Path("out")
    out.mkdir(exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        for service in SERVICES:
            try:
                calls = [_started(service, replica, out, stack) for replica in range(replica_count)]
            except ServiceFailed as error:
                print(error, file=sys.stderr)
                return 1
            targets = ",".join(addresses(service, replica)[0] for replica in range(replica_count))
            print(_CALLS.format(name=service, targets=targets, command=_COMMANDS[service]), *calls, sep="\n")
        if replica_count == 2:
            print(_PROXIES.format(fronts=", ".join(map(front, SERVICES))))
        print("Ctrl-C stops.", flush=True)
        stop.wait()
    return 0


def _started(service: str, replica: int, out: Path, stack: ExitStack) -> str:
    """Start one replica, which the stack will stop, and return what it can be asked."""
    grpc_address, http_address = addresses(service, replica)
    log = out / (f"{service}-{replica}.log" if replica else f"{service}.log")
    settings = {"RETINUE_GRPC__ADDRESS": grpc_address, "RETINUE_HTTP__ADDRESS": http_address}
    stack.enter_context(ServiceProcess(service, log, settings))
    return _CALLS_OF_ONE.format(grpc=grpc_address, http=http_address, log=log)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.serve", description=__doc__)
    parser.add_argument(
        "--replicas",
        type=int,
        choices=range(1, MAX_REPLICAS + 1),
        default=1,
        metavar="N",
        help=f"processes of each service, 1 to {MAX_REPLICAS} (%(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
