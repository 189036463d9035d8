"""The least that a Python gRPC server can do with a payload: give one back, undecoded.

Run as `python -m loadtests.benchmarks.echo_server METHOD FILE`; every call of the method gets the content of FILE. It
prints its port, and serves until its input ends.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from loadtests.service_process import cpu_s_of

Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"  # generic in the stubs only

_THREADS = 256  # as many as a service of ours has


class EchoProcess:
    """The server in a process of its own: ready on entry, ended on exit.

    Args:
        method: ``/package.Service/Method``.
        answer: file with what it answers.
    """

    def __init__(self, method: str, answer: Path) -> None:
        self._command = [sys.executable, "-m", "loadtests.benchmarks.echo_server", method, str(answer)]
        self.target = ""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise RuntimeError("the server's output is not a pipe")
        self.target = f"127.0.0.1:{self._process.stdout.readline().strip()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.communicate()

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used so far."""
        return cpu_s_of(self._process.pid)


def main() -> None:
    """Serve as the command line says."""
    method, file = sys.argv[1:]
    answer = Path(file).read_bytes()
    service, _, name = method.lstrip("/").partition("/")
    handler: Handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
