"""What every pod must be: restricted, probed, bounded, pinned, and given the time to end."""

import re

from retinue.serving.health import LIVENESS, READINESS
from tests.deploy.rendering import SERVICES, Object, of_kind, pods, service_container

USER = 65532


def test_there_is_one_deployment_for_each_service(objects: tuple[Object, ...]) -> None:
    assert {name.removeprefix("retinue-") for name, _ in pods(objects)} == set(SERVICES)


def test_everything_is_in_the_namespace_which_demands_the_restricted_standard(objects: tuple[Object, ...]) -> None:
    ((name, namespace),) = of_kind(objects, "Namespace").items()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"]["namespace"] for one in objects if one["kind"] != "Namespace"} == {name}


def test_pods_meet_the_restricted_standard(objects: tuple[Object, ...]) -> None:
    for name, template in pods(objects):
        spec = template["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert (context["runAsUser"], context["runAsGroup"]) == (USER, USER), name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            inner = container["securityContext"]
            assert inner["allowPrivilegeEscalation"] is False, name
            assert inner["readOnlyRootFilesystem"] is True, name
            assert inner["capabilities"] == {"drop": ["ALL"]}, name
            assert "privileged" not in inner, name
        allowed = {"emptyDir", "persistentVolumeClaim", "image", "configMap"}
        assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"]), name


def test_pods_hold_no_token_and_no_addresses_of_their_neighbours(objects: tuple[Object, ...]) -> None:
    accounts = of_kind(objects, "ServiceAccount")
    for name, template in pods(objects):
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["enableServiceLinks"] is False
        assert accounts[template["spec"]["serviceAccountName"]]["automountServiceAccountToken"] is False
        assert template["spec"]["serviceAccountName"] == name


def test_what_a_pod_writes_is_bounded(objects: tuple[Object, ...]) -> None:
    for name, template in pods(objects):
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        assert volumes["tmp"]["emptyDir"]["medium"] == "Memory", name
        assert all("sizeLimit" in one["emptyDir"] for one in volumes.values() if "emptyDir" in one), name
        mounts = {mount["name"] for mount in service_container(template)["volumeMounts"]}
        assert mounts == volumes.keys(), name


def test_probes_ask_the_names_that_the_service_knows(objects: tuple[Object, ...]) -> None:
    for name, template in pods(objects):
        container = service_container(template)
        port = {one["name"]: one["containerPort"] for one in container["ports"]}["grpc"]
        for probe, service in (("startup", READINESS), ("readiness", READINESS), ("liveness", LIVENESS)):
            assert container[f"{probe}Probe"]["grpc"] == {"port": port, "service": service}, name


def test_liveness_is_slower_to_judge_than_readiness(objects: tuple[Object, ...]) -> None:
    for _, template in pods(objects):
        container = service_container(template)
        patience = {
            probe: container[f"{probe}Probe"]["periodSeconds"] * container[f"{probe}Probe"]["failureThreshold"]
            for probe in ("startup", "readiness", "liveness")
        }
        assert patience["readiness"] < patience["liveness"] <= patience["startup"]


def test_a_rollout_waits_longer_than_a_start_may_take(objects: tuple[Object, ...]) -> None:
    for deployment in of_kind(objects, "Deployment").values():
        probe = service_container(deployment["spec"]["template"])["startupProbe"]
        deadline_s = deployment["spec"].get("progressDeadlineSeconds", 600)
        assert deadline_s > probe["periodSeconds"] * probe["failureThreshold"] + deployment["spec"]["minReadySeconds"]


def test_memory_is_promised_and_cpu_is_not_throttled(objects: tuple[Object, ...]) -> None:
    for name, template in pods(objects):
        for container in (*template["spec"]["containers"], *template["spec"].get("initContainers", ())):
            resources = container["resources"]
            assert resources["requests"]["memory"] == resources["limits"]["memory"], name
            assert "cpu" in resources["requests"], name
            assert "cpu" not in resources["limits"], name


def test_no_tag_floats(objects: tuple[Object, ...]) -> None:
    pinned = re.compile(r".+(@sha256:[0-9a-f]{64}|:(\d+\.\d+\.\d+(-gpu)?|dev))")
    for name, template in pods(objects):
        spec = template["spec"]
        images = [container["image"] for container in (*spec["containers"], *spec.get("initContainers", ()))]
        images += [volume["image"]["reference"] for volume in spec["volumes"] if "image" in volume]
        assert all(pinned.fullmatch(image) for image in images), (name, images)


def test_only_what_is_built_on_the_node_is_called_dev(objects: tuple[Object, ...]) -> None:
    for name, template in pods(objects):
        container = service_container(template)
        assert container["image"].endswith(":dev") == (container["imagePullPolicy"] == "Never"), name


def test_pods_on_a_gpu_ask_for_one_tolerate_its_taint_and_run_the_gpu_image(objects: tuple[Object, ...]) -> None:
    for name, deployment in of_kind(objects, "Deployment").items():
        spec = deployment["spec"]["template"]["spec"]
        container = service_container(deployment["spec"]["template"])
        gpus = {key: value for key, value in container["resources"]["limits"].items() if key.startswith("nvidia.com/")}
        assert sum(map(int, gpus.values())) == (1 if "nodeSelector" in spec else 0), name
        assert container["image"].endswith("-gpu") == bool(gpus), name
        if gpus:
            assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
            assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
        else:
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
