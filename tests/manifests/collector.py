"""An OpenTelemetry collector, as far as configurations use it: what it accepts, and what becomes of a resource.

The schemas are after the config.schema.yaml of each component of opentelemetry-collector-contrib, with the fields that are
used and no others; an unknown field would keep a collector from starting.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import yaml

from . import ottl

Schema = dict[str, Any]
Resource = dict[str, Any]


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema, least: int = 1) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


_STRING: Schema = {"type": "string", "minLength": 1}
_BOOLEAN: Schema = {"type": "boolean"}
_DURATION: Schema = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h))+$"}
_ERROR_MODE: Schema = {"enum": ["ignore", "silent", "propagate"]}
_PERCENT: Schema = {"type": "integer", "minimum": 1, "maximum": 100}
_FIELD = _object(
    # key and key_regex exclude each other; key_regex could reach annotations that hold tokens.
    {"tag_name": _STRING, "key": _STRING, "from": {"enum": ["pod", "namespace", "node"]}},
    "tag_name",
    "key",
    "from",
)
_METADATA = ("k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.node.name")
_ASSOCIATION = _object({"from": {"enum": ["connection", "resource_attribute"]}, "name": _STRING}, "from")
_URL: Schema = {"type": "string", "pattern": r"^https?://[^\s]+$"}

COMPONENTS: dict[str, dict[str, Schema]] = {
    "receivers": {
        # receiver/kubeletstatsreceiver: with ClientConfig and ControllerConfig, which it squashes
        "kubeletstats": _object(
            {
                "collection_interval": _DURATION,
                "auth_type": {"enum": ["serviceAccount", "tls", "none", "kubeConfig"]},
                "endpoint": _STRING,
                "insecure_skip_verify": _BOOLEAN,
                "metric_groups": _list({"enum": ["container", "pod", "node", "volume"]}),
                "extra_metadata_labels": _list({"enum": ["container.id", "k8s.volume.type"]}),
            }
        ),
    },
    "processors": {
        # processor/memorylimiterprocessor and processor/batchprocessor of opentelemetry-collector
        "memory_limiter": _object(
            {"check_interval": _DURATION, "limit_percentage": _PERCENT, "spike_limit_percentage": _PERCENT},
            "check_interval",
            "limit_percentage",
        ),
        "batch": _object({}),
        "k8sattributes": _object(
            {
                "auth_type": {"enum": ["none", "serviceAccount", "kubeConfig"]},
                "wait_for_metadata": _BOOLEAN,
                "filter": _object({"node_from_env_var": _STRING}),
                "extract": _object(
                    {
                        "metadata": _list({"enum": list(_METADATA)}),
                        "labels": _list(_FIELD),
                        "annotations": _list(_FIELD),
                    }
                ),
                "pod_association": _list(_object({"sources": {**_list(_ASSOCIATION), "maxItems": 4}}, "sources")),
            }
        ),
        "transform": _object({"error_mode": _ERROR_MODE, "metric_statements": _list(_STRING)}),
        "filter": _object({"error_mode": _ERROR_MODE, "metrics": _object({"metric": _list(_STRING)})}),
    },
    "exporters": {
        "debug": _object({"verbosity": {"enum": ["basic", "normal", "detailed"]}}),
        # exporter/otlphttpexporter of opentelemetry-collector
        "otlphttp": _object({"endpoint": _URL}, "endpoint"),
        "prometheusremotewrite": _object(
            {"endpoint": _URL, "resource_to_telemetry_conversion": _object({"enabled": _BOOLEAN})}, "endpoint"
        ),
    },
}


def validate(text: str) -> dict[str, Any]:
    """The configuration, if a collector would accept it.

    Raises:
        jsonschema.ValidationError, SyntaxError, KeyError: it would not.
    """
    found: dict[str, Any] = yaml.safe_load(text)
    jsonschema.validate(found, _object({kind: {"type": "object"} for kind in (*COMPONENTS, "service")}, "service"))
    for kind, known in COMPONENTS.items():
        for identifier, settings in found[kind].items():
            # TYPE or TYPE/NAME
            jsonschema.validate(settings, known[identifier.partition("/")[0]])
    pipelines = found["service"]["pipelines"]
    jsonschema.validate(found["service"], _object({"pipelines": {"type": "object"}}, "pipelines"))
    for name, pipeline in pipelines.items():
        assert name == "metrics"
        for kind in COMPONENTS:
            # What is not used is a mistake; what is not there keeps the collector from starting.
            assert list(found[kind]) == pipeline[kind]
    for _, processor in transforms(found):
        for line in processor:
            ottl.statement(line)
    for line in conditions(found):
        ottl.condition(line)
    variables = re.findall(r"\$\{[^}]*\}|\$\w+", re.sub(r"\$\$", "", text))
    assert set(variables) <= {"${env:K8S_NODE_NAME}"}
    return found


def transforms(config: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The statements of each transform processor."""
    return [
        (name, settings["metric_statements"])
        for name, settings in config["processors"].items()
        if name.startswith("transform")
    ]


def conditions(config: dict[str, Any]) -> list[str]:
    """Those of filter processors."""
    return [
        line
        for name, settings in config["processors"].items()
        if name.startswith("filter")
        for line in settings["metrics"]["metric"]
    ]


def process(config: dict[str, Any], resource: Resource, pod: Any, namespace: Any) -> tuple[Resource | None, list[str]]:
    """What becomes of the attributes of a resource, None where its metrics are dropped; and statements that failed.

    Args:
        config: as validate returned it.
        resource: its attributes, as the receiver makes them.
        pod: the Pod, None if it is not known.
        namespace: the Namespace, None if it is not known.
    """
    found, failed = copy.deepcopy(resource), []
    for name, settings in config["processors"].items():
        kind = name.partition("/")[0]
        if kind == "transform":
            for line in settings["metric_statements"]:
                try:
                    ottl.statement(line)(found)
                except ottl.Failure:
                    assert settings["error_mode"] == "ignore"
                    failed.append(line)
        elif kind == "filter":
            if any(ottl.condition(line)(found) for line in settings["metrics"]["metric"]):
                return None, failed
        elif kind == "k8sattributes":
            _enrich(settings, found, {"pod": pod, "namespace": namespace})
    return found, failed


def _enrich(settings: dict[str, Any], found: Resource, objects: dict[str, Any]) -> None:
    """processor.go, processResource: no attribute that has a value is replaced."""
    for part in ("labels", "annotations"):
        for field in settings["extract"][part]:
            item = objects[field["from"]]
            value = ((item or {}).get("metadata", {}).get(part) or {}).get(field["key"])
            if value is not None and not found.get(field["tag_name"]):
                found[field["tag_name"]] = value
