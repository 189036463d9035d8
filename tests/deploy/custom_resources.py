"""Schemas of the custom resources in the manifests: of the fields that we use, and strict, so that a typo is found.

Written after the resources' published definitions: Gateway API v1, Prometheus Operator v1, KEDA v1alpha1. What their
API servers check beyond shapes (CEL rules, references) is not here.
"""

from typing import Any

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
_HOST: Schema = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
_PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
_DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    properties = required | (optional or {})
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of, "minItems": 1}


def _resource(spec: Schema) -> Schema:
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    metadata = _object({"name": _NAME, "namespace": _NAME}, {"labels": labels, "annotations": labels})
    return _object(
        {"apiVersion": _NAME | {"pattern": "/v1"}, "kind": {"type": "string"}, "metadata": metadata, "spec": spec}
    )


_GATEWAY = _object(
    {
        "gatewayClassName": _NAME,
        "listeners": _list(
            _object(
                {"name": _NAME, "protocol": {"enum": ["HTTPS"]}, "port": _PORT},
                {
                    "hostname": _HOST,
                    "tls": _object(
                        {"mode": {"enum": ["Terminate"]}, "certificateRefs": _list(_object({"name": _NAME}))}
                    ),
                    "allowedRoutes": _object({"namespaces": _object({"from": {"enum": ["All", "Same", "Selector"]}})}),
                },
            )
        ),
    }
)
_GRPC_ROUTE = _object(
    {
        "parentRefs": _list(_object({"name": _NAME}, {"sectionName": _NAME})),
        "hostnames": _list(_HOST),
        "rules": _list(
            _object(
                {
                    "matches": _list(
                        _object({"method": _object({"service": {"type": "string", "pattern": r"^[A-Za-z0-9_.]+$"}})})
                    ),
                    "backendRefs": _list(_object({"name": _NAME, "port": _PORT})),
                }
            )
        ),
    }
)
_POD_MONITOR = _object(
    {
        "selector": _object({"matchLabels": {"type": "object", "minProperties": 1}}),
        "podMetricsEndpoints": _list(
            _object(
                {"port": _NAME, "path": {"type": "string", "pattern": "^/"}, "interval": _DURATION},
                {
                    "relabelings": _list(
                        _object({"sourceLabels": _list({"type": "string"}), "targetLabel": {"type": "string"}})
                    )
                },
            )
        ),
    }
)
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_RECORD = _object({"record": {"type": "string"}, "expr": {"type": "string"}}, {"labels": _TEXTS})
_ALERT = _object(
    {"alert": {"type": "string"}, "expr": {"type": "string"}},
    {"for": _DURATION, "keep_firing_for": _DURATION, "labels": _TEXTS, "annotations": _TEXTS},
)
_RULES = _object(
    {"groups": _list(_object({"name": _NAME, "rules": _list({"oneOf": [_RECORD, _ALERT]})}, {"interval": _DURATION}))}
)
_SCALED_OBJECT = _object(
    {
        "scaleTargetRef": _object({"name": _NAME}),
        "minReplicaCount": _COUNT,
        "maxReplicaCount": _COUNT,
        "triggers": _list(
            _object(
                {
                    "type": {"enum": ["prometheus"]},
                    "metadata": _object(
                        {
                            "serverAddress": {"type": "string", "pattern": "^https?://"},
                            "query": {"type": "string", "minLength": 1},
                            "threshold": {"type": "string", "pattern": "^[0-9.]+$"},
                        },
                        {"ignoreNullValues": {"enum": ["true", "false"]}, "activationThreshold": {"type": "string"}},
                    ),
                },
                {"metricType": {"enum": ["AverageValue", "Value"]}},
            )
        ),
    },
    {
        "pollingInterval": _COUNT,
        "cooldownPeriod": _COUNT,
        "fallback": _object({"failureThreshold": _COUNT, "replicas": _COUNT}),
        "advanced": _object(
            {
                "horizontalPodAutoscalerConfig": _object(
                    {"behavior": _object({"scaleDown": _object({"stabilizationWindowSeconds": _COUNT})})}
                )
            }
        ),
    },
)

SCHEMAS: dict[tuple[str, str], Schema] = {
    ("gateway.networking.k8s.io/v1", "Gateway"): _resource(_GATEWAY),
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): _resource(_GRPC_ROUTE),
    ("keda.sh/v1alpha1", "ScaledObject"): _resource(_SCALED_OBJECT),
    ("monitoring.coreos.com/v1", "PodMonitor"): _resource(_POD_MONITOR),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _resource(_RULES),
}
