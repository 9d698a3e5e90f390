"""Whose things with the labels of a virtual cluster are."""

from __future__ import annotations

import msgspec
import pytest

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.vcluster import homes
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import Origin, SyncedNamespace, VClusterRef
from kubectl_vmetrics.vcluster.origins import GRACE, PODS, Origins
from tests.changing import synced_pod

HERE, THERE = VClusterRef("team-b", "dev"), VClusterRef("team-c", "dev")
OTHER = VClusterRef("team-x", "vc")


def inventory(*refs: VClusterRef, namespace: str | None = "", **targets: str) -> Inventory:
    clusters = [VCluster(ref, target=targets.get(ref.host_namespace.replace("-", "_"), "")) for ref in refs]
    return Inventory(clusters, namespace == "", namespace or None)


@pytest.mark.parametrize(
    ("found", "targets", "expected"),
    [
        # What is asked for: pods with the label dev in team-b, team-c and evil.
        (Inventory(), [], [HERE, THERE, VClusterRef("evil", "dev")]),
        (inventory(HERE, namespace="team-b"), [], [HERE, THERE, VClusterRef("evil", "dev")]),
        (inventory(HERE), [], [HERE, None, None]),
        (inventory(HERE, THERE), [], [HERE, THERE, None]),
        (inventory(THERE, namespace="team-c"), [], [HERE, THERE, VClusterRef("evil", "dev")]),
        (inventory(namespace="evil"), [], [HERE, THERE, None]),
        (inventory(HERE, team_b="evil"), [], [HERE, None, HERE]),
        (inventory(HERE), [("evil", HERE)], [HERE, None, HERE]),
        (Inventory(), [("evil", HERE)], [HERE, THERE, HERE]),
        # A control plane in its own namespace comes before all others that claim it.
        (inventory(HERE, THERE, team_b="team-c"), [("team-c", HERE)], [HERE, THERE, None]),
        # Two that claim the same get none of it, but for the word of the user.
        (inventory(HERE, THERE, team_b="evil", team_c="evil"), [], [HERE, THERE, None]),
        (inventory(HERE, THERE, team_b="evil", team_c="evil"), [("evil", THERE)], [HERE, THERE, THERE]),
        (inventory(HERE, THERE), [("evil", THERE), ("evil", HERE)], [HERE, THERE, None]),
        # Where control planes may run unseen, the word of one elsewhere does not count.
        (inventory(HERE, namespace="team-b", team_b="evil"), [], [HERE, THERE, VClusterRef("evil", "dev")]),
        (inventory(HERE, namespace="team-b", team_b="evil"), [("evil", HERE)], [HERE, THERE, HERE]),
        # Another name is another virtual cluster.
        (inventory(HERE, OTHER, team_x="evil"), [], [HERE, None, None]),
    ],
)
def test_whose(found: Inventory, targets: list[tuple[str, VClusterRef]], expected: list[VClusterRef | None]) -> None:
    decide = Homes(found, targets)

    assert [decide(namespace, "dev") for namespace in ("team-b", "team-c", "evil")] == expected


def test_what_the_service_of_a_control_plane_owns_is_not_claimed_from_elsewhere() -> None:
    """The victim's control plane is gone, and one elsewhere claims its namespace by its own configuration."""
    decide = Homes(inventory(HERE, team_b="lost"))

    assert decide("lost", "dev") == HERE
    assert decide("lost", "dev", at_home=True) is None
    assert Homes(inventory(HERE), [("lost", HERE)])("lost", "dev", at_home=True) == HERE  # the user's word

    origins = Origins(homes=decide)
    owner = {"kind": "Service", "name": "dev", "controller": False}
    assert origins.add(PODS, msgspec.convert(synced_pod("lost", "shop", "web", "dev", "u1"), Origin)) is not None
    owned = synced_pod("lost", "shop", "api", "dev", "u2", ownerReferences=[owner])
    assert origins.add(PODS, msgspec.convert(owned, Origin)) is None
    assert origins.unproven(PODS) == {("lost", "dev"): 1}


def test_two_claimants_are_named() -> None:
    both = Homes(inventory(HERE, THERE, team_b="evil", team_c="evil"))
    words = (
        "team-b/dev and team-c/dev both claim host namespace evil, so its pods count as the host's. "
        "Specify one with --target-namespace evil=team-b/dev"
    )

    assert homes.warning({("evil", "dev"): 2}, homes=both) == words
    assert homes.warning({}, homes=both) is None
    assert Homes(inventory(HERE, team_b="evil")).contested() is None
    assert Homes(inventory(HERE, THERE, team_b="evil", team_c="evil"), [("evil", HERE)]).contested() is None


def test_synced_namespaces_that_cannot_be() -> None:
    synced = {name: SyncedNamespace(ref, "x") for name, ref in (("a", HERE), ("team-b", OTHER), ("b", OTHER))}

    assert set(Homes(inventory(HERE)).proven(synced)) == {"a"}
    assert set(Homes(inventory(HERE, OTHER)).proven(synced)) == {"a", "b"}
    assert set(Homes(inventory(HERE, namespace="team-b")).proven(synced)) == {"a", "b"}
    assert set(Homes().proven(synced)) == {"a", "b", "team-b"}


def test_the_warning() -> None:
    assert homes.warning({}) is None
    assert homes.warning({("evil", "vc1"): 3, ("evil2", "vc2"): 1}, "volume claim") == (
        "4 volume claims carry labels of a virtual cluster that does not run in their namespace (vc1 in evil, and 1 more); "
        "they count as the host's. If it syncs there, add --target-namespace evil=HOSTNS/vc1"
    )


def test_targets() -> None:
    assert homes.parse_targets(["a=b/c", "a-1=b/d"]) == [("a", VClusterRef("b", "c")), ("a-1", VClusterRef("b", "d"))]
    with pytest.raises(UsageError):
        homes.parse_targets(["a=b"])


def pod(namespace: str, name: str, uid: str) -> Origin:
    return msgspec.convert(synced_pod(namespace, "shop", name, "dev", uid), Origin)


class Told:
    def __init__(self) -> None:
        self.words: list[str] = []

    def forget(self, word: str) -> None:
        self.words.append(word)


def test_virtual_clusters_come_and_go() -> None:
    origins = Origins(homes=Homes(inventory(HERE)))
    told = Told()
    origins.tell(told)
    for namespace, uid in (("team-b", "u1"), ("team-c", "u2")):
        origins.add(PODS, pod(namespace, "web", uid))
    name = "web-x-shop-x-dev"

    def owners() -> list[VClusterRef | None]:
        found = [origins.find(PODS, namespace, name) for namespace in ("team-b", "team-c")]
        by_uid = [origins.by_uid(uid) for uid in ("u1", "u2")]
        assert found == by_uid
        return [item.vcluster if item else None for item in found]

    assert owners() == [HERE, None]
    assert origins.unproven(PODS) == {("team-c", "dev"): 1}

    told.words.clear()
    origins.rehome(Homes(inventory(THERE)))
    assert owners() == [None, THERE]
    assert set(told.words) == {name, "u1", "u2"}
    assert origins.unproven(PODS) == {("team-b", "dev"): 1}

    origins.rehome(Homes(inventory(HERE, team_b="team-c")))
    assert owners() == [HERE, HERE]
    assert origins.unproven(PODS) == {}

    origins.rehome(Homes(inventory()))
    assert owners() == [None, None]
    assert len(origins) == 0


def test_what_was_deleted_leaves_although_it_moved_meanwhile() -> None:
    now = 0.0
    origins = Origins(homes=Homes(inventory(HERE, team_b="team-c")), clock=lambda: now)
    origins.add(PODS, pod("team-c", "web", "u2"))
    origins.remove(PODS, "team-c", "web-x-shop-x-dev")
    origins.rehome(Homes(inventory(HERE, THERE)))
    assert origins.by_uid("u2") is not None

    now = GRACE
    origins.remove(PODS, "team-c", "nothing")

    assert origins.by_uid("u2") is None
    assert len(origins) == 0


def test_a_namespace_that_is_synced_no_more_leaves_nothing_behind() -> None:
    plain = msgspec.convert({"metadata": {"name": "db-0", "namespace": "a", "uid": "u1"}}, Origin)
    origins = Origins({"a": SyncedNamespace(HERE, "x")})
    origins.add(PODS, plain)
    assert origins.by_uid("u1") is not None

    origins.rehome(origins.homes, {"a": SyncedNamespace(OTHER, "x")})
    assert origins.by_uid("u1") is None

    origins.add(PODS, plain)
    origins.rehome(origins.homes, {})
    assert (origins.by_uid("u1"), origins.find(PODS, "a", "db-0")) == (None, None)
