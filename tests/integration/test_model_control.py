"""Models come, change and go while a real service answers real clients."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.request import urlopen

import grpc
import numpy as np
import onnx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from onnx import TensorProto, helper, numpy_helper

from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.classification.v1 import classification_pb2, classification_pb2_grpc
from retinue.common.v1 import image_pb2
from retinue.oip import open_inference_pb2 as oip
from retinue.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.integration.callers import Callers
from tests.unit.serving.tiny_package import SIDE_PX, write_package

Code = grpc.StatusCode
PATIENCE_S = 60
POLLING = {"RETINUE_MODELS__POLL_INTERVAL_S": "0.1"}
CALLS = {"RETINUE_MODELS__IS_CONTROL_ALLOWED": "true"}
BROKEN = b"no graph"
JUNK = b"\xff\xd8\xff\xe0 and then no picture"
TINY_PICTURE = image_pb2.Image(
    raw=image_pb2.RawImage(height=SIDE_PX, width=SIDE_PX, pixels=bytes(SIDE_PX * SIDE_PX * 3))
)


class Asked:
    """A service and what tests ask it."""

    def __init__(self, service: ServiceProcess, channel: grpc.Channel) -> None:
        self.service = service
        self.inference = GRPCInferenceServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.typed_stub = classification_pb2_grpc.ClassificationServiceStub(channel)

    def typed(self, model: str = "", version: str = "") -> str:
        """Return what answers a typed call."""
        request = classification_pb2.ClassifyRequest(image=TINY_PICTURE)
        request.model.name, request.model.version = model, version
        answer = self.typed_stub.Classify(request, timeout=PATIENCE_S)
        return f"{answer.model.name}@{answer.model.version}"

    def infer(self, model: str = "tiny", version: str = "") -> str:
        """Return what answers the Open Inference Protocol."""
        answer = self.inference.ModelInfer(tensor_request(model, version), timeout=PATIENCE_S)
        return f"{answer.model_name}@{answer.model_version}"

    def load(self, model: str, token: str = "") -> None:
        self.inference.RepositoryModelLoad(
            oip.RepositoryModelLoadRequest(model_name=model), timeout=PATIENCE_S, metadata=_bearer(token)
        )

    def unload(self, model: str, token: str = "") -> None:
        self.inference.RepositoryModelUnload(
            oip.RepositoryModelUnloadRequest(model_name=model), timeout=PATIENCE_S, metadata=_bearer(token)
        )

    def is_ready(self, model: str = "tiny", version: str = "") -> bool:
        request = oip.ModelReadyRequest(name=model, version=version)
        return bool(self.inference.ModelReady(request, timeout=PATIENCE_S).ready)

    def index(self) -> dict[str, tuple[str, str]]:
        found = self.inference.RepositoryIndex(oip.RepositoryIndexRequest(), timeout=PATIENCE_S).models
        return {f"{entry.name}@{entry.version}": (entry.state, entry.reason) for entry in found}

    def serves(self) -> bool:
        status = self.health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S).status
        return bool(status == health_pb2.HealthCheckResponse.SERVING)

    def metrics(self) -> str:
        with urlopen(f"http://{self.service.http}/metrics", timeout=PATIENCE_S) as page:
            text: str = page.read().decode()
        return text

    def hang_up(self) -> None:
        os.kill(self.service.pid, signal.SIGHUP)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.service.events() if one["event"] == event]

    def count(self, event: str) -> int:
        return len(self.events(event))


def tensor_request(model: str, version: str = "") -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name=model, model_version=version)
    request.inputs.add(name="image", datatype="UINT8", shape=[1, SIDE_PX, SIDE_PX, 3])
    request.raw_input_contents.append(bytes(SIDE_PX * SIDE_PX * 3))
    return request


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


@contextmanager
def served(tmp_path: Path, settings: dict[str, str]) -> Iterator[Asked]:
    """Run a service over the repository ``tmp_path/models`` alone."""
    base = {
        "RETINUE_MODELS__ROOTS": json.dumps([str(tmp_path / "models")]),
        "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false",
        "RETINUE_ENGINE__WORKERS": "2",
    }
    with (
        ServiceProcess("classification", tmp_path / "service.log", base | settings) as service,
        grpc.insecure_channel(service.target, [("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        yield Asked(service, channel)


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def copy_in(package: Path, root: Path) -> None:
    """Put a package into a repository at once, as one should: nobody sees the half of it."""
    target = root / package.parent.name / package.name
    target.parent.mkdir(parents=True, exist_ok=True)
    package.rename(target)


def code_of(call: Callable[[], object]) -> Code:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    code: Code = caught.value.code()
    return code


# --- repositories that are looked at


def test_versions_are_swapped_under_load_and_a_broken_one_replaces_nothing(tmp_path: Path) -> None:
    """No call fails, whatever appears in the repository, is mended or goes."""
    root, stage = tmp_path / "models", tmp_path / "stage"
    write_package(root, version="1")
    with served(tmp_path, POLLING | {"RETINUE_MODELS__MAX_VERSIONS": "1"}) as asked:
        with Callers(asked.typed, asked.typed, asked.infer, asked.infer) as callers:
            callers.wait_for("tiny@1")
            write_package(stage, version="2")
            copy_in(stage / "tiny" / "2", root)
            callers.wait_for("tiny@2")
            wait_until(lambda: asked.count("model_unloaded") == 1)

            write_package(root, version="10", model=BROKEN)
            wait_until(lambda: "tiny@10" in asked.index() and asked.count("model_broken") == 1)
            callers.wait_for("tiny@2")
            state, reason = asked.index()["tiny@10"]
            assert state == "UNAVAILABLE"
            assert "cannot be loaded" in reason
            assert not asked.is_ready(version="10")
            assert asked.is_ready()
            assert asked.serves()
            page = asked.metrics()
            assert 'retinue_model_state{model="tiny",state="broken",version="10"} 1.0' in page
            assert 'retinue_model_state{model="tiny",state="ready",version="2"} 1.0' in page
            assert 'retinue_model_loads_total{model="tiny",outcome="failed",version="10"} 1.0' in page

            shutil.rmtree(root / "tiny" / "10")
            write_package(stage, version="10")
            copy_in(stage / "tiny" / "10", root)
            callers.wait_for("tiny@10")
            wait_until(lambda: asked.count("model_unloaded") == 2)
        assert not callers.failures
        assert set(callers.answers) == {"tiny@1", "tiny@2", "tiny@10"}
        assert asked.index() == {"tiny@10": ("READY", "")} | {
            f"tiny@{version}": ("UNAVAILABLE", asked.index()[f"tiny@{version}"][1]) for version in "12"
        }
        assert "retinue_draining_engines 0.0" in asked.metrics()


def test_nothing_is_looked_at_unless_that_is_wanted(tmp_path: Path) -> None:
    write_package(tmp_path / "models", version="1")
    with served(tmp_path, {}) as asked:
        write_package(tmp_path / "models", version="2")
        assert asked.index() == {"tiny@1": ("READY", "")}
        asked.hang_up()
        wait_until(lambda: asked.typed() == "tiny@2")


def test_a_service_without_models_waits_for_one_where_one_may_come(tmp_path: Path) -> None:
    log = tmp_path / "service.log"

    def bring() -> None:
        wait_until(lambda: log.exists() and "no_model_loaded" in log.read_text())
        write_package(tmp_path / "stage")
        copy_in(tmp_path / "stage" / "tiny" / "1", tmp_path / "models")

    bringing = threading.Thread(target=bring)
    bringing.start()
    with served(tmp_path, POLLING) as asked:
        assert asked.typed() == "tiny@1"
        assert asked.serves()
    bringing.join()


# --- signals


def test_a_package_that_changed_in_its_place_is_taken_by_signal_and_one_that_broke_is_not(tmp_path: Path) -> None:
    root, stage = tmp_path / "models", tmp_path / "stage"
    write_package(root)
    with served(tmp_path, {}) as asked:
        with Callers(asked.typed, asked.infer) as callers:
            callers.wait_for("tiny@1")
            asked.hang_up()
            wait_until(lambda: asked.count("refresh_asked") == 1)
            assert asked.count("model_ready") == 1  # the same package is not loaded again

            write_package(stage, model=BROKEN)
            shutil.rmtree(root / "tiny")
            copy_in(stage / "tiny" / "1", root)
            asked.hang_up()
            wait_until(lambda: asked.count("model_broken") == 1)
            assert asked.is_ready(version="1")
            state, reason = asked.index()["tiny@1"]
            assert (state, "cannot be loaded" in reason) == ("READY", True)
            assert 'retinue_model_loads_total{model="tiny",outcome="failed",version="1"} 1.0' in asked.metrics()

            (root / "tiny" / "1" / "model.yaml").write_text("nonsense")
            asked.hang_up()
            wait_until(lambda: asked.count("package_broken") == 1)
            callers.wait_for("tiny@1")

            shutil.rmtree(root / "tiny")
            write_package(root, labels=("cyan", "magenta", "yellow"))
            asked.hang_up()
            wait_until(lambda: asked.count("model_unloaded") == 1)
            callers.wait_for("tiny@1")
        assert not callers.failures
        assert asked.index() == {"tiny@1": ("READY", "")}


def test_what_is_removed_is_found_no_more_and_an_unmounted_repository_removes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "models"
    write_package(root, "tiny")
    write_package(root, "other")
    with served(tmp_path, {}) as asked:
        root.rename(tmp_path / "elsewhere")
        asked.hang_up()
        wait_until(lambda: asked.count("refresh_asked") == 1)
        assert asked.infer("tiny") == "tiny@1"
        (tmp_path / "elsewhere").rename(root)

        shutil.rmtree(root / "tiny")
        asked.hang_up()
        wait_until(lambda: asked.count("model_unloaded") == 1)
        assert code_of(lambda: asked.infer("tiny")) is Code.NOT_FOUND
        assert code_of(asked.is_ready) is Code.NOT_FOUND
        assert asked.typed() == "other@1"  # the only one that is left

        shutil.rmtree(root / "other")
        asked.hang_up()
        wait_until(lambda: not asked.serves())  # there is nothing that it could answer with


# --- calls


def test_an_unloaded_model_is_unavailable_until_it_is_loaded_again(tmp_path: Path) -> None:
    root = tmp_path / "models"
    write_package(root, "tiny", "1")
    write_package(root, "tiny", "2")
    write_package(root, "other")
    with served(tmp_path, CALLS | POLLING) as asked, Callers(lambda: asked.infer("other")) as others:
        asked.unload("tiny")
        for model, version in (("tiny", ""), ("tiny", "1"), ("tiny", "2")):
            assert code_of(lambda: asked.infer(model, version)) is Code.UNAVAILABLE  # noqa: B023 - called at once
            assert not asked.is_ready(model, version)
        assert asked.index() == {
            "tiny@1": ("UNAVAILABLE", "unloaded"),
            "tiny@2": ("UNAVAILABLE", "unloaded"),
            "other@1": ("READY", ""),
        }
        asked.unload("tiny")  # once more is no error

        write_package(root, "tiny", "3")  # what was put aside stays so, whatever is looked at
        wait_until(lambda: "tiny@3" in asked.index())
        assert code_of(lambda: asked.infer("tiny")) is Code.UNAVAILABLE

        asked.load("tiny")
        assert asked.infer("tiny") == "tiny@3"
        assert asked.infer("tiny", "1") == "tiny@1"
        asked.load("tiny")
        wait_until(lambda: asked.count("model_unloaded") == 2)
        others.wait_for("other@1")
        assert not others.failures


@pytest.mark.parametrize("image", [TINY_PICTURE, image_pb2.Image(), image_pb2.Image(encoded=JUNK)])
def test_a_stream_that_is_silent_holds_no_model(tmp_path: Path, image: image_pb2.Image) -> None:
    """Nor does one whose last message was refused."""
    write_package(tmp_path / "models")
    typed: SimpleQueue[classification_pb2.ClassifyStreamRequest | None] = SimpleQueue()
    general: SimpleQueue[oip.ModelInferRequest | None] = SimpleQueue()
    with served(tmp_path, CALLS) as asked:
        answers = asked.typed_stub.ClassifyStream(iter(typed.get, None), timeout=PATIENCE_S)
        typed.put(classification_pb2.ClassifyStreamRequest(request=classification_pb2.ClassifyRequest(image=image)))
        is_good = image is TINY_PICTURE
        assert next(answers).result.HasField("response") is is_good
        general_answers = asked.inference.ModelStreamInfer(iter(general.get, None), timeout=PATIENCE_S)
        general.put(tensor_request("tiny") if is_good else oip.ModelInferRequest(model_name="tiny"))
        assert bool(next(general_answers).error_message) is not is_good
        asked.unload("tiny")
        wait_until(lambda: asked.count("model_unloaded") == 1)
        typed.put(None)
        general.put(None)
        assert [*answers, *general_answers] == []


def test_a_load_that_fails_says_why_and_leaves_what_was_served(tmp_path: Path) -> None:
    root = tmp_path / "models"
    write_package(root, version="1")
    with served(tmp_path, CALLS) as asked:
        write_package(root, version="2", model=BROKEN)
        with pytest.raises(grpc.RpcError) as caught:
            asked.load("tiny")
        error = caught.value
        status = rpc_status.from_call(error)
        assert status is not None
        info = ErrorInfo()
        status.details[0].Unpack(info)
        assert error.code() is Code.FAILED_PRECONDITION
        assert status.message.startswith("model tiny@2 cannot be loaded: model.onnx cannot be loaded: ")
        assert str(tmp_path) not in status.message
        assert info.reason == "LOAD_FAILED"
        assert (info.metadata["model"], info.metadata["version"]) == ("tiny", "2")
        assert asked.infer("tiny") == "tiny@1"


def test_names_of_strangers_reach_no_file(tmp_path: Path) -> None:
    """A model is looked up among those that were found, never as a path."""
    write_package(tmp_path / "models")
    write_package(tmp_path / "secret")
    names = [
        "../secret/tiny",
        "..",
        ".",
        "/",
        "tiny/1",
        "tiny@1",
        "TINY",
        "tiny ",
        "nobody",
        "%s",
        "\0",
        "ti\nny",
        "é" * 9999,
    ]
    with served(tmp_path, CALLS) as asked:
        for change in (asked.load, asked.unload):
            for name in names:
                assert code_of(lambda: change(name)) is Code.NOT_FOUND, name  # noqa: B023 - called at once
            assert code_of(lambda: change("")) is Code.INVALID_ARGUMENT  # noqa: B023 - called at once
            assert code_of(lambda: change("x" * 1_000_000)) is Code.NOT_FOUND  # noqa: B023 - called at once
        wait_until(lambda: asked.count("rpc_ended") >= 2 * len(names) + 4)
        assert max(len(json.dumps(one)) for one in asked.events("rpc_ended")) < 4096  # whatever strangers say
        assert asked.index() == {"tiny@1": ("READY", "")}


def test_only_those_may_call_who_are_allowed_to(tmp_path: Path) -> None:
    write_package(tmp_path / "models")
    with served(tmp_path, CALLS | {"RETINUE_MODELS__CONTROL_TOKEN": "sesame"}) as asked:
        for token in ("", "x", "sesamE", "sesame2", "s" * 5000):
            for change in (asked.load, asked.unload):
                assert code_of(lambda: change("tiny", token)) is Code.PERMISSION_DENIED, token  # noqa: B023
        asked.load("tiny", "sesame")
        assert asked.infer("tiny") == "tiny@1"
    with served(tmp_path, {}) as asked:
        for change in (asked.load, asked.unload):
            assert code_of(lambda: change("tiny")) is Code.UNIMPLEMENTED  # noqa: B023 - called at once
        assert asked.infer("tiny") == "tiny@1"


def test_the_stock_client_loads_and_unloads(tmp_path: Path) -> None:
    write_package(tmp_path / "models")
    with served(tmp_path, CALLS | {"RETINUE_MODELS__CONTROL_TOKEN": "sesame"}) as asked:
        program = REPOSITORY / "tests" / "integration" / "ask_triton_repository.py"
        command = [sys.executable, str(program), asked.service.target, "tiny", "sesame"]
        answers = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
        assert "sesame" not in (tmp_path / "service.log").read_text()
    assert "model_repository" in answers["extensions"]
    assert answers["before"] == answers["loaded"] == ["OK", True, {"tiny": "READY"}]
    assert answers["unloaded"] == ["StatusCode.UNAVAILABLE", False, {"tiny": "UNAVAILABLE"}]
    assert answers["with_configuration"] == "StatusCode.INVALID_ARGUMENT"
    assert answers["unauthorized"] == "StatusCode.PERMISSION_DENIED"


def test_loads_and_unloads_of_one_model_at_once_take_turns(tmp_path: Path) -> None:
    """Whoever asks is answered by the model, or told that it is not there now; never anything else."""
    root = tmp_path / "models"
    write_package(root, "tiny")
    write_package(root, "other")
    codes: set[Code] = set()

    with served(tmp_path, CALLS) as asked:

        def change(what: Callable[[str], None]) -> None:
            for _ in range(10):
                try:
                    what("tiny")
                except grpc.RpcError as error:
                    codes.add(error.code())

        changers = [threading.Thread(target=change, args=(what,)) for what in (asked.load, asked.unload) * 3]
        with Callers(asked.infer, lambda: asked.typed("tiny"), lambda: asked.infer("other")) as callers:
            for changer in changers:
                changer.start()
            for changer in changers:
                changer.join()
            asked.load("tiny")
            callers.wait_for("tiny@1")
            callers.wait_for("other@1")
        wait_until(lambda: "retinue_draining_engines 0.0" in asked.metrics())
        loads, unloads = asked.count("model_ready"), asked.count("model_unloaded")
        assert asked.index() == {"tiny@1": ("READY", ""), "other@1": ("READY", "")}
    assert codes <= {Code.RESOURCE_EXHAUSTED}  # more of them wait than may
    assert {code for code, _ in callers.failures} <= {Code.UNAVAILABLE}
    assert loads == unloads + 2


# --- memory


def heavy_graph(width: int) -> bytes:
    """Return a graph like that of the tiny package, with two layers of ``3 * width`` weights between."""
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(size=size).astype(np.float32) for name, size in (("w", (3, width)), ("v", (width, 3)))}
    shape: list[str | int] = ["batch", SIDE_PX, SIDE_PX, 3]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("MatMul", ["mean", "w"], ["hidden"]),
            helper.make_node("Tanh", ["hidden"], ["bent"]),
            helper.make_node("MatMul", ["bent", "v"], ["logits"]),
        ],
        "heavy",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnx.ModelProto.SerializeToString(model)


def test_the_memory_of_a_model_comes_back_when_it_is_unloaded(tmp_path: Path) -> None:
    """Also of one that was there from the start, and however often."""
    root = tmp_path / "models"
    write_package(root, "tiny")
    write_package(root, "heavy", model=heavy_graph(3_000_000))  # 72 MB of weights
    with served(tmp_path, CALLS) as asked:

        def rss_mb() -> float:
            return (
                int(Path(f"/proc/{asked.service.pid}/statm").read_text().split()[1])
                * os.sysconf("SC_PAGE_SIZE")
                / 2**20
            )

        without: list[float] = []
        held: list[float] = []
        for round_ in range(4):
            assert asked.infer("heavy") == "heavy@1"
            held.append(rss_mb())
            asked.unload("heavy")
            wait_until(lambda: asked.count("model_unloaded") == round_ + 1)  # noqa: B023 - called at once
            time.sleep(0.2)  # the log line comes before the last of it is given back
            without.append(rss_mb())
            asked.load("heavy")
        print(f"RSS with {held}, without {without} MB")  # noqa: T201 - for who measures
    assert all(more - less > 60 for more, less in zip(held, without, strict=True))
    assert max(without) - min(without) < 36  # half of the model: nothing of it stays, round after round
