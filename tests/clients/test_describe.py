"""The real `kubectl describe node` adds up requests and limits as we do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.exchange import Reply
from tests.clients.test_kubectl import KUBECTL, kubectl
from tests.conftest import write_kubeconfig
from tests.metrics.reserved import CASES
from tests.replay import Replay

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
_DESCRIBED = [case for case in CASES if case.described]
NODES = {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node", "verbs": ["get", "list"]}


def shown(amount: int | None, unit: str) -> str:
    return f"{amount}{unit}" if amount else "0"


def test_kubectl_describes_the_same_requests_and_limits(tmp_path: Path) -> None:
    replay = Replay("host")
    pods = [
        {
            "metadata": {"name": f"case-{index}", "namespace": "default"},
            "spec": {**case.spec, "nodeName": "vm"},
            "status": {"phase": "Running", **case.status},
        }
        for index, case in enumerate(_DESCRIBED)
    ]
    documents = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [NODES]},
        "/api/v1/pods": {"kind": "PodList", "apiVersion": "v1", "items": pods},
        "/api/v1/events": {"kind": "EventList", "apiVersion": "v1", "items": []},
    }
    for path, document in documents.items():
        replay.override[path] = Reply(200, json.dumps(document).encode())
    with server.serving(replay) as url:
        result = kubectl(write_kubeconfig(tmp_path, url), "describe", "node", "vm")
    assert result.code == 0, result.stderr
    lines = re.findall(r"^  default +case-(\d+) +(.*)$", result.stdout, re.MULTILINE)
    assert len(lines) == len(_DESCRIBED)
    for index, line in lines:
        case = _DESCRIBED[int(index)]
        cells = re.sub(r" \(\d+%\)", "", line).split()[:4]
        described = {"requests": (cells[0], cells[2]), "limits": (cells[1], cells[3])}
        for what in case.described:
            cpu, memory = getattr(case, what)
            assert described[what] == (shown(cpu, "m"), shown(memory, "Mi")), (case.name, what)
