"""Who is who in a Prometheus, against the recording: what was running is in its events and snapshots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubectl_vmetrics.history import jobs, names
from kubectl_vmetrics.history.jobs import Jobs
from kubectl_vmetrics.history.names import HOST, Identity
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.prometheus import MISSING, unpack
from tests.truth import evaluated
from tests.truth.oracle import moment

pytestmark = MISSING

VC1, VC2, VC3 = VClusterRef("team-a", "vc1"), VClusterRef("team-b", "vc2"), VClusterRef("team-c", "vc1")
WHOLE = Window(moment("16:10:00"), moment("16:42:30"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the recording."""
    folder = tmp_path_factory.mktemp("recording")
    unpack(folder)
    with evaluated.recorded(folder) as url:
        yield Prometheus(way.by_url(url, Login()))


def test_jobs_of_the_recording(recording: Prometheus) -> None:
    """The jobs' own names, one of the two that have cAdvisor's series, and nothing where there is no source."""
    assert jobs.read(recording, WHOLE) == Jobs(
        cadvisor='job="kubelet",metrics_path="/metrics/cadvisor"',
        kubelet='job="kubelet"',
        state='job="kube-state-metrics"',
        names='job="none of this source"',
        labeled='job=~"kubelet|vmetrics-cadvisor"',
        recorded='job=""',
    )


def test_by_kube_state_metrics(recording: Prometheus) -> None:
    """Plain, hashed and ambiguous names; those of pods that are gone; control planes; the host's own."""
    found = names.read(recording, WHOLE)
    assert found.way == "kube-state-metrics"
    assert found.known == [VC1, VC2, VC3]
    assert found.of("team-a", "a-x-b-x-c-x-vc1") == Identity(VC1, "b-x-c", "a")
    assert found.of("team-a", "flash-1-x-default-x-vc1") == Identity(VC1, "default", "flash-1")
    assert found.of("team-b", "nightly-reconciliation-of-the-general-ledger-with-al-53cc38a38d") == Identity(
        VC2, "batch", "nightly-reconciliation-of-the-general-ledger-with-all-subsidiaries"
    )
    assert found.of("team-c", "web-x-default-x-vc1") == Identity(VC3, "default", "web")
    assert found.of("shop", "db-0") == HOST
    assert found.is_control_plane("team-b", "vc2-0") == VC2
    assert found.is_control_plane("team-c", "web-x-default-x-vc1") is None
    assert found.is_control_plane("shop", "db-0") is None
    assert dict(found.unproven) == {}
