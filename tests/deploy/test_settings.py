"""What the manifests tell a service, its own parser takes: every variable, every port, and the time to end."""

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

from retinue.serving.settings import SettingsInvalid, load_settings
from tests.deploy.rendering import (
    OVERLAYS,
    SERVICES,
    Object,
    environment,
    of_kind,
    on_the_base,
    overlay,
    pods,
    seconds,
    service_container,
)


def settings_of(service: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> Any:
    """Return the settings that a container of an overlay would have."""
    return settings_in(overlay(overlay_name), service, monkeypatch, **more)


def settings_in(objects: tuple[Object, ...], service: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> Any:
    """Return the settings that a container of these objects would have."""
    template = dict(pods(objects))[f"retinue-{service}"]
    for name in [name for name in os.environ if name.startswith("RETINUE_")]:  # noqa: TID251 - as clean as a pod
        monkeypatch.delenv(name)
    for name, value in {**environment(objects, template), **more}.items():
        monkeypatch.setenv(name, value)
    module = importlib.import_module(f"services.{service}.settings")
    arguments = service_container(template).get("args", [])
    assert arguments == []
    return load_settings(getattr(module, f"{service.capitalize()}Settings"))


@pytest.mark.parametrize("overlay_name", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_the_service_takes_its_variables_and_listens_on_the_ports(
    service: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(service, overlay_name, monkeypatch)
    container = service_container(dict(pods(overlay(overlay_name)))[f"retinue-{service}"])
    listening = {"grpc": settings.grpc.address, "http": settings.http.address}
    assert listening == {port["name"]: f"0.0.0.0:{port['containerPort']}" for port in container["ports"]}


@pytest.mark.parametrize("overlay_name", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_the_time_to_end_by_itself(service: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(service, overlay_name, monkeypatch)
    pre_stop_s, total_s = seconds(dict(pods(overlay(overlay_name)))[f"retinue-{service}"])
    assert pre_stop_s >= 5  # until every client's list of addresses lacks the pod
    assert total_s >= pre_stop_s + settings.grpc.drain_delay_s + settings.grpc.grace_s + 5


@pytest.mark.parametrize("overlay_name", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_readiness_is_seen_to_fall_before_calls_are_refused(
    service: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(service, overlay_name, monkeypatch)
    probe = service_container(dict(pods(overlay(overlay_name)))[f"retinue-{service}"])["readinessProbe"]
    assert settings.grpc.drain_delay_s > probe["periodSeconds"] * probe["failureThreshold"]


@pytest.mark.parametrize("overlay_name", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_there_are_as_many_workers_as_cores_are_asked_for(
    service: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(service, overlay_name, monkeypatch)
    group = settings.solving if service == "matching" else settings.engine
    assert group.workers == (1 if overlay_name == "dev" else 2)


@pytest.mark.parametrize("overlay_name", [name for name in OVERLAYS if name != "dev"])
@pytest.mark.parametrize("service", [name for name in SERVICES if name != "matching"])
def test_models_are_looked_for_where_they_are_mounted(
    service: str, overlay_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(service, overlay_name, monkeypatch)
    template = dict(pods(overlay(overlay_name)))[f"retinue-{service}"]
    (mount,) = (one for one in service_container(template)["volumeMounts"] if one["name"] == "models")
    assert settings.models.roots == (Path(mount["mountPath"]),)
    assert mount["readOnly"] is True


@pytest.mark.parametrize(
    ("overlay_name", "providers"),
    [("dev", ["cpu"]), ("prod-cpu", ["cpu"]), ("prod-gpu", ["tensorrt", "cuda", "cpu"]), ("prod-mig", ["cuda", "cpu"])],
)
@pytest.mark.parametrize("service", [name for name in SERVICES if name != "matching"])
def test_models_run_where_the_overlay_says(
    service: str, overlay_name: str, providers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(settings_of(service, overlay_name, monkeypatch).engine.providers) == providers


@pytest.mark.parametrize("service", SERVICES)
def test_traces_go_where_a_policy_lets_them(service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    objects = on_the_base(tmp_path, "tracing")
    host, _, port = settings_in(objects, service, monkeypatch).tracing.endpoint.rpartition(":")
    to_collector, to_names = of_kind(objects, "NetworkPolicy")["traces-to-monitoring"]["spec"]["egress"]
    (peer,) = to_collector["to"]
    assert to_collector["ports"] == [{"port": int(port)}]
    assert host.split(".")[1] == peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert {(one["port"], one["protocol"]) for one in to_names["ports"]} == {(53, "UDP"), (53, "TCP")}


def test_a_variable_that_nothing_reads_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match="RETINUE_GRPC__GRACE"):
        settings_of("classification", "dev", monkeypatch, RETINUE_GRPC__GRACE="25")


def test_settings_are_named_after_their_content(objects: tuple[dict[str, Any], ...]) -> None:
    names = of_kind(objects, "ConfigMap").keys()
    assert len(names) == len(SERVICES)
    assert all(name.rpartition("-")[2].isalnum() and len(name.rpartition("-")[2]) == 10 for name in names)
