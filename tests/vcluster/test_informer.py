"""The map of origins follows what happens on the host."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.kube import reflector
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, StatusError
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.vcluster.identity import Origin, VClusterRef
from kubectl_vmetrics.vcluster.informer import Informer
from kubectl_vmetrics.vcluster.origins import GRACE, PODS, Origins
from kubectl_vmetrics.vcluster.rewrite import exposition
from tests.changing import Changing, synced_pod
from tests.kube.test_reflector import soon

VC = VClusterRef("team-a", "vc")
UIDS = [f"{n}{n}{n}{n}{n}{n}{n}{n}-aaaa-bbbb-cccc-dddddddddddd" for n in range(10)]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Changing, Informer]]:
    monkeypatch.setattr(reflector, "FIRST_PAUSE", 0.01)
    changing = Changing()
    changing.put("pods", synced_pod("team-a", "shop", "cart", "vc", UIDS[0]))
    with server.serving(changing) as url:
        informer = Informer(Client(Connection(server=url)))
        yield changing, informer
        informer.stop()


def sample(pod: str, uid: str = "") -> bytes:
    label = f',uid="{uid}"' if uid else ""
    return f'cpu{{namespace="team-a",pod="{pod}"{label}}} 1\n'.encode()


def test_a_series_of_a_new_pod_is_shown_although_it_was_dropped_before(host: tuple[Changing, Informer]) -> None:
    changing, informer = host
    origins = informer.origins()
    view = exposition.tenant(origins, VC)
    path = f'io{{device="/var/lib/kubelet/pods/{UIDS[1]}/volumes/a"}} 1\n'.encode()
    assert b"".join(view.rewrite([path])) == b""  # nobody knows whose it is

    changing.put("pods", synced_pod("team-a", "shop", "web", "vc", UIDS[1]))
    soon(lambda: len(informer) == 2)

    assert b"/pods/virtual-" in b"".join(view.rewrite([path]))
    assert b'pod="web"' in b"".join(view.rewrite([sample("web-x-shop-x-vc")]))


def test_a_pod_that_was_made_anew_under_its_name(host: tuple[Changing, Informer]) -> None:
    changing, informer = host
    origins = informer.origins()
    view = exposition.tenant(origins, VC)
    before, after = sample("cart-x-shop-x-vc", UIDS[0]), sample("cart-x-shop-x-vc", UIDS[1])
    assert f"virtual-{UIDS[0]}".encode() in b"".join(view.rewrite([before]))
    assert b'uid=""' in b"".join(view.rewrite([after]))  # a host uid that is not known is not shown

    changing.delete("pods", "team-a", "cart-x-shop-x-vc")
    changing.put("pods", synced_pod("team-a", "shop", "cart", "vc", UIDS[1]))
    soon(lambda: origins.by_uid(UIDS[1]) is not None)

    assert f"virtual-{UIDS[1]}".encode() in b"".join(view.rewrite([after]))
    # The last numbers of the one before are still the tenant's.
    assert f"virtual-{UIDS[0]}".encode() in b"".join(view.rewrite([before]))


def test_a_namespace_that_is_synced_whole_from_now_on(host: tuple[Changing, Informer]) -> None:
    changing, informer = host
    origins = informer.origins()
    assert origins.find(PODS, "whole", "plain") is None

    changing.put(
        "namespaces",
        {
            "metadata": {
                "name": "whole",
                "labels": {
                    "vcluster.loft.sh/vcluster-name": "vc",
                    "vcluster.loft.sh/vcluster-namespace": "team-a",
                    "vcluster.loft.sh/managed-by": "team-a-x-vc",
                },
                "annotations": {"vcluster.loft.sh/object-name": "inner"},
            }
        },
    )
    changing.put("pods", {"metadata": {"name": "plain", "namespace": "whole", "uid": UIDS[3]}})
    soon(lambda: origins.by_uid(UIDS[3]) is not None)
    found = origins.find(PODS, "whole", "plain")
    assert found is not None
    assert (found.vcluster, found.namespace, found.name) == (VC, "inner", "plain")

    changing.delete("namespaces", "", "whole")
    soon(lambda: not origins.synced)


def test_the_host_cannot_be_asked(host: tuple[Changing, Informer]) -> None:
    changing, informer = host
    changing.refuse = 403

    with pytest.raises(StatusError):
        informer.origins()

    changing.refuse = None
    soon(lambda: len(informer) == 1)
    assert len(informer.origins()) == 1  # it is tried again meanwhile


def test_without_rights_on_pods_nothing_is_heard_of_the_host(host: tuple[Changing, Informer]) -> None:
    changing, informer = host
    changing.forbidden = {"/api/v1/pods"}
    with pytest.raises(Forbidden):
        informer.origins()
    others = {"/api/v1/namespaces", "/api/v1/persistentvolumeclaims"}
    soon(lambda: others <= {path for path, _ in changing.watches})  # these are well

    assert informer.silence() > 0

    changing.forbidden = set()
    soon(lambda: informer.silence() == 0)


def test_rights_that_are_not_needed_are_no_silence(host: tuple[Changing, Informer]) -> None:
    changing, informer = host
    changing.forbidden = {"/api/v1/namespaces", "/api/v1/persistentvolumeclaims"}

    assert len(informer.origins()) == 1
    soon(lambda: informer.cuts() > 1)
    assert informer.silence() == 0


def test_what_is_deleted_stays_for_a_while_unless_it_comes_back() -> None:
    now = 0.0
    origins = Origins(clock=lambda: now)
    a, b = (msgspec.convert(synced_pod("team-a", "shop", n, "vc", u), Origin) for n, u in (("a", "u1"), ("b", "u2")))
    for item in (a, b):
        origins.add(PODS, item)
        origins.remove(PODS, "team-a", item.metadata.name)
    origins.add(PODS, b)
    now = GRACE - 1
    origins.remove(PODS, "team-a", "nothing")
    assert (len(origins), origins.by_uid("u1") is None) == (2, False)

    now = GRACE
    origins.remove(PODS, "team-a", "nothing")

    assert origins.by_uid("u1") is None
    assert origins.by_uid("u2") is not None
    assert len(origins) == 1
