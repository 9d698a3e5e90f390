"""What may be broken in the embedded cluster, for trying the doctor and for its tests.

Messages are those of the real thing: kube-aggregator, metrics-server, kubelets and the apiserver's proxy.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .certificates import Authority
from .changes import Answer, Edit, alter, refuse, say, substitute, together
from .exchange import Change, Refusal, Reply, Request

_REGISTERED = r"/apis/apiregistration\.k8s\.io/v1/apiservices/v1beta1\.metrics\.k8s\.io"
_SERVICE = r"/api/v1/namespaces/kube-system/services/metrics-server"
_PODS = r"/api/v1/namespaces/kube-system/pods"
_LOG = rf"{_PODS}/metrics-server-[^/]+/log"
_GROUP = r"/apis/metrics\.k8s\.io.*"
_METRICS = r"/apis/metrics\.k8s\.io/v1beta1/.*"
_CONFIG = r"/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_KUBELET = r"/api/v1/nodes/{node}/proxy/.*"
_URL = "https://10.244.7.2:10250/apis/metrics.k8s.io/v1beta1"


class Break(NamedTuple):
    """Something that is broken.

    Attributes:
        text: what it is.
        check: the identifier of the check that finds it.
        cause: which of its causes it is.
    """

    text: str
    check: str
    cause: str
    change: Change


# -------------------------------------------------------------------------------------------------------- Metrics API


def _items(edit: Edit, keep: Callable[[Any], bool]) -> Edit:
    def change(body: Any) -> None:
        for item in body["items"]:
            if keep(item):
                edit(item)

    return change


_DOWN = say(_METRICS, "service unavailable\n", 503)


def _condition(reason: str, message: str) -> Change:
    def edit(body: Any) -> None:
        body["status"]["conditions"][0].update(status="False", reason=reason, message=message)

    return together(alter(_REGISTERED, edit), _DOWN)


def _server(edit: Edit) -> Change:
    """Change metrics-server's pod, and let nobody be served by it."""
    ours = _items(edit, lambda item: item["metadata"]["name"].startswith("metrics-server"))
    return together(
        alter(_PODS, ours), _condition("MissingEndpoints", "endpointslices have no addresses with port name")
    )


def _unready(item: Any) -> None:
    item["status"]["conditions"][0]["status"] = "False"
    item["status"]["containerStatuses"][0]["ready"] = False


def _waiting(reason: str, **more: Any) -> Edit:
    def edit(item: Any) -> None:
        _unready(item)
        item["status"]["containerStatuses"][0].update(state={"waiting": {"reason": reason}}, restartCount=7, **more)

    return edit


def _told(argument: str, **spec: Any) -> Edit:
    def edit(item: Any) -> None:
        _unready(item)
        item["spec"].update(spec)
        container = item["spec"]["containers"][0]
        name = argument.partition("=")[0]
        container["args"] = [arg for arg in container["args"] if not arg.startswith(name)] + [argument]

    return edit


def _logged(line: str) -> Change:
    return together(
        _server(_unready),
        say(_LOG, f"I1121 08:00:00.1       1 serving.go:1] start\nE1121 08:00:01.2       1 {line}\n"),
    )


def _breaks_of_metrics_server() -> dict[str, Break]:
    failed = 'scraper.go:140] "Failed to scrape node" err='
    scraper = failed + '"Get \\"https://10.0.0.1:10250/metrics/resource\\": {}" node="worker-1"'
    map_path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    config = (
        "configmap_cafile_content.go:242] unable to load configmap based request-header-client-ca-file: "
        f'Get "https://10.96.0.1:443{map_path}": '
    )
    denied = 'authentication.go:63] "Unable to authenticate the request" err='
    logs = {
        "ip-sans": scraper.format(
            "x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs"
        ),
        "unknown-authority": scraper.format("x509: certificate signed by unknown authority"),
        "kubelet-timeout": scraper.format("dial tcp 10.0.0.1:10250: i/o timeout"),
        "no-such-host": scraper.format("dial tcp: lookup worker-1 on 10.96.0.10:53: no such host"),
        "kubelet-403": failed + '"request failed, status: \\"403 Forbidden\\""',
        "kubelet-401": failed + '"request failed, status: \\"401 Unauthorized\\""',
        "request-header": denied + '"[x509: certificate signed by unknown authority]"',
        "allowed-names": denied + '"x509: subject with cn=front-proxy-client is not in the allowed list: [aggregator]"',
        "cluster-ip": f"{config}dial tcp 10.96.0.1:443: i/o timeout",
        "auth-reader": 'reflector.go:1] configmaps "extension-apiserver-authentication" is forbidden: User "x" cannot',
        "address-in-use": "run.go:1] failed to create listener: listen tcp 0.0.0.0:10250: bind: address already in use",
        "permission": "run.go:1] failed to create listener: listen tcp 0.0.0.0:443: bind: permission denied",
    }
    return {
        f"log-{cause}": Break(
            f"metrics-server's log: {line.partition(']')[2].strip()[:60]}…", "VM103", cause, _logged(line)
        )
        for cause, line in logs.items()
    }


def _breaks_of_metrics_api() -> dict[str, Break]:
    gone = refuse(_REGISTERED, 404, "NotFound", 'apiservices "v1beta1.metrics.k8s.io" not found')
    check = "FailedDiscoveryCheck"
    failing = f"failing or missing response from {_URL}: "

    def unlisted(body: Any) -> None:
        key = "groups" if "groups" in body else "items"
        body[key] = [item for item in body[key] if "metrics.k8s.io" not in (item.get("name"), *_name(item))]

    def no_field(name: str) -> Change:
        return alter(_CONFIG, lambda body: body["data"].pop(name))

    def other(body: Any) -> None:
        body["spec"]["service"]["name"] = "prometheus-adapter"

    def old(body: Any) -> None:
        for item in body["items"]:
            item["timestamp"] = "2020-01-01T00:00:00Z"

    def fewer(body: Any) -> None:
        del body["items"][1:]

    def empty(body: Any) -> None:
        body["items"] = []

    def twice(body: Any) -> None:
        """Two replicas, and an apiserver that leads to one of them at a time."""
        ours = [item for item in body["items"] if item["metadata"]["name"].startswith("metrics-server")]
        for item in ours:
            second = json.loads(json.dumps(item))
            second["metadata"]["name"] = "metrics-server-7b9c7d8f5c-9zk7t"
            body["items"].append(second)

    def routed(request: Request, answer: Answer) -> Reply:
        if request.query.get("labelSelector") != "component=kube-apiserver":
            return answer(request)
        meta = {"name": "kube-apiserver-cp-1", "namespace": "kube-system"}
        container = {"name": "kube-apiserver", "command": ["kube-apiserver", "--secure-port=6443"]}
        pod = {"metadata": meta, "spec": {"containers": [container]}}
        return Reply(200, json.dumps({"items": [pod]}).encode())

    def swap(body: Any) -> None:
        body["items"][0]["status"]["nodeInfo"]["swap"] = {"capacity": 1 << 33}

    service = refuse(_SERVICE, 404, "NotFound", 'services "metrics-server" not found')
    said = {
        "refused": f'{failing}Get "{_URL}": dial tcp 10.244.7.2:10250: connect: connection refused',
        "timeout": f'{failing}Get "{_URL}": context deadline exceeded',
        "proxy": f'{failing}Get "{_URL}": Forbidden',
        "identity": f"{failing}bad status from {_URL}: 403",
        "certificate": f'{failing}Get "{_URL}": x509: certificate is valid for localhost, not 10.244.7.2',
    }
    found = {
        "no-metrics-server": Break(
            "nobody serves metrics.k8s.io",
            "VM102",
            "nothing",
            together(gone, alter("/apis", unlisted), say(_GROUP, "404 page not found\n", 404)),
        ),
        "other-adapter": Break(
            "metrics.k8s.io is served by another component",
            "VM102",
            "other",
            together(alter(_REGISTERED, other), _alias("services/prometheus-adapter", "services/metrics-server")),
        ),
        "aggregation-off": Break(
            "the aggregation layer is not configured",
            "VM101",
            "not-configured",
            together(no_field("requestheader-client-ca-file"), _DOWN),
        ),
        "aggregation-headers": Break(
            "the aggregation layer has no names of headers",
            "VM101",
            "headers",
            together(no_field("requestheader-group-headers"), _DOWN),
        ),
        "service-missing": Break(
            "the Service of metrics-server was deleted",
            "VM105",
            "ServiceNotFound",
            together(service, _condition("ServiceNotFound", 'service/metrics-server in "kube-system" is not present')),
        ),
        "service-port": Break(
            "its Service listens at another port",
            "VM105",
            "ServicePortError",
            _condition("ServicePortError", "service/metrics-server is not listening on port 443"),
        ),
        "no-pods": Break(
            "its Service selects no pods",
            "VM104",
            "none",
            together(
                alter(_PODS, empty),
                _condition("EndpointsNotFound", "cannot find endpointslices for service/metrics-server"),
            ),
        ),
        "crash-loop": Break("its pod starts again and again", "VM104", "crash", _server(_waiting("CrashLoopBackOff"))),
        "out-of-memory": Break(
            "its pod has too little memory",
            "VM104",
            "memory",
            _server(_waiting("CrashLoopBackOff", lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}})),
        ),
        "image": Break("its image cannot be pulled", "VM104", "waiting", _server(_waiting("ImagePullBackOff"))),
        "host-port": Break(
            "it uses the node's network, and the kubelet's port",
            "VM104",
            "port",
            _server(_told("--secure-port=10250", hostNetwork=True)),
        ),
        "resolution": Break(
            "its resolution is too fine", "VM104", "resolution", _server(_told("--metric-resolution=5s"))
        ),
        "not-ready": Break("it has nothing to serve yet", "VM104", "unready", _server(_unready)),
        "replicas": Break(
            "two replicas, of which one is used", "VM104", "routing", together(alter(_PODS, twice), routed)
        ),
        "just-started": Break(
            "it has just started: its lists are empty",
            "VM106",
            "starting",
            alter(_METRICS, lambda body: empty(body) if "items" in body else None),
        ),
        "nodes-missing": Break(
            "most nodes are without metrics", "VM106", "silent", alter(r"/apis/metrics\.k8s\.io/v1beta1/nodes", fewer)
        ),
        "stale": Break(
            "it does not measure any more", "VM106", "stale", alter(r"/apis/metrics\.k8s\.io/v1beta1/nodes", old)
        ),
        "no-pod-metrics": Break(
            "pods have no metrics", "VM107", "none", alter(r"/apis/metrics\.k8s\.io/v1beta1/pods", empty)
        ),
        "swap": Break("a node has swap, of which nobody tells", "VM108", "not-told", alter(r"/api/v1/nodes", swap)),
    }
    return found | {
        f"aggregator-{cause}": Break(
            f"the aggregator: {message.partition(': ')[2][:60]}…", "VM105", cause, _condition(check, message)
        )
        for cause, message in said.items()
    }


def _name(item: Any) -> tuple[str, ...]:
    return (item.get("metadata", {}).get("name", ""),)


def _alias(new: str, old: str) -> Change:
    return lambda request, answer: answer(request._replace(path=request.path.replace(new, old)))


# -------------------------------------------------------------------------------------------------- kubelets, tenants


def _breaks_of_kubelets() -> dict[str, Break]:
    one = _KUBELET.format(node="worker-2")
    every = _KUBELET.format(node="[^/]+")
    trouble = "error trying to reach service: "

    def down(body: Any) -> None:
        body["items"][0]["status"]["conditions"][0].update(status="Unknown", reason="NodeStatusUnknown")

    def forbidden(request: Request, answer: Answer) -> Reply:
        if re.fullmatch(every, request.path):
            name = request.path.split("/")[4]
            cannot = 'User "bob" cannot get resource "nodes/proxy" in API group "" at the cluster scope'
            raise Refusal(403, "Forbidden", f'nodes "{name}" is forbidden: {cannot}')
        return answer(request)

    identity = "Forbidden (user=kube-apiserver-kubelet-client, verb=get, resource=nodes, subresource(s)=[metrics])\n"
    return {
        "node-down": Break("a node is not ready", "VM201", "not-ready", alter(r"/api/v1/nodes", down)),
        "kubelet-rights": Break("the user may not ask kubelets", "VM202", "caller", forbidden),
        "kubelet-identity": Break(
            "kubelets do not let the apiserver in", "VM202", "apiserver", say(every, identity, 403)
        ),
        "kubelet-unauthorized": Break(
            "kubelets do not believe the apiserver", "VM202", "unauthorized", say(every, "Unauthorized", 401)
        ),
        "kubelet-down": Break(
            "a kubelet is down",
            "VM202",
            "refused",
            refuse(one, 503, "ServiceUnavailable", f"{trouble}dial tcp 10.0.0.2:10250: connect: connection refused"),
        ),
        "kubelet-timeout": Break(
            "a node cannot be reached",
            "VM202",
            "timeout",
            refuse(one, 503, "ServiceUnavailable", f"{trouble}dial tcp 10.0.0.2:10250: i/o timeout"),
        ),
        "kubelet-tls": Break(
            "a kubelet's certificate is not believed",
            "VM202",
            "tls",
            refuse(one, 503, "ServiceUnavailable", f"{trouble}x509: certificate signed by unknown authority"),
        ),
        "scrape-error": Break(
            "a kubelet has no numbers",
            "VM203",
            "error",
            substitute(one, b"resource_scrape_error 0", b"resource_scrape_error 1"),
        ),
        "no-containers": Break(
            "a runtime tells nothing of containers", "VM203", "containers", substitute(one, rb"container_[^\n]*\n", b"")
        ),
        "cgroup-v1": Break(
            "nodes run on cgroup v1", "VM205", "v1", substitute(every, rb"\Z", b"\nkubelet_cgroup_version 1\n")
        ),
        "no-pressure": Break("kernels without PSI", "VM206", "none", substitute(every, b'"psi"', b'"none"')),
    }


def _breaks_of_tenants() -> dict[str, Break]:
    sets = r"/apis/apps/v1/statefulsets"
    handler = r"/api/v1/namespaces/kubevirt/pods/https:virt-handler-[^/]+/proxy/metrics"
    api = r"/api/v1/namespaces/kubevirt/pods/https:virt-api-[^/]+/proxy/metrics"
    tenants = r"/apis/kamaji\.clastix\.io/v1alpha1/tenantcontrolplanes"
    lost = {"count": 3}

    def losing(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if re.fullmatch(api, request.path):
            lost["count"] += 5
            body = re.sub(rb'(code="<error>".*) \d+', rb"\g<1> %d" % lost["count"], reply.body)
            return reply._replace(body=body)
        return reply

    def first(edit: Edit) -> Edit:
        return lambda body: edit(body["items"][0])

    def no_group(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if not request.path.endswith("/secrets/acme-api-server-kubelet-client-certificate"):
            return reply
        body = json.loads(reply.body)
        pair = Authority("kubernetes").client("kube-apiserver-kubelet-client")
        for key, value in (("crt", pair.certificate), ("key", pair.key)):
            body["data"][f"apiserver-kubelet-client.{key}"] = base64.b64encode(value).decode()
        return reply._replace(body=json.dumps(body).encode())

    def elsewhere(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if request.path != "/api/v1/pods" or "managed-by" not in request.query.get("labelSelector", ""):
            return reply
        body = json.loads(reply.body)
        body["items"] = [item for item in body["items"] if item["metadata"]["namespace"] != "team-a"]
        return reply._replace(body=json.dumps(body).encode())

    waited = re.compile(rb"(kubevirt_vmi_vcpu_(?:wait|delay)_seconds_total\{[^}]*\}) \S+")

    def fake(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if not request.path.endswith("/secrets/vc-config-shop"):
            return reply
        return Reply(200, json.dumps({"data": {"config.yaml": base64.b64encode(b"{}").decode()}}).encode())

    def alone(request: Request, answer: Answer) -> Reply:
        """A tenant with a konnectivity server to which nobody is connected."""
        if re.fullmatch(r"/api/v1/namespaces/tenants/pods/http:[^/]+:8134/proxy/metrics", request.path):
            return Reply(200, b"konnectivity_network_proxy_server_ready_backends 0\n", "text/plain")
        reply = answer(request)
        if request.path not in ("/api/v1/pods", "/api/v1/namespaces/tenants/pods"):
            return reply
        body = json.loads(reply.body)
        for item in body["items"]:
            if "kamaji.clastix.io/name" in item["metadata"].get("labels", {}) and "spec" in item:
                image = "registry.k8s.io/kas-network-proxy/proxy-server:v0.34.0"
                item["spec"]["containers"].append({"name": "konnectivity-server", "image": image})
        return reply._replace(body=json.dumps(body).encode())

    return {
        "fake-nodes": Break("a virtual cluster whose nodes are made up", "VM304", "fake", fake),
        "no-agents": Break("a tenant to which no konnectivity agent is connected", "VM504", "none", alone),
        "vcluster-paused": Break(
            "a virtual cluster is paused",
            "VM301",
            "paused",
            alter(sets, first(lambda item: item["spec"].update(replicas=0))),
        ),
        "vcluster-not-ready": Break(
            "a virtual cluster's control plane is not ready",
            "VM301",
            "not-ready",
            alter(sets, first(lambda item: item["status"].update(readyReplicas=0))),
        ),
        "private-nodes": Break("a virtual cluster with nodes of its own", "VM303", "elsewhere", elsewhere),
        "kubevirt-deploying": Break(
            "KubeVirt is being deployed",
            "VM401",
            "deploying",
            alter(r"/apis/kubevirt\.io/v1/kubevirts", first(lambda item: item["status"].update(phase="Deploying"))),
        ),
        "virt-handler-down": Break(
            "virt-handlers do not answer",
            "VM402",
            "down",
            refuse(handler, 503, "ServiceUnavailable", "error trying to reach service: dial tcp: connection refused"),
        ),
        "virt-handler-busy": Break(
            "virt-handlers are scraped by too many",
            "VM402",
            "busy",
            say(handler, "Limit of concurrent requests reached (3), try again later.\n", 503),
        ),
        "virt-api-lost": Break("virt-api cannot reach the apiserver", "VM402", "lost", losing),
        "service-monitor": Break(
            "there is no ServiceMonitor for KubeVirt",
            "VM403",
            "monitoring",
            alter(r"/apis/monitoring\.coreos\.com/v1/servicemonitors", lambda body: body.update(items=[])),
        ),
        "schedstats": Break(
            "kernels do not measure how long vCPUs wait", "VM404", "schedstats", _zero(handler, waited)
        ),
        "tenant-not-ready": Break(
            "a tenant's replica is not ready",
            "VM501",
            "not-ready",
            alter(
                tenants, first(lambda item: item["status"]["kubernetesResources"]["deployment"].update(readyReplicas=0))
            ),
        ),
        "certificate-group": Break("a tenant's certificate has lost its group", "VM502", "group", no_group),
        "datastore": Break(
            "a datastore is not ready",
            "VM503",
            "not-ready",
            alter(
                r"/apis/kamaji\.clastix\.io/v1alpha1/datastores", first(lambda item: item["status"].update(ready=False))
            ),
        ),
    }


def _zero(path: str, series: re.Pattern[bytes]) -> Change:
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        return reply._replace(body=series.sub(rb"\g<1> 0", reply.body)) if known.fullmatch(request.path) else reply

    return change


def _nothing(request: Request, answer: Answer) -> Reply:
    """A user who may do nothing."""
    if request.path.endswith("/selfsubjectaccessreviews"):
        return Reply(200, b'{"status":{"allowed":false}}')
    if request.path.count("/") > 2 and not re.fullmatch(r"/apis/[^/]+(/v[^/]+)?|/api/v1", request.path):
        raise Refusal(403, "Forbidden", f'{request.path.rpartition("/")[2]} is forbidden: User "nobody" cannot do this')
    return answer(request)


BREAKS: dict[str, Break] = {
    **_breaks_of_metrics_api(),
    **_breaks_of_metrics_server(),
    **_breaks_of_kubelets(),
    **_breaks_of_tenants(),
    "no-rights": Break("the user may do nothing", "VM601", "missing", _nothing),
}
