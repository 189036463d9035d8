"""compose.yaml says of each service what the manifests say, and scrapes them all."""

from typing import Any

import pytest
import yaml

from loadtests.service_process import REPOSITORY
from retinue.serving.settings import HttpSettings, ServiceSettings
from tests.deploy.rendering import SERVICES


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    assert isinstance(content, dict)
    return content


def test_there_are_the_four_services_and_prometheus(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*SERVICES, "prometheus"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_built_for_itself_and_confined(compose: dict[str, Any], service: str) -> None:
    one = compose["services"][service]
    assert one["build"]["args"] == {"SERVICE": service}
    assert (REPOSITORY / one["build"]["dockerfile"]).exists()
    assert one["image"] == f"retinue/{service}:dev"
    assert one["read_only"] is True
    assert one["user"] == "65532:65532"
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["mem_limit"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_time_to_drain(compose: dict[str, Any], service: str) -> None:
    defaults = ServiceSettings().grpc
    grace_s = int(compose["services"][service]["stop_grace_period"].removesuffix("s"))
    assert grace_s > defaults.drain_delay_s + defaults.grace_s


def test_ports_are_on_the_loopback_and_taken_once(compose: dict[str, Any]) -> None:
    ports = [port for one in compose["services"].values() for port in one["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    assert all(port.endswith(":50051") for name in SERVICES for port in compose["services"][name]["ports"])


def test_health_is_asked_of_the_side_port(compose: dict[str, Any]) -> None:
    port = HttpSettings().address.rpartition(":")[2]
    for service in SERVICES:
        command = compose["services"][service]["healthcheck"]["test"]
        assert command[0] == "CMD"
        assert f":{port}/readyz" in command[-1]


def test_prometheus_scrapes_each_service(compose: dict[str, Any]) -> None:
    (source,) = compose["services"]["prometheus"]["configs"]
    content = yaml.safe_load(compose["configs"][source["source"]]["content"])
    (job,) = content["scrape_configs"]
    scraped = {one["labels"]["service"]: one["targets"] for one in job["static_configs"]}
    assert scraped == {service: [f"{service}:8080"] for service in SERVICES}


def test_prometheus_reads_the_rules(compose: dict[str, Any]) -> None:
    (source,) = compose["services"]["prometheus"]["configs"]
    folder, mounted, mode = compose["services"]["prometheus"]["volumes"][0].split(":")
    content = yaml.safe_load(compose["configs"][source["source"]]["content"])
    assert mode == "ro"
    assert list((REPOSITORY / folder).glob("*.yml"))
    assert content["rule_files"] == [f"{mounted.removeprefix('/etc/prometheus/')}/*.yml"]
    assert source["target"] == "/etc/prometheus/prometheus.yml"


def test_no_image_floats(compose: dict[str, Any]) -> None:
    assert all(":" in one["image"] and not one["image"].endswith(":latest") for one in compose["services"].values())
