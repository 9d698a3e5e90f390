"""The samples of virtual machines that are kept for the next run: numbers by namespace and name, nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kubectl_vmetrics.metrics import recall

from .guests import Guest

_VERSION = 3


class Recall(recall.Recall[Guest]):
    """The file of one cluster.

    Args:
        folder: kubectl's cache folder.
        cluster: identifies the cluster and the user; only its hash is stored.
    """

    def __init__(self, folder: Path, cluster: str) -> None:
        super().__init__(folder, cluster, Guest, _VERSION, _slim)


def _slim(guest: Guest) -> Guest:
    """Neither labels nor paths of the guest's file systems."""
    return msgspec.structs.replace(guest, labels={}, filesystems={}, migration=None)
