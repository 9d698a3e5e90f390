"""What a tenant may see of a node as a whole: series without a pod or a claim of its own.

An allow list. Such series are of the machine and of the kubelet itself, but their labels can name what other pods
have mounted or run: a sandbox's path, an NFS export or a Longhorn device with a claim's name, a mount unit, the host
end of a pod's network. So a series passes only if each of its labels is known, and has a value of a form that no
object's name or id can take there. Labels that a later kubelet adds are left out until they are listed here.

Labels and values: pkg/kubelet/metrics, cAdvisor's metrics/prometheus.go, component-base, client-go, as recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORD = r"[A-Za-z_]{0,40}"
_VERSION = r"[A-Za-z0-9$][A-Za-z0-9.+:%$-]{0,63}|"
_HEX = r"[0-9a-f-]{32,36}|"
_DRIVER = r"<any>|<none>|[a-z0-9-]+(?:\.[a-z0-9-]+){1,5}"
_NOTHING = ""

_VALUES = {
    # Numbers.
    **dict.fromkeys(("le", "quantile"), r"[+-]?(?:Inf|NaN|[0-9.]+(?:e[+-]?[0-9]+)?)"),
    **dict.fromkeys(("major", "minor", "exit_code", "numa_node", "node_id", "gpu_index"), r"[0-9]{0,5}\+?"),
    "code": r"[0-9]{3}|[A-Z][A-Za-z]{0,40}|<error>",
    "cpu": r"total|(?:cpu)?[0-9]{1,4}",
    "pagesize": r"[0-9]{1,8}[KMG]?B?",
    "image_size_in_bytes": r"[0-9A-Z<>=-]{1,20}|N/A",
    # Words that the sources enumerate.
    **dict.fromkeys(
        (
            "allocation_source",
            "boundary",
            "compiler",
            "config",
            "container_state",
            "container_type",
            "failure_type",
            "is_error",
            "lifecycle",
            "long_running",
            "method",
            "method_name",
            "metric_source",
            "migrated",
            "mode",
            "operation",
            "operation_name",
            "operation_type",
            "present_locally",
            "provider",
            "pull_policy",
            "pull_required",
            "reason",
            "result",
            "scope",
            "server_type",
            "stability_level",
            "stage",
            "state",
            "static",
            "status",
            "type",
            "ulimit",
            "verb",
        ),
        _WORD,
    ),
    **dict.fromkeys(("eviction_signal", "preemption_signal", "grpc_status_code"), r"[A-Za-z.]{0,40}"),
    "path": r"[A-Za-z]{0,20}|metrics/(?:cadvisor|probes|resource|slis)|stats/summary",
    "server_api_version": r"v[0-9][a-z0-9]{0,10}",
    # Versions, and what a machine is called.
    **dict.fromkeys(
        (
            "build_date",
            "cadvisorRevision",
            "cadvisorVersion",
            "deprecated_version",
            "dockerVersion",
            "git_commit",
            "git_tree_state",
            "git_version",
            "go_version",
            "kernelVersion",
            "version",
        ),
        _VERSION,
    ),
    "platform": r"[a-z0-9]+/[a-z0-9]+",
    "osVersion": r"[A-Za-z0-9 ./()_-]{0,60}",
    **dict.fromkeys(("boot_id", "machine_id", "system_uuid"), _HEX),
    "node": r"[a-z0-9.-]{1,253}",
    "host": r"[0-9.]{7,15}(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?|localhost(?::[0-9]{1,5})?",
    # Plugins.
    **dict.fromkeys(("plugin_name", "volume_plugin"), r"kubernetes\.io/[a-z-]{1,30}(?::(?:" + _DRIVER + r"))?|"),
    "driver_name": _DRIVER,
    "resource_name": r"[a-z0-9.-]{1,253}/[A-Za-z0-9._-]{1,63}",
    "runtime_handler": _NOTHING,
    # Of feature gates and work queues: a capital or an underscore, which no name in Kubernetes has.
    "name": r"|[A-Z][A-Za-z0-9_-]{0,120}|[a-z]+(?:_[a-z]+){1,8}",
    # Of cAdvisor, about the machine and its cgroups.
    **dict.fromkeys(("namespace", "pod", "container", "image", "persistentvolumeclaim"), _NOTHING),
    "id": (
        r"/|/init\.scope|/kubepods(?:/(?:burstable|besteffort))?|/kubepods\.slice(?:/kubepods-(?:burstable|besteffort)\.slice)?"
        r"|/(?:kubelet|kube|runtime|system|podruntime)(?:\.slice)?(?:/(?:kubelet|runtime|containerd|crio|docker)(?:\.service)?)?"
        r"|/(?:system|user|machine)\.slice(?:/(?:kubelet|containerd|crio|docker|dbus|ssh|sshd|cron|chrony|chronyd|rsyslog"
        r"|systemd-[a-z]{1,20})\.service)?"
    ),
    "device": (
        r"|/dev/(?:(?:[hsv]|xv)d[a-z]{1,2}[0-9]{0,3}|nvme[0-9]{1,3}n[0-9]{1,3}(?:p[0-9]{1,3})?|mmcblk[0-9](?:p[0-9]{1,2})?"
        r"|dm-[0-9]{1,4}|md[0-9]{1,3}|loop[0-9]{1,4}|root|shm)"
        r"|overlay_[0-9]{1,4}-[0-9]{1,6}|tmpfs|none|/run(?:/lock)?|/sys/fs/cgroup"
    ),
    "interface": (
        r"lo|(?:eth|eno|ens|enp|bond|team|wlan|ib|ifb)[0-9][0-9a-z]{0,9}|(?:cni|br|docker|kube-bridge)[0-9]{0,3}"
        r"|flannel\.[0-9]{1,5}|vxlan\.calico|cilium_(?:host|net|vxlan|geneve)|kube-ipvs0|tunl0|nodelocaldns"
    ),
}
_ALLOWED = {label: re.compile(pattern) for label, pattern in _VALUES.items()}
_INTERFACE = _ALLOWED["interface"]

_UID = r"[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}"
_SLICES = r"/kubepods\.slice(?:/kubepods-[a-z]+\.slice)?/kubepods(?:-(?:burstable|besteffort))?-pod"
_SCOPE = r"(?:/(?:(?:cri-containerd-|crio-|docker-)[0-9a-f]{1,64}\.scope|[0-9a-f]{1,64}))?"
# The cgroup of a pod, and what is mounted below its folder. Whose the uid is, is asked elsewhere.
_OF_POD = {
    "id": re.compile(
        r"(?:/kubepods(?:/(?:burstable|besteffort))?/pod" + _UID + r"|" + _SLICES + _UID + r"\.slice)" + _SCOPE
    ),
    "device": re.compile(
        r"/var/(?:(?:lib|snap)/(?:[a-z0-9]+/)*)?(?:lib/)?kubelet/pods/" + _UID + r"(?:/[A-Za-z0-9._~-]{1,253}){1,6}"
    ),
}


def harmless(labels: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Whether a series that names neither pod nor claim can be shown to a tenant.

    Args:
        labels: the series' labels.
        own: those of them that hold the uid of one of the tenant's own pods.
    """
    machine = "id" in labels
    for label, value in labels.items():
        pattern = _OF_POD.get(label) if label in own else _ALLOWED.get(label)
        if pattern is None or not pattern.fullmatch(value):
            return False
        # Where there is a cgroup, a name is that of a container.
        if machine and value and label == "name":
            return False
    return True


def interface(name: str) -> bool:
    """Whether the name of a network interface is one of the machine's, and not the host end of some pod's."""
    return _INTERFACE.fullmatch(name) is not None
