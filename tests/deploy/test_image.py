"""Each service's image, built and run: ready, confined, warm, bare, bounded, and gone when it is asked to go."""

from collections.abc import Iterator

import pytest

from tests.deploy.images import CONFINED, PYTHON, Container, image_of, run, running
from tests.deploy.rendering import SERVICES

pytestmark = pytest.mark.slow
MAX_IMAGE_BYTES = 1_100_000_000

IDENTITY = """
import os
facts = dict(line.split(":", 1) for line in open("/proc/1/status"))
print(os.getuid(), os.getgid(), *(facts[key].strip() for key in ("CapEff", "NoNewPrivs", "Seccomp")))
"""
WRITABLE = """
import errno, os
for path in ("/x", "/app/x", "/opt/retinue/x", "/tmp/x"):
    try:
        open(path, "w").close()
        print(path, "written")
    except OSError as error:
        print(path, errno.errorcode[error.errno])
"""
KERNELS = """
import os
import numpy as np
from retinue.ops import assign, nms, rle_encode_labels
from retinue.ops._kernel import KERNELS
boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1]], np.float32)
nms(boxes, np.array([0.5, 0.9], np.float32), 0.4)
assign(np.eye(3, dtype=np.float32))
rle_encode_labels(np.eye(3, dtype=np.int32))
kernels = [kernel for kernel, _ in KERNELS.values()]
hits, misses = (sum(sum(getattr(k.stats, name).values()) for k in kernels) for name in ("cache_hits", "cache_misses"))
_, cpu, features = kernels[0].targetctx.codegen().magic_tuple()
print(hits > 2, misses, cpu, features == os.environ["NUMBA_CPU_FEATURES"])
"""
TOOLS = """
import importlib.util, os, shutil
tools = ("gcc", "cc", "g++", "make", "git", "pip", "pip3", "curl", "wget")
print([tool for tool in tools if shutil.which(tool, path=os.environ["PATH"] + ":/opt/retinue/bin")])
print([name for name in ("pip", "setuptools", "torch", "grpc_tools") if importlib.util.find_spec(name)])
print(sorted(name for name in os.listdir("/app/services") if not name.startswith("__")), sorted(os.listdir("/app")))
"""


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(service: str) -> str:
    return image_of(service)


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[Container]:
    with running(image) as container:
        yield container


def test_it_runs_as_nobody_with_no_capability(container: Container) -> None:
    assert container.python(IDENTITY) == "65532 65532 0000000000000000 1 2"


def test_it_writes_nowhere_but_in_tmp(container: Container) -> None:
    expected = ["/x EROFS", "/app/x EROFS", "/opt/retinue/x EROFS", "/tmp/x written"]  # noqa: S108 - the container's
    assert container.python(WRITABLE).splitlines() == expected


def test_its_kernels_come_from_the_image_whatever_machine_built_it(container: Container) -> None:
    assert container.python(KERNELS) == "True 0 x86-64-v3 True"


def test_its_calls_can_be_traced(container: Container) -> None:
    """A service whose settings name a collector ends where the packages for it are missing."""
    assert container.python("import opentelemetry.exporter.otlp.proto.grpc.trace_exporter; print('there')") == "there"


def test_it_holds_no_tool_and_no_other_service(container: Container, service: str) -> None:
    tools, packages, code = container.python(TOOLS).splitlines()
    assert (tools, packages) == ("[]", "[]")
    assert code == f"['{service}'] ['__main__.py', '__pycache__', 'services']"


def test_it_is_no_larger_than_it_was(image: str) -> None:
    assert int(run("podman", "image", "inspect", "--format", "{{.Size}}", image).stdout) < MAX_IMAGE_BYTES


def test_it_says_which_user_signal_and_ports(image: str) -> None:
    keys = ("User", "StopSignal", "Entrypoint", "ExposedPorts")
    said = run("podman", "image", "inspect", "--format", " ".join(f"{{{{.Config.{key}}}}}" for key in keys), image)
    assert said.stdout.strip() == f"65532:65532 SIGTERM [{PYTHON} /app] map[50051/tcp:{{}} 8080/tcp:{{}}]"


def test_its_memory_limit_is_one(image: str) -> None:
    command = ("podman", "run", "--rm", *CONFINED, "--memory", "128m", "--entrypoint", PYTHON, image)
    assert run(*command, "-c", "bytearray(400 << 20)", is_checked=False).returncode == 137


def test_it_refuses_what_it_cannot_read(image: str) -> None:
    command = ("podman", "run", "--rm", *CONFINED, "--env", "RETINUE_GRPC__GRACE=1", image)
    refused = run(*command, is_checked=False)
    assert (refused.returncode, "RETINUE_GRPC__GRACE" in refused.stderr) == (2, True)


def test_it_ends_when_it_is_told_to(image: str) -> None:
    with running(image) as container:
        assert container.stop() == 0
