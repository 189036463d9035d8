"""A whole service in this process: its ports, its models, its readiness and its drain."""

# ruff: noqa: ARG002, ARG004 - the signatures are those of what is implemented
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest
from grpc_health.v1 import health_pb2
from numpy.typing import NDArray

from retinue.oip import open_inference_pb2 as oip
from retinue.runtime.backend import Backend, LoadGraph
from retinue.runtime.engine import Engine
from retinue.runtime.models import Models
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.serving.call import current_call
from retinue.serving.host import Host
from retinue.serving.image_model import ImageModels
from retinue.serving.link import Link
from retinue.serving.metrics import Metrics
from retinue.serving.model_service import ModelService
from retinue.serving.seat import Seat, Start
from retinue.serving.settings import EngineSettings, GrpcSettings, HttpSettings, ModelSettings, ServiceSettings
from retinue.serving.tensor_model import TensorSpec
from tests.unit.serving.hosted import SERVING, Run, run_host, settings_of
from tests.unit.serving.in_process import PATIENCE_S
from tests.unit.serving.tiny_engine import MeanPipeline, grey
from tests.unit.serving.tiny_package import graph, write_package

FULL_NAME = "test.Mean"
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class MeanFace:
    """The mean as the one output."""

    outputs = (TensorSpec("mean", "FP32", (-1, 1)),)

    def __init__(self, engine: Engine[Picture, float]) -> None:
        self.engine = engine

    def labels(self, output: str) -> None:
        return None

    def item(self, picture: Picture) -> Picture:
        return picture

    def tensors(self, answers: Sequence[float], outputs: Collection[str]) -> Mapping[str, NDArray[Any]]:
        return {"mean": np.array(answers, np.float32)[:, None]}


class MeanService:
    """A service of one method: the grey value of a picture of one pixel, its model's version behind it."""

    def __init__(self, embedded_root: Path) -> None:
        self.pipeline = MeanPipeline()
        self.build_gate = threading.Event()
        self.build_gate.set()
        self.is_building = threading.Event()
        self.fault: Exception | None = None
        self.graphs = ["model.onnx"]
        self.loaded: list[Backend] = []
        self.service: ModelService[Picture, float, ServiceSettings] = ModelService(
            task="classification",
            full_name=FULL_NAME,
            embedded_root=embedded_root,
            default_model="tiny",
            build=self.build,
            add_to_server=self.add_to_server,
            tensor_models=lambda models, settings: ImageModels(models, settings, MeanFace),
        )

    def build(self, package: Package, load: LoadGraph) -> MeanPipeline:
        self.is_building.set()
        assert self.build_gate.wait(PATIENCE_S)
        if self.fault is not None:
            raise self.fault
        self.loaded = [load(name) for name in self.graphs]
        return self.pipeline

    @staticmethod
    def add_to_server(
        server: grpc.Server, models: Models[Picture, float], metrics: Metrics, settings: ServiceSettings
    ) -> None:
        def mean(request: bytes, context: grpc.ServicerContext) -> bytes:
            engine = models.get("")
            answer = engine.submit(grey(request[0]), current_call().caller).wait()
            return f"{answer:g}@{engine.manifest.version}".encode()

        handlers: dict[str, Any] = {"Mean": grpc.unary_unary_rpc_method_handler(mean)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(FULL_NAME, handlers),))


@pytest.fixture
def mean(tmp_path: Path) -> MeanService:
    return MeanService(tmp_path / "embedded")


def ask(one: Run) -> Any:
    """Return the service's method."""
    return one.channel.unary_unary(f"/{FULL_NAME}/Mean")


@contextmanager
def run(mean: MeanService, settings: ServiceSettings) -> Iterator[Run]:
    """Run the service; whatever it waits for is let go before it is told to end."""
    with run_host(mean.service, settings) as one:
        try:
            yield one
        finally:
            mean.build_gate.set()
            mean.pipeline.gate.set()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one good model."""
    write_package(tmp_path / "models", "tiny", "1")
    return tmp_path / "models"


# --- a service that starts


def test_a_service_that_is_ready_says_so_everywhere(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        for name in ("", FULL_NAME, "inference.GRPCInferenceService", "retinue.readiness", "retinue.liveness"):
            assert one.health.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING
        assert one.inference.ServerReady(oip.ServerReadyRequest()).ready
        assert one.get("/readyz") == (200, "ready\n")
        assert ask(one)(b"\x07") == b"7@1"
        assert one.stop() == 0


def test_a_service_that_loads_lives_but_is_not_ready(mean: MeanService, root: Path) -> None:
    mean.build_gate.clear()
    with run(mean, settings_of(root)) as one:
        assert mean.is_building.wait(PATIENCE_S)
        assert one.health.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
        assert one.health.Check(health_pb2.HealthCheckRequest(service="retinue.liveness")).status == SERVING
        assert not one.inference.ServerReady(oip.ServerReadyRequest()).ready
        assert one.get("/readyz")[0] == 503
        assert one.get("/healthz")[0] == 200
        with pytest.raises(grpc.RpcError) as caught:
            ask(one)(b"\x07")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        mean.build_gate.set()
        one.wait_ready()
        assert ask(one)(b"\x07") == b"7@1"


def test_the_metrics_tell_which_models_are_ready(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        status, text = one.get("/metrics")
    assert status == 200
    assert 'retinue_model_info{backend="cpu",model="tiny",version="1"} 1.0' in text
    assert 'retinue_queue_length{model="tiny",version="1"} 0.0' in text
    assert "process_resident_memory_bytes" in text


def test_embedded_models_are_served_unless_told_otherwise(mean: MeanService, tmp_path: Path) -> None:
    write_package(tmp_path / "embedded", "tiny", "1")
    with run(mean, settings_of()) as one:
        one.wait_ready()
        assert one.stop() == 0
    with run(mean, settings_of(models=ModelSettings(is_embedded_served=False))) as other:
        assert other.exit_code.result(PATIENCE_S) == 1


def test_a_broken_package_does_not_stop_a_good_one(mean: MeanService, root: Path) -> None:
    write_package(root, "tiny", "2", model=b"no graph")
    write_package(root, "other", "1", model=b"no graph")
    (root / "junk" / "1").mkdir(parents=True)
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        assert ask(one)(b"\x09") == b"9@1"
        index = one.inference.RepositoryIndex(oip.RepositoryIndexRequest())
        states = {(model.name, model.version): model.state for model in index.models}
        assert one.stop() == 0
    assert states == {
        ("tiny", "1"): "READY",
        ("tiny", "2"): "UNAVAILABLE",
        ("other", "1"): "UNAVAILABLE",
        ("junk", "1"): "UNAVAILABLE",
    }


def test_every_graph_of_a_package_is_loaded_as_the_settings_say(mean: MeanService, tmp_path: Path) -> None:
    mean.graphs = ["model.onnx", "head.onnx"]
    write_package(tmp_path / "models", "tiny", "1", files={"head.onnx": graph()})
    with run(mean, settings_of(tmp_path / "models")) as one:
        one.wait_ready()
        assert [list(backend.outputs) for backend in mean.loaded] == [["logits", "embedding"]] * 2
        assert {backend.provider for backend in mean.loaded} == {"cpu"}
        assert one.stop() == 0


# --- a service that cannot start


def test_a_graph_that_its_package_does_not_list_is_not_loaded(mean: MeanService, root: Path) -> None:
    """A pipeline that asks for more than the manifest holds, or reaches beyond the folder."""
    mean.graphs = ["../1/model.onnx"]
    with run(mean, settings_of(root)) as one:
        assert one.exit_code.result(PATIENCE_S) == 1


@pytest.mark.parametrize("kind", ["no root", "empty root", "broken package"])
def test_a_service_without_a_model_ends_with_1(mean: MeanService, tmp_path: Path, kind: str) -> None:
    if kind == "empty root":
        (tmp_path / "models").mkdir()
    if kind == "broken package":
        write_package(tmp_path / "models", model=b"no graph")
    with run(mean, settings_of(tmp_path / "models")) as one:
        assert one.exit_code.result(PATIENCE_S) == 1


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here")
def test_a_service_without_its_provider_ends_with_1(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root, engine=EngineSettings(providers=("cuda",)))) as one:
        assert one.exit_code.result(PATIENCE_S) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_while_loading_ends_with_1(mean: MeanService, root: Path) -> None:
    """Its traceback goes to stderr; a process that cannot serve must not stay."""
    mean.fault = ZeroDivisionError()
    with run(mean, settings_of(root)) as one:
        assert one.exit_code.result(PATIENCE_S) == 1


@pytest.mark.parametrize("port", ["grpc", "http"])
def test_a_taken_port_is_an_error(mean: MeanService, root: Path, port: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        kind = {"grpc": GrpcSettings, "http": HttpSettings}[port]
        with pytest.raises(OSError, match=r"cannot be bound|in use"):
            Host(mean.service, settings_of(root, **{port: kind(address=address)}))


def test_two_services_cannot_share_a_port(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        taken = GrpcSettings(address=f"127.0.0.1:{one.host.grpc_port}")
        with pytest.raises(OSError, match="cannot be bound"):
            Host(mean.service, settings_of(root, grpc=taken))


# --- a service that ends


def test_a_replacement_that_cannot_have_the_port_ends_rather_than_serve_nobody(mean: MeanService, root: Path) -> None:
    ours, theirs = Pipe()

    def hear(what: str, _: object) -> None:
        if what == "loaded":
            supervisor.tell("serve")

    supervisor = Link(ours, hear)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ours.send(Start(1, settings_of(root), taken.getsockname()[1], is_replacement=True, changes={}))
        with ThreadPoolExecutor(1) as executor:
            host = Host(mean.service, settings_of(root), seat=Seat(theirs))
            supervisor.start(lambda: None)
            exit_code = executor.submit(host.run)
            try:
                assert exit_code.result(PATIENCE_S) == 1
            finally:
                host.ask_to_stop()


def test_a_call_in_flight_is_answered_while_the_service_drains(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        mean.pipeline.gate.clear()
        in_flight = ask(one).future(b"\x07")
        assert mean.pipeline.is_running.wait(PATIENCE_S)
        watch = one.health.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        one.host.ask_to_stop()
        assert next(watch).status == NOT_SERVING
        mean.pipeline.gate.set()
        assert in_flight.result(PATIENCE_S) == b"7@1"
        assert one.exit_code.result(PATIENCE_S) == 0
        with pytest.raises(grpc.RpcError) as caught:
            ask(one)(b"\x08", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_call_is_still_welcome_while_not_serving_is_shown(mean: MeanService, root: Path) -> None:
    """Clients and load balancers see NOT_SERVING a moment before the door closes."""
    with run(mean, settings_of(root, drain_delay_s=0.2)) as one:
        one.wait_ready()
        watch = one.health.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        one.host.ask_to_stop()
        assert next(watch).status == NOT_SERVING
        assert ask(one)(b"\x07") == b"7@1"
        assert not one.inference.ServerReady(oip.ServerReadyRequest()).ready
        assert one.get("/readyz")[0] == 503
        assert one.get("/healthz")[0] == 200


def test_watchers_do_not_hold_up_the_drain(mean: MeanService, root: Path) -> None:
    """A `Watch` has no end of its own; waiting for it would take the whole grace."""
    with run(mean, settings_of(root, grace_s=600)) as one:
        one.wait_ready()
        watches = [one.health.Watch(health_pb2.HealthCheckRequest()) for _ in range(20)]
        assert {next(watch).status for watch in watches} == {SERVING}
        assert one.stop() == 0
        for watch in watches:
            assert [response.status for response in watch] == [NOT_SERVING]


def test_a_call_that_outlasts_the_grace_is_cut_off(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root, grace_s=0)) as one:
        one.wait_ready()
        mean.pipeline.gate.clear()
        in_flight = ask(one).future(b"\x07")
        assert mean.pipeline.is_running.wait(PATIENCE_S)
        assert one.stop() == 0
        with pytest.raises(grpc.RpcError) as caught:
            in_flight.result(PATIENCE_S)
    assert caught.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


def test_a_service_that_is_told_to_end_while_it_loads_does(mean: MeanService, root: Path) -> None:
    mean.build_gate.clear()
    with run(mean, settings_of(root)) as one:
        assert mean.is_building.wait(PATIENCE_S)
        assert one.stop() == 0


def test_being_told_twice_changes_nothing(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        one.host.ask_to_stop()
        assert one.stop() == 0


def test_the_ports_are_free_afterwards(mean: MeanService, root: Path) -> None:
    with run(mean, settings_of(root)) as one:
        one.wait_ready()
        assert one.stop() == 0
        again = settings_of(
            root,
            grpc=GrpcSettings(address=f"127.0.0.1:{one.host.grpc_port}", drain_delay_s=0),
            http=HttpSettings(address=f"127.0.0.1:{one.host.http_port}"),
        )
        with run(mean, again) as other:
            other.wait_ready()


def test_a_full_service_still_tells_its_health(mean: MeanService, root: Path) -> None:
    grpc_settings = GrpcSettings(address="127.0.0.1:0", max_in_flight_calls=1, drain_delay_s=0)
    with run(mean, settings_of(root, grpc=grpc_settings)) as one:
        one.wait_ready()
        mean.pipeline.gate.clear()
        in_flight = ask(one).future(b"\x07")
        assert mean.pipeline.is_running.wait(PATIENCE_S)
        with pytest.raises(grpc.RpcError) as caught:
            ask(one)(b"\x08")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert one.health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S).status == SERVING
        assert "retinue_in_flight_calls 1.0" in one.get("/metrics")[1]
        mean.pipeline.gate.set()
        assert in_flight.result(PATIENCE_S) == b"7@1"
