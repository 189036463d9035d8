"""What kubectl makes of the kustomizations: the objects that a cluster would be given."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.service_process import REPOSITORY

KUSTOMIZE = REPOSITORY / "deploy" / "kustomize"
OVERLAYS = sorted(path.name for path in (KUSTOMIZE / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (KUSTOMIZE / "components").iterdir())
SERVICES = ("classification", "detection", "matching", "segmentation")

Object = dict[str, Any]


@cache
def render(folder: Path) -> str:
    """Return what `kubectl kustomize` prints; the test is skipped where kubectl is missing or too old."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    version = json.loads(_run(kubectl, "version", "--client", "--output=json"))["clientVersion"]
    if (int(version["major"]), int(version["minor"].rstrip("+"))) < (1, 27):
        pytest.fail(f"kubectl {version['gitVersion']} has too old a kustomize; 1.27 or newer is needed")
    return _run(kubectl, "kustomize", str(folder))


@cache
def overlay(name: str) -> tuple[Object, ...]:
    """Return the objects of an overlay; they are shared, so nobody may change them."""
    return tuple(yaml.safe_load_all(render(KUSTOMIZE / "overlays" / name)))


def on_the_base(folder: Path, *components: str) -> tuple[Object, ...]:
    """Return the objects of the base with components alone, by a kustomization written into a folder."""
    here = folder.resolve()
    up = "../" * (len(here.parts) - 1)  # kustomize takes relative folders only
    kustomization = {
        "namespace": "retinue",
        "resources": [f"{up}{(KUSTOMIZE / 'base').relative_to('/')}"],
        "components": [f"{up}{(KUSTOMIZE / 'components' / name).relative_to('/')}" for name in components],
    }
    (here / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return tuple(yaml.safe_load_all(render(here)))


def of_kind(objects: tuple[Object, ...], kind: str) -> dict[str, Object]:
    """Return the objects of a kind by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Yield the name of each workload and its pods' template."""
    for name, deployment in of_kind(objects, "Deployment").items():
        yield name, deployment["spec"]["template"]


def service_container(template: Object) -> Object:
    """Return the container that serves."""
    (container,) = (one for one in template["spec"]["containers"] if one["name"] == "service")
    return dict(container)


def environment(objects: tuple[Object, ...], template: Object) -> dict[str, str]:
    """Return the variables that the kubelet would set: maps first, then the container's own, fields resolved."""
    container = service_container(template)
    maps = of_kind(objects, "ConfigMap")
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= maps[source["configMapRef"]["name"]]["data"]
    for variable in container.get("env", ()):
        if "value" in variable:
            variables[variable["name"]] = variable["value"]
        else:
            field = variable["valueFrom"]["resourceFieldRef"]
            side, _, resource = field["resource"].partition(".")
            quantity = _quantity(container["resources"][side][resource])
            variables[variable["name"]] = str(-int(-quantity // _quantity(field["divisor"])))
    return variables


def seconds(template: Object) -> tuple[float, float]:
    """Return how long preStop sleeps and how long the pod may take to end."""
    container = service_container(template)
    return container["lifecycle"]["preStop"]["sleep"]["seconds"], template["spec"]["terminationGracePeriodSeconds"]


def _quantity(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}:\n{done.stderr}")
    return done.stdout
