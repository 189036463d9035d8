"""What refers to what: every selector meets the pods that it means, every reference something that is there."""

from itertools import chain

import yaml

from loadtests.service_process import REPOSITORY
from tests.deploy.rendering import SERVICES, Object, of_kind, pods, service_container


def meets(selector: Object, template: Object) -> bool:
    """Whether a selector by labels picks the pods of a template."""
    assert set(selector) == {"matchLabels"}
    return bool(selector["matchLabels"].items() <= template["metadata"]["labels"].items())


def ports_of(template: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in service_container(template)["ports"]}


def test_each_deployment_selects_its_own_pods_alone(objects: tuple[Object, ...]) -> None:
    templates = dict(pods(objects))
    for name, deployment in of_kind(objects, "Deployment").items():
        selector = deployment["spec"]["selector"]
        assert [other for other, template in templates.items() if meets(selector, template)] == [name]


def test_services_are_headless_and_lead_to_the_pods_of_their_name(objects: tuple[Object, ...]) -> None:
    templates = dict(pods(objects))
    for name, service in of_kind(objects, "Service").items():
        selector = {"matchLabels": service["spec"]["selector"]}
        assert [other for other, template in templates.items() if meets(selector, template)] == [name]
        assert service["spec"]["clusterIP"] == "None"
        for port in service["spec"]["ports"]:
            assert ports_of(templates[name])[port["targetPort"]] == port["port"]
            assert port["appProtocol"] == "kubernetes.io/h2c"


def test_each_deployment_has_a_service_and_a_budget(objects: tuple[Object, ...]) -> None:
    names = of_kind(objects, "Deployment").keys()
    assert of_kind(objects, "Service").keys() == names
    assert of_kind(objects, "PodDisruptionBudget").keys() == names


def test_a_budget_means_the_pods_of_its_name_and_lets_one_go(objects: tuple[Object, ...]) -> None:
    templates = dict(pods(objects))
    for name, budget in of_kind(objects, "PodDisruptionBudget").items():
        selector = budget["spec"]["selector"]
        assert [other for other, template in templates.items() if meets(selector, template)] == [name]
        assert budget["spec"]["maxUnavailable"] == 1


def test_replicas_are_spread_over_hosts_and_zones_by_their_own_labels(objects: tuple[Object, ...]) -> None:
    for _, template in pods(objects):
        spreads = template["spec"]["topologySpreadConstraints"]
        assert {spread["topologyKey"] for spread in spreads} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
        for spread in spreads:
            assert spread["labelSelector"]["matchLabels"] == template["metadata"]["labels"]
            assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


def test_all_traffic_is_denied_unless_a_policy_allows_it(objects: tuple[Object, ...]) -> None:
    deny = of_kind(objects, "NetworkPolicy")["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_policies_open_ports_that_the_pods_have_to_peers_that_are_named(objects: tuple[Object, ...]) -> None:
    policies = [one["spec"] for name, one in of_kind(objects, "NetworkPolicy").items() if name != "default-deny"]
    for template in dict(pods(objects)).values():
        rules = chain.from_iterable(spec["ingress"] for spec in policies if meets(spec["podSelector"], template))
        opened = [(port["port"], peer) for rule in rules for port in rule["ports"] for peer in rule["from"]]
        assert {port for port, _ in opened} == ports_of(template).keys()
        assert all(selector["matchLabels"] for _, peer in opened for selector in peer.values())


def test_a_deployment_has_one_scaler_at_most_and_then_no_number_of_its_own(objects: tuple[Object, ...]) -> None:
    scalers = [*of_kind(objects, "HorizontalPodAutoscaler").values(), *of_kind(objects, "ScaledObject").values()]
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
    assert len(targets) == len(set(targets))
    for name, deployment in of_kind(objects, "Deployment").items():
        assert ("replicas" in deployment["spec"]) == (name not in targets)
    assert set(targets) <= of_kind(objects, "Deployment").keys()


def test_scalers_keep_two_replicas_and_let_go_slowly(objects: tuple[Object, ...]) -> None:
    for scaler in of_kind(objects, "HorizontalPodAutoscaler").values():
        assert scaler["spec"]["minReplicas"] >= 2
        assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    for scaler in of_kind(objects, "ScaledObject").values():
        spec = scaler["spec"]
        assert spec["minReplicaCount"] >= 2
        behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_a_scaler_asks_for_a_metric_of_its_own_service_in_its_own_namespace(objects: tuple[Object, ...]) -> None:
    for name, scaler in of_kind(objects, "ScaledObject").items():
        (trigger,) = scaler["spec"]["triggers"]
        labels = f'{{namespace="{scaler["metadata"]["namespace"]}",service="{name.removeprefix("retinue-")}"}}'
        assert trigger["metadata"]["query"] == f"sum(retinue_in_flight_calls{labels})"


def test_routes_lead_to_services_that_are_there_and_carry_their_own_api(objects: tuple[Object, ...]) -> None:
    services = of_kind(objects, "Service")
    routes = of_kind(objects, "GRPCRoute")
    assert routes.keys() in (set(), services.keys())
    for name, route in routes.items():
        task = name.removeprefix("retinue-")
        assert task in SERVICES
        (rule,) = route["spec"]["rules"]
        (backend,) = rule["backendRefs"]
        assert backend["name"] == name
        assert backend["port"] in [port["port"] for port in services[name]["spec"]["ports"]]
        assert [match["method"]["service"] for match in rule["matches"]] == [
            f"retinue.{task}.v1.{task.capitalize()}Service",
            "inference.GRPCInferenceService",
        ]


def test_routes_hang_on_a_listener_of_the_gateway(objects: tuple[Object, ...]) -> None:
    for route in of_kind(objects, "GRPCRoute").values():
        (parent,) = route["spec"]["parentRefs"]
        gateway = of_kind(objects, "Gateway")[parent["name"]]
        listeners = {listener["name"]: listener for listener in gateway["spec"]["listeners"]}
        suffix = listeners[parent["sectionName"]]["hostname"].removeprefix("*")
        assert all(host.endswith(suffix) for host in route["spec"]["hostnames"])


def test_the_monitor_scrapes_a_port_that_every_pod_has(objects: tuple[Object, ...]) -> None:
    for monitor in of_kind(objects, "PodMonitor").values():
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        for _, template in pods(objects):
            assert meets(monitor["spec"]["selector"], template)
            assert endpoint["port"] in ports_of(template)


def test_the_operator_is_given_the_rules_of_prometheus(objects: tuple[Object, ...]) -> None:
    files = sorted((REPOSITORY / "deploy" / "prometheus" / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    command = (
        "python deploy/kustomize/components/monitoring/rules.py > deploy/kustomize/components/monitoring/rules.yaml"
    )
    for rules in of_kind(objects, "PrometheusRule").values():
        assert rules["spec"]["groups"] == groups, command


def test_claims_and_maps_that_pods_name_are_rendered_too(objects: tuple[Object, ...]) -> None:
    claims, maps = of_kind(objects, "PersistentVolumeClaim"), of_kind(objects, "ConfigMap")
    for _, template in pods(objects):
        volumes = template["spec"]["volumes"]
        assert all(v["persistentVolumeClaim"]["claimName"] in claims for v in volumes if "persistentVolumeClaim" in v)
        assert all(s["configMapRef"]["name"] in maps for s in service_container(template)["envFrom"])
