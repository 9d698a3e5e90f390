"""What is decided at a glance is what would be decided label by label, and the usual lines are decided so."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubectl_vmetrics.metrics.exposition import UNSEEN, Rewriter, parse_block
from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.identity import Origin
from kubectl_vmetrics.vcluster.origins import CLAIMS, PODS, Origins
from kubectl_vmetrics.vcluster.rewrite import exposition
from tests.vcluster.rewrite.test_machine import OTHER, OWN, SANDBOX, VC, VIRTUAL, synced

OLD = "44444444-aaaa-4bbb-8ccc-dddddddddddd"


def world() -> Origins:
    """As for the machine; and a pod of vCluster 0.20, which wrote no virtual uid."""
    found = Origins()
    found.add(PODS, synced("Pod", "team-a", "web", "vc", OWN))
    found.add(PODS, synced("Pod", "team-b", "victim", "vc", OTHER))
    found.add(CLAIMS, synced("PersistentVolumeClaim", "team-a", "data", "vc", ""))
    found.add(CLAIMS, synced("PersistentVolumeClaim", "team-b", "victim", "vc", ""))
    labels = {naming.MANAGED_BY: "vc", naming.NAMESPACE: "shop"}
    old = {"name": "old-x-shop-x-vc", "namespace": "team-a", "uid": OLD, "labels": labels}
    found.add(PODS, msgspec.convert({"metadata": old}, Origin))
    return found


WORLD = world()
WEB = 'namespace="team-a",pod="web-x-shop-x-vc"'
VICTIM = 'namespace="team-b",pod="victim-x-shop-x-vc"'
OLDER = 'namespace="team-a",pod="old-x-shop-x-vc"'
HOSTS = 'namespace="kube-system",pod="kube-proxy"'


def cgroup(uid: str) -> str:
    return f"/kubepods/burstable/pod{uid}/{SANDBOX}"


def cgroup_of_systemd(uid: str) -> str:
    name = f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"
    return f"/kubepods.slice/kubepods-burstable.slice/{name}/cri-containerd-{SANDBOX}.scope"


# ---------------------------------------------------------------------------------------------- it is the same decision

OWNERS = [
    *(WEB, VICTIM, OLDER, HOSTS, 'namespace="",pod=""', 'pod="web-x-shop-x-vc",namespace="team-a"'),
    *('namespace="team-a"', 'pod="web-x-shop-x-vc"', 'namespace="team-a",container="c",pod="web-x-shop-x-vc"'),
    *(f"{WEB},{VICTIM}", f"{VICTIM},{WEB}", 'namespace="team-a", pod="web-x-shop-x-vc"', f"{WEB} "),
]
CGROUPS = [form(uid) for form in (cgroup, cgroup_of_systemd) for uid in (OWN, OTHER, OLD)]
CGROUPS += ["", "/", "/kubepods", f"/kubepods/pod{OWN}/pod{OTHER}", f"/kubepods/{OWN}", "/system.slice/pods.service"]
OTHERS = [
    *('container="main"', 'image="registry/web:1"', 'name="k8s_web"', 'cpu="total"', 'scope="container"', 'x=""'),
    *(f'uid="{OWN}"', f'pod_uid="{OTHER}"', f'uid="{OLD}"', 'interface="eth0"', 'interface="cali1a2b3c4d5e6"'),
    *('persistentvolumeclaim="data-x-shop-x-vc"', 'persistentvolumeclaim="victim-x-shop-x-vc"', 'claim="data"'),
    *(f'device="/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/pvc-{OTHER}"' for uid in (OWN, OTHER, OLD)),
    *(f'name="pod{OTHER}"', f'name="pod/{OWN}"', f'podx="{OTHER}"', f'x="pod{OTHER}"', f'x="pods/{OWN}"'),
    *(
        'x="a\\"b"',
        'x="a\\\\b"',
        'x="{"',
        'x="a,pod="',
        'namespaces="x"',
        'pod_name="victim"',
        'vcluster_name="forged"',
    ),
    *('vcluster_virtual_pod ="forged"', 'namespace ="team-b"', 'pod ="victim-x-shop-x-vc"', f'id ="{cgroup(OTHER)}"'),
    *(f'id="{cgroup(OTHER)}"', f'idx="{cgroup(OTHER)}"', f'xid="{cgroup(OWN)}"', 'interface ="cali1a2b3c4d5e6"'),
]
labels = st.tuples(
    st.just(WEB) | st.sampled_from(OWNERS),
    (st.sampled_from(CGROUPS[::3]) | st.sampled_from(CGROUPS)).map(lambda value: f'id="{value}"'),
    st.lists(st.sampled_from(OTHERS), max_size=2),
).flatmap(lambda found: st.permutations([found[0], found[1], *found[2]]).map(lambda order: ['a="b"', *order]))
"""Those that cAdvisor writes, in any order, and two others among them."""


def no_label_twice(found: list[str]) -> bool:
    """Prometheus refuses a scrape in which one does."""
    names = [name for name, _ in parse_block(f"{{{','.join(found)}}}".encode())]
    return len(names) == len(set(names))


def series(rewriter: Rewriter, line: bytes) -> list[list[tuple[bytes, bytes]]]:
    """The labels that a line of `x` becomes, as written; blanks between them mean nothing."""
    found = b"".join(rewriter.rewrite([line]))
    return [sorted(parse_block(shown[1 : shown.rindex(b"}") + 1])) for shown in found.splitlines()]


MINE = f'id="{cgroup(OWN)}"'


@settings(max_examples=500)
@given(found=labels.filter(no_label_twice), isolate=st.booleans())
# Two paths that name another pod, each in its place: before the cgroup, behind it, behind the pod.
@example(found=[f'x="pod{OTHER}"', MINE, WEB, f'y="pod{OTHER}"'], isolate=False)
@example(found=[f'x="pod{OTHER}"', MINE, f'y="pod{OTHER}"', WEB], isolate=False)
@example(found=['z=""', MINE, f'x="pod{OTHER}"', WEB, f'y="pod{OTHER}"'], isolate=False)
def test_a_tenants_line_is_the_same_label_by_label(found: list[str], isolate: bool) -> None:
    line = f"x{{{','.join(found)}}} 1\n".encode()
    slow = Rewriter(exposition._tenant(WORLD, VC, isolate), bare=not isolate)
    fast = exposition.tenant(WORLD, VC, isolate=isolate)

    assert series(fast, line) == series(fast, line) == series(slow, line)


@pytest.mark.parametrize("other", [other for other in OTHERS if not other.startswith("id=")])
def test_no_label_beside_a_tenants_pod_and_cgroup_is_overlooked(other: str) -> None:
    for at in (1, 2, 3):
        found = ['a="b"', MINE, WEB]
        found.insert(at, other)
        line = f"x{{{','.join(found)}}} 1\n".encode()
        slow = Rewriter(exposition._tenant(WORLD, VC, False))
        assert series(exposition.tenant(WORLD, VC), line) == series(slow, line)


@settings(max_examples=300)
@given(found=labels.filter(no_label_twice))
def test_a_line_of_the_host_is_the_same_label_by_label(found: list[str]) -> None:
    line = f"x{{{','.join(found)}}} 1\n".encode()
    slow = Rewriter(exposition._host(WORLD), bare=True, strict=False)
    fast = exposition.host(WORLD)

    assert series(fast, line) == series(fast, line) == series(slow, line)


# --------------------------------------------------------------------------------------------- and usual lines take it


def unasked(_: Mapping[str, str]) -> Mapping[str, str] | None:
    raise AssertionError("a usual line was taken apart")


@pytest.mark.parametrize("form", [cgroup, cgroup_of_systemd])
def test_what_cadvisor_writes_of_a_tenants_pods_is_not_taken_apart(
    form: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(form)
    line = 'a{{container="main",id="{}",image="i",name="n",{}}} 1\nb{{container="main",cpu="total",id="{}",{},scope="container"}} 2 3\n'
    shown, text = (
        line.format(form(uid), names, form(uid), names).encode()
        for uid, names in ((VIRTUAL, 'namespace="shop",pod="web"'), (OWN, WEB))
    )
    others = "".join(
        f'a{{container="main",id="{form(uid)}",{names}}} 1\n' for uid, names in ((OTHER, VICTIM), (OTHER, HOSTS))
    )
    monkeypatch.setattr(exposition, "_tenant", lambda *_: unasked)

    assert b"".join(exposition.tenant(world(), VC).rewrite([text, others.encode()])) == shown


def test_what_cadvisor_writes_of_pods_is_not_taken_apart_for_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    names = 'vcluster_name="vc",vcluster_host_namespace="team-{}",vcluster_virtual_namespace="shop",vcluster_virtual_pod="{}"'
    lines = [
        (f'a{{id="{cgroup(OWN)}",{WEB}', names.format("a", "web")),
        (f'a{{id="{cgroup(OTHER)}",{VICTIM}', names.format("b", "victim")),
        (f'b{{container="c",{WEB}', names.format("a", "web")),
    ]
    text = "".join(f"{line}}} 1\n" for line, _ in lines) + f'a{{id="/x",{HOSTS}}} 1\n'
    monkeypatch.setattr(exposition, "_host", lambda *_: unasked)

    shown = "".join(f"{line},{added}}} 1\n" for line, added in lines) + f'a{{id="/x",{HOSTS}}} 1\n'
    assert b"".join(exposition.host(world()).rewrite([text.encode()])) == shown.encode()


# --------------------------------------------------------------------------------------------------- what is remembered


def glance() -> exposition._TenantGlance:
    return exposition._TenantGlance(world(), VC)


def block(path: str, names: str = WEB) -> bytes:
    return f'{{a="b",id="{path}",{names}}}'.encode()


def test_a_long_cgroup_or_name_is_left_to_be_taken_apart() -> None:
    """The longest that is remembered is of 1024 bytes, the label's name, its sign and quote, and a comma among them."""
    found = glance()
    for length, usual in ((1024 - 5, True), (1024 - 4, False)):
        path = "/kubepods/".ljust(length, "x")
        shown = block(path, 'namespace="shop",pod="web"') if usual else UNSEEN
        assert found(block(path)) == shown
    fits = 1024 - len('namespace="",pod="web"')
    for length, verdict in ((fits, None), (fits + 1, UNSEEN)):
        assert found(block("/", f'namespace="{"n" * length}",pod="web"')) is verdict


def test_a_cgroup_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, shown = glance(), block(cgroup(VIRTUAL), 'namespace="shop",pod="web"')
    assert found(block(cgroup(OWN))) == shown
    monkeypatch.delattr(exposition._TenantGlance, "_shown")

    assert found(block(cgroup(OWN))) == shown


def test_no_more_cgroups_of_a_pod_are_remembered_than_it_has_containers() -> None:
    found = glance()
    for number in itertools.chain(range(200), [200], range(200)):
        path = f"/kubepods/burstable/pod{{}}/{number}"
        assert found(block(path.format(OWN))) == block(path.format(VIRTUAL), 'namespace="shop",pod="web"')
        (own,) = found._known.values()
        assert isinstance(own, exposition._Own)
        assert len(own.ids) <= 200


def test_no_more_pods_are_remembered_than_a_host_has() -> None:
    found = glance()
    for number in range(20_001):
        assert found(block("/", f'namespace="n",pod="p{number}"')) is None
        assert len(found._known) <= 20_000
    assert len(found._known) == 1


# ---------------------------------------------------------------------------------------------------- the host, in full


@pytest.mark.parametrize(
    ("labels", "added"),
    [
        # Whatever the order; a claim alone, and a claim beside a pod.
        ('pod="web-x-shop-x-vc",namespace="team-a"', {"pod": "web"}),
        ('namespace="team-a",persistentvolumeclaim="data-x-shop-x-vc"', {"persistentvolumeclaim": "data"}),
        (
            'namespace="team-a",persistentvolumeclaim="data-x-shop-x-vc",pod="web-x-shop-x-vc"',
            {"pod": "web", "persistentvolumeclaim": "data"},
        ),
        # Of a claim or a pod that is the host's own, or of another namespace, nothing is said.
        ('namespace="team-a",persistentvolumeclaim="other",pod="web-x-shop-x-vc"', {"pod": "web"}),
        ('pod="web-x-shop-x-vc"', None),
        ('persistentvolumeclaim="data-x-shop-x-vc"', None),
        ('namespace="team-b",persistentvolumeclaim="data-x-shop-x-vc"', None),
        ('namespace="team-a",pod="data-x-shop-x-vc"', None),
        ('namespace="team-a",persistentvolumeclaim="web-x-shop-x-vc"', None),
        ('namespace="team-a"', None),
        ('a="b"', None),
    ],
)
def test_the_hosts_view_of_a_series(labels: str, added: dict[str, str] | None) -> None:
    shown = b"".join(exposition.host(world()).rewrite([f"x{{{labels}}} 1\n".encode()])).decode()

    names = {"name": "vc", "host_namespace": "team-a", "virtual_namespace": "shop"}
    names |= {f"virtual_{kind}": name for kind, name in (added or {}).items()}
    more = "".join(f',vcluster_{key}="{value}"' for key, value in names.items()) if added else ""
    assert shown == f"x{{{labels}{more}}} 1\n"


def test_what_a_series_says_of_itself_is_overwritten_for_the_host() -> None:
    line = f'x{{{WEB},vcluster_name="forged",vcluster_virtual_pod="forged"}} 1\n'.encode()

    assert b"".join(exposition.host(world()).rewrite([line])).decode() == (
        f'x{{{WEB},vcluster_name="vc",vcluster_virtual_pod="web",'
        'vcluster_host_namespace="team-a",vcluster_virtual_namespace="shop"} 1\n'
    )


def test_the_host_sees_what_cannot_be_read_too() -> None:
    text = b'# a comment\nup 1\nno metric at all\nx{a="b"} 1 # {trace="1"} 1\n'

    assert b"".join(exposition.host(world()).rewrite([text])) == text


# --------------------------------------------------------------------------------------------------- a tenant, in full


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        # Of a path only the pod's uid is one: a volume's has the same form.
        (
            f'device="/var/lib/kubelet/pods/{OWN}/volumes/kubernetes.io~csi/pvc-{OTHER}",{WEB}',
            f'device="/var/lib/kubelet/pods/{VIRTUAL}/volumes/kubernetes.io~csi/pvc-{OTHER}",namespace="shop",pod="web"',
        ),
        # A claim alone, and beside the pod that has mounted it.
        (
            'namespace="team-a",persistentvolumeclaim="data-x-shop-x-vc"',
            'namespace="shop",persistentvolumeclaim="data"',
        ),
        (f'{WEB},persistentvolumeclaim="data-x-shop-x-vc"', 'namespace="shop",pod="web",persistentvolumeclaim="data"'),
        # Of a pod whose virtual uid is not known, the host's is not shown instead.
        (f'a="b",id="{cgroup(OLD)}",{OLDER}', f'a="b",id="{cgroup("")}",namespace="shop",pod="old"'),
        (f'{OLDER},uid="{OLD}"', 'namespace="shop",pod="old",uid=""'),
        (f'{WEB},uid="{OWN}"', f'namespace="shop",pod="web",uid="{VIRTUAL}"'),
        (f'{WEB},uid="{OTHER}"', 'namespace="shop",pod="web",uid=""'),
        (f'{WEB},pod_uid="{OWN}"', f'namespace="shop",pod="web",pod_uid="{VIRTUAL}"'),
        # A slice of systemd is named with underscores for dashes.
        (
            f'a="b",id="{cgroup_of_systemd(OWN)}",{WEB}',
            f'a="b",id="{cgroup_of_systemd(VIRTUAL)}",namespace="shop",pod="web"',
        ),
        (f'id="{cgroup_of_systemd(OWN)}",{WEB}', f'id="{cgroup_of_systemd(VIRTUAL)}",namespace="shop",pod="web"'),
    ],
)
def test_names_and_uids_in_a_tenants_view(labels: str, shown: str) -> None:
    found = b"".join(exposition.tenant(world(), VC).rewrite([f"x{{{labels}}} 1\n".encode()])).decode()

    assert found == f"x{{{shown}}} 1\n"


def test_a_name_that_is_no_text_costs_its_own_line() -> None:
    strange = b'x{namespace="team-a",pod="\xff\xfe"} 1\nx{id="/a",namespace="\xc3",pod="web-x-shop-x-vc"} 2\n'
    own = f"x{{{WEB}}} 3\n".encode()

    assert b"".join(exposition.host(world()).rewrite([strange])) == strange
    assert b"".join(exposition.tenant(world(), VC).rewrite([strange, own])) == b'x{namespace="shop",pod="web"} 3\n'
