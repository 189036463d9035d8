"""What is rendered is valid: Kubernetes' own kinds by its published schemas, custom resources by ours."""

from copy import deepcopy
from pathlib import Path

import pytest

from tests.deploy.custom_resources import SCHEMAS
from tests.deploy.rendering import COMPONENTS, OVERLAYS, Object, on_the_base, overlay

jsonschema = pytest.importorskip("jsonschema")
kubernetes_validate = pytest.importorskip("kubernetes_validate")
VERSIONS = ("1.32", "1.35", "1.37")


def problems(one: Object, version: str) -> list[str]:
    """Return what is wrong with an object; a kind that nobody knows is wrong too."""
    schema = SCHEMAS.get((one["apiVersion"], one["kind"]))
    if schema is not None:
        return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(one)]
    try:
        kubernetes_validate.validate(one, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_of_an_overlay_is_valid(name: str, version: str) -> None:
    wrong = {f"{one['kind']}/{one['metadata']['name']}": problems(one, version) for one in overlay(name)}
    assert {key: value for key, value in wrong.items() if value} == {}


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_is_valid_on_the_base_alone(component: str, tmp_path: Path) -> None:
    needed = ("gpu", component) if component in ("gpu-mig", "tensorrt") else (component,)
    assert [problem for one in on_the_base(tmp_path, *needed) for problem in problems(one, VERSIONS[0])] == []


def test_a_misspelt_field_is_found() -> None:
    deployment, route = (
        deepcopy(next(one for one in overlay("prod-cpu") if one["kind"] == kind))
        for kind in ("Deployment", "GRPCRoute")
    )
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    route["spec"]["hostname"] = "x"
    assert problems(deployment, VERSIONS[0])
    assert problems(route, VERSIONS[0])


def test_an_unknown_kind_is_no_valid_kind() -> None:
    assert problems({"apiVersion": "example.com/v1", "kind": "Surprise", "metadata": {"name": "x"}}, VERSIONS[0])


def test_an_image_volume_needs_a_cluster_that_knows_it() -> None:
    (deployment, *_) = (one for one in overlay("prod-cpu") if one["kind"] == "Deployment")
    assert problems(deployment, "1.30")
