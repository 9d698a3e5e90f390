"""The report of one tenant holds nothing of others, and nothing of the host."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.report import compose, html
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.report import made
from tests.report.read import read, tables

HOST = [
    "host-",
    "kube-system",
    "coredns-1",
    "node-1",
    "node-2",
    "acme-0",
    "globex-0",
    "-x-",
    "beta",
    "quota",
    "vcluster/",
]
OWN = {
    made.ACME: ["acme", "shop", "buildfarm", "frontend", "orders-db", "runner", "pgdata"],
    made.GLOBEX: ["globex", "invoicing", "gateway", "applogs"],
    made.LAB: ["acme", "physics", "notebook-1"],
}


@pytest.mark.parametrize("tenant", OWN)
def test_no_name_of_others(tenant: VClusterRef) -> None:
    text = html.render(compose.compose(made.given(tenant=tenant, public=True)))
    words = text[text.index("<body>") : text.index("<script>")]
    foreign = {name for ref, names in OWN.items() if ref != tenant for name in names} - set(OWN[tenant])
    for name in sorted(foreign | {name for key in (*made.PODS, *made.CLAIMS) for name in key} | set(HOST)):
        assert name not in words, name
    for name in OWN[tenant]:
        assert name in words


def test_a_tenant_sees_its_namespaces_and_its_bill() -> None:
    found = tables(read(html.render(compose.compose(made.given(tenant=made.ACME, public=True)))))
    assert [row[:6] for row in found["CPU by namespace"]] == [
        ["Namespace", "Mean, cores", "p95, cores", "Maximum, cores", "Requested, cores", "Used of requested"],
        ["buildfarm", "0.25", "0.27", "0.27", "1", "25%"],
        ["shop", "1.5", "1.65", "1.65", "2.5", "60%"],
        ["All together", "1.75", "1.92", "1.92", "3.5", "50%"],
    ]
    assert [row[-1] for row in found["Bill: CPU and memory"]] == ["Cost, EUR", "50.00", "50.00"]
    assert found["Volume claims"][1:] == [["shop/pgdata", "20 GiB", "16 GiB", "80%", "1 GiB", "2026-11-19"]]
    assert "Usage of virtual machines" not in found


def test_numbers_of_others_do_not_change_it() -> None:
    """The same page, byte for byte, whatever the others do."""
    alone = made.given(tenant=made.ACME, public=True)
    beside = made.given(tenant=made.ACME, public=True, hostile=True)
    assert html.render(compose.compose(alone)) == html.render(compose.compose(beside))
