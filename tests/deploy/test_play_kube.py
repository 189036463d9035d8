"""The rendered dev overlay runs: podman starts the Deployment that kubectl rendered.

podman is no cluster: it knows no probes, Services or schedulers, and with the host's network no ports, so the ports are
taken out and free addresses put into the settings. All else is started as rendered.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.deploy.images import Container, free_address, image_of, run, wait_until_ready
from tests.deploy.rendering import SERVICES, of_kind, overlay

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=SERVICES)
def container(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    name = f"retinue-{request.param}"
    objects = overlay("dev")
    image_of(request.param)
    deployment = deepcopy(of_kind(objects, "Deployment")[name])
    spec = deployment["spec"]["template"]["spec"]
    spec["hostNetwork"] = True
    del spec["containers"][0]["ports"]
    settings = deepcopy(of_kind(objects, "ConfigMap")[spec["containers"][0]["envFrom"][0]["configMapRef"]["name"]])
    address = free_address()
    settings["data"] |= {"RETINUE_GRPC__ADDRESS": address, "RETINUE_HTTP__ADDRESS": free_address()}
    file: Path = tmp_path_factory.mktemp("play") / "pod.yaml"
    file.write_text(yaml.safe_dump_all([settings, deployment]))
    run("podman", "play", "kube", str(file))
    try:
        wait_until_ready(address)
        yield Container(f"{name}-pod-0-service", address)
    finally:
        run("podman", "play", "kube", "--down", str(file))


def test_the_pod_becomes_ready_confined_as_rendered(container: Container) -> None:
    keys = ("HostConfig.ReadonlyRootfs", "Config.User", "HostConfig.SecurityOpt", "BoundingCaps")
    asked = " ".join(f"{{{{.{key}}}}}" for key in keys)
    said = run("podman", "inspect", "--format", asked, container.name).stdout.strip()
    assert said == "true 65532:65532 [no-new-privileges] []"


def test_the_pod_has_the_memory_that_it_asks_for(container: Container) -> None:
    name = container.name.removesuffix("-pod-0-service")
    asked = of_kind(overlay("dev"), "Deployment")[name]["spec"]["template"]["spec"]["containers"][0]["resources"]
    limit = int(run("podman", "inspect", "--format", "{{.HostConfig.Memory}}", container.name).stdout)
    assert limit == int(asked["limits"]["memory"].removesuffix("Gi")) << 30


def test_the_pod_has_its_workers_from_its_request(container: Container) -> None:
    variables = container.python("import os; print([v for k, v in os.environ.items() if k.endswith('__WORKERS')])")
    assert variables == "['1']"


def test_the_pod_ends_when_it_is_told_to(container: Container) -> None:
    assert container.stop() == 0
