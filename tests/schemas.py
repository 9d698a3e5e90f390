"""What Kubernetes and the Prometheus Operator accept, as JSON schemas: the fields that are used, and no others.

After the CustomResourceDefinitions of prometheus-operator (v0.85 to v0.9x) and cert-manager v1, and the OpenAPI of
Kubernetes 1.36; a field that is misspelt there is dropped without a word, here it is an error.
"""

from __future__ import annotations

from typing import Any

import jsonschema

Schema = dict[str, Any]

_DURATION = r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"
_NAME = r"^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$"
_LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_ACTIONS = ["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"]
_ACTIONS += ["keepequal", "dropequal"]


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_LABELS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": 63, "pattern": _LABEL_VALUE},
}
_SELECTOR = _object(
    {
        "matchLabels": _LABELS,
        "matchExpressions": _list(
            _object(
                {
                    "key": _STRING,
                    "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                    "values": _list(_STRING),
                },
                "key",
                "operator",
            )
        ),
    }
)
_META = _object(
    {
        "name": {"type": "string", "pattern": _NAME},
        "namespace": _STRING,
        "labels": _LABELS,
        "annotations": {"type": "object", "additionalProperties": _STRING},
    },
    "name",
)
_KEY = _object({"name": _STRING, "key": _STRING, "optional": _BOOLEAN}, "key")
_SECRET_OR_MAP = _object({"secret": _KEY, "configMap": _KEY})
_RELABELING = _object(
    {
        "action": {"enum": _ACTIONS},
        "regex": _STRING,
        "replacement": _STRING,
        "separator": _STRING,
        "sourceLabels": _list({"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}),
        "targetLabel": _STRING,
        "modulus": {"type": "integer"},
    }
)
_TLS = _object(
    {
        "insecureSkipVerify": _BOOLEAN,
        "serverName": _STRING,
        "ca": _SECRET_OR_MAP,
        "cert": _SECRET_OR_MAP,
        "keySecret": _KEY,
    }
)
_AUTHORIZATION = _object({"type": {"enum": ["Bearer"]}, "credentials": _KEY})
_ENDPOINT = _object(
    {
        "authorization": _AUTHORIZATION,
        "port": _STRING,
        "path": _STRING,
        "scheme": {"enum": ["http", "https"]},
        "interval": {"type": "string", "pattern": _DURATION},
        "scrapeTimeout": {"type": "string", "pattern": _DURATION},
        "honorLabels": _BOOLEAN,
        "honorTimestamps": _BOOLEAN,
        "tlsConfig": _TLS,
        "relabelings": _list(_RELABELING),
        "metricRelabelings": _list(_RELABELING),
    }
)
_RULE = _object(
    {
        "apiGroups": _list(_STRING, 1),
        "resources": _list(_STRING, 1),
        "resourceNames": _list(_STRING, 1),
        "verbs": _list({"enum": ["get", "list", "watch", "create"]}, 1),
    },
    "apiGroups",
    "resources",
    "verbs",
)
_SUBJECT = _object(
    {"kind": {"enum": ["ServiceAccount"]}, "name": _STRING, "namespace": _STRING}, "kind", "name", "namespace"
)
_PORT = _object(
    {
        "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "targetPort": {"type": ["integer", "string"]},
        "protocol": {"enum": ["TCP"]},
    },
    "port",
)


def _kind(version: str, kind: str, **more: Schema) -> Schema:
    found = {"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": _META, **more}
    return _object(found, *found)


_VALUE: Schema = {
    **_object({"stringValue": _STRING, "fromDefinition": _STRING}),
    "minProperties": 1,
    "maxProperties": 1,
}
_RBAC = "rbac.authorization.k8s.io"
_BINDING = {
    "roleRef": _object(
        {"apiGroup": {"const": _RBAC}, "kind": {"enum": ["Role", "ClusterRole"]}, "name": _STRING},
        "apiGroup",
        "kind",
        "name",
    ),
    "subjects": _list(_SUBJECT, 1),
}

_ANNOTATIONS: Schema = {"type": "object", "additionalProperties": _STRING}
_DURING: Schema = {"type": "string", "pattern": _DURATION, "minLength": 1}
_RECORD = _object({"record": _STRING, "expr": _STRING, "labels": _ANNOTATIONS}, "record", "expr")
_ALERT = _object(
    {"alert": _STRING, "expr": _STRING, "for": _DURING, "labels": _ANNOTATIONS, "annotations": _ANNOTATIONS},
    "alert",
    "expr",
)
_GROUP = _object(
    {"name": {"type": "string", "minLength": 1}, "interval": _DURING, "rules": _list({"oneOf": [_RECORD, _ALERT]}, 1)},
    "name",
)

KINDS: dict[str, Schema] = {
    "PrometheusRule": _kind(
        "monitoring.coreos.com/v1", "PrometheusRule", spec=_object({"groups": _list(_GROUP, 1)}, "groups")
    ),
    "ServiceMonitor": _kind(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        spec=_object(
            {
                "selector": _SELECTOR,
                "namespaceSelector": _object({"any": _BOOLEAN, "matchNames": _list(_STRING)}),
                "endpoints": _list(_ENDPOINT, 1),
                "jobLabel": _STRING,
                "targetLabels": _list(_STRING),
            },
            "selector",
            "endpoints",
        ),
    ),
    "ScrapeConfig": _kind(
        "monitoring.coreos.com/v1alpha1",
        "ScrapeConfig",
        # pkg/apis/monitoring/v1alpha1/scrapeconfig_types.go; the scheme is written in capitals up to v0.85.
        spec=_object(
            {
                "httpSDConfigs": _list(
                    _object(
                        {
                            "url": {"type": "string", "pattern": "^http(s)?://.+$"},
                            "refreshInterval": {"type": "string", "pattern": _DURATION},
                            "authorization": _AUTHORIZATION,
                            "tlsConfig": _TLS,
                        },
                        "url",
                    ),
                    1,
                ),
                "jobName": _STRING,
                "metricsPath": _STRING,
                "scheme": {"enum": ["HTTP", "HTTPS"]},
                "honorLabels": _BOOLEAN,
                "scrapeInterval": {"type": "string", "pattern": _DURATION},
                "scrapeTimeout": {"type": "string", "pattern": _DURATION},
                "authorization": _AUTHORIZATION,
                "tlsConfig": _TLS,
                "relabelings": _list(_RELABELING, 1),
            }
        ),
    ),
    "Certificate": _kind(
        "cert-manager.io/v1",
        "Certificate",
        # pkg/apis/certmanager/v1/types_certificate.go of cert-manager
        spec=_object(
            {
                "secretName": _STRING,
                "dnsNames": _list(_STRING, 1),
                "usages": _list({"enum": ["server auth", "digital signature", "key encipherment"]}, 1),
                "privateKey": _object(
                    {
                        "algorithm": {"enum": ["RSA", "ECDSA", "Ed25519"]},
                        "size": {"type": "integer"},
                        "rotationPolicy": {"enum": ["Never", "Always"]},
                    }
                ),
                "issuerRef": _object(
                    {
                        "group": {"const": "cert-manager.io"},
                        "kind": {"enum": ["Issuer", "ClusterIssuer"]},
                        "name": _STRING,
                    },
                    "name",
                ),
            },
            "secretName",
            "issuerRef",
        ),
    ),
    "ServiceAccount": _kind("v1", "ServiceAccount"),
    "ConfigMap": _kind("v1", "ConfigMap", data={"type": "object", "additionalProperties": _STRING}),
    "KubeconfigGenerator": _kind(
        "kamaji.clastix.io/v1alpha1",
        "KubeconfigGenerator",
        spec=_object(
            {
                "namespaceSelector": _SELECTOR,
                "tenantControlPlaneSelector": _SELECTOR,
                "groups": _list(_VALUE),
                "user": _VALUE,
                "controlPlaneEndpointFrom": _STRING,
            },
            "user",
        ),
    ),
    "Role": _kind(f"{_RBAC}/v1", "Role", rules=_list(_RULE, 1)),
    "ClusterRole": _kind(f"{_RBAC}/v1", "ClusterRole", rules=_list(_RULE, 1)),
    "RoleBinding": _kind(f"{_RBAC}/v1", "RoleBinding", **_BINDING),
    "ClusterRoleBinding": _kind(f"{_RBAC}/v1", "ClusterRoleBinding", **_BINDING),
    "Service": _kind(
        "v1",
        "Service",
        spec=_object(
            {
                "selector": _LABELS,
                "ports": _list(_PORT, 1),
                "clusterIP": {"const": "None"},
                "type": {"const": "ClusterIP"},
                "publishNotReadyAddresses": _BOOLEAN,
            },
            "selector",
            "ports",
        ),
    ),
}


def validate(item: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError, and KeyError for a kind that is not known here."""
    jsonschema.validate(item, KINDS[item["kind"]])
