"""A whole service in this process, for tests that ask it from outside."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from retinue.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from retinue.serving.host import Host, Service
from retinue.serving.settings import (
    EngineSettings,
    GrpcSettings,
    HostSettings,
    HttpSettings,
    ModelSettings,
    ServiceSettings,
)
from tests.unit.serving.in_process import PATIENCE_S

SERVING = health_pb2.HealthCheckResponse.SERVING


class Run:
    """A host whose `run` is under way in a thread of its own."""

    def __init__(self, host: Host[Any], executor: ThreadPoolExecutor, channel: grpc.Channel) -> None:
        self.host = host
        self.exit_code = executor.submit(host.run)
        self.channel = channel
        self.health = health_pb2_grpc.HealthStub(channel)
        self.inference = GRPCInferenceServiceStub(channel)

    def wait_ready(self) -> None:
        for response in self.health.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S, wait_for_ready=True):
            if response.status == SERVING:
                return

    def stop(self) -> int:
        self.host.ask_to_stop()
        return self.exit_code.result(PATIENCE_S)

    def get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.host.http_port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


def settings_of(
    *roots: Path, drain_delay_s: float = 0.0, grace_s: float = PATIENCE_S, **groups: Any
) -> ServiceSettings:
    return ServiceSettings(
        **{
            "grpc": GrpcSettings(address="127.0.0.1:0", drain_delay_s=drain_delay_s, grace_s=grace_s),
            "http": HttpSettings(address="127.0.0.1:0"),
            "models": ModelSettings(roots=roots),
            "engine": EngineSettings(workers=1),
        }
        | groups
    )


@contextmanager
def run_host(service: Service[Any], settings: HostSettings) -> Iterator[Run]:
    """Run a service until the block is left."""
    host = Host(service, settings)
    with (
        ThreadPoolExecutor(1) as executor,
        grpc.insecure_channel(f"127.0.0.1:{host.grpc_port}", [("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        one = Run(host, executor, channel)
        try:
            yield one
        finally:
            one.stop()
