"""The HTTP side port: /metrics for Prometheus, /healthz and /readyz for whoever cannot speak gRPC."""

import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, NamedTuple

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_TEXT = "text/plain; charset=utf-8"
_STOP_WITHIN_S = 0.1  # how often the thread looks whether it is to stop
_log = structlog.get_logger(__name__)


class Page(NamedTuple):
    """One answer of the side port."""

    status: HTTPStatus
    content_type: str
    body: bytes


class SidePort:
    """Serves the three paths from a thread of its own, from `start` until `stop`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        registry: the metrics.
        is_ready: what /readyz asks.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, is_ready: Callable[[], bool]) -> None:
        pages: dict[str, Callable[[], Page]] = {
            "/metrics": lambda: Page(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: Page(HTTPStatus.OK, _TEXT, b"ok\n"),
            "/readyz": lambda: (
                Page(HTTPStatus.OK, _TEXT, b"ready\n")
                if is_ready()
                else Page(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"not ready\n")
            ),
        }
        self._server = _Server(host, port, partial(_Handler, pages))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_WITHIN_S,), name="side-port", daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """An HTTP server for IPv4 and IPv6 that asks no name server for its own name, as the stock one does."""

    def __init__(self, host: str, port: int, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        host = host.removeprefix("[").removesuffix("]")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's signature
        """Log what went wrong with one request, at debug where the other side hung up."""
        error = sys.exception()
        log = _log.debug if isinstance(error, OSError) else _log.error
        log("side_port_request_failed", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD on a fixed set of paths."""

    timeout = 10  # seconds that a silent client may hold its thread
    server_version = "retinue"
    sys_version = ""

    def __init__(self, pages: Mapping[str, Callable[[], Page]], *connection: Any) -> None:
        self._pages = pages
        super().__init__(*connection)  # answers at once

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: scrapes and probes come every few seconds."""

    def _answer(self, *, has_body: bool) -> None:
        make = self._pages.get(self.path.partition("?")[0])
        status, content_type, body = make() if make else Page(HTTPStatus.NOT_FOUND, _TEXT, b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body:
            self.wfile.write(body)
