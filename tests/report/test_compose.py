"""The whole page of a made-up host: tables and sentences, as a reader that is not ours finds them."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from kubectl_vmetrics.report import compose, html
from tests.report import made
from tests.report.read import Node, read, tables


@pytest.fixture(scope="module")
def text() -> str:
    return html.render(compose.compose(made.given()))


@pytest.fixture(scope="module")
def page(text: str) -> Node:
    return read(text)


@pytest.fixture(scope="module")
def found(page: Node) -> dict[str, list[list[str]]]:
    return tables(page)


def test_sections(page: Node) -> None:
    assert [item.text for item in page.all("h2")] == [
        "Summary",
        "Usage",
        "Idle and starved",
        "Bill",
        "Trends",
        "Rightsizing",
        "Control planes",
        "Virtual machines",
        "Volumes",
        "Largest pods",
        "What is not covered",
    ]
    links = [str(item.attributes["href"]) for item in page.all("nav")[0].all("a")]
    assert links == [f"#{item.attributes['id']}" for item in page.all("h2")]


def test_summary(page: Node) -> None:
    summary = page.all("section")[0]
    facts = [[child.text for child in item.everything()[1:]] for item in summary.all("dl")[0].all("div")]
    assert facts == [
        ["Virtual clusters", "3", "on 2 nodes"],
        # 4.05 cores (a tenth up and down) for 336 hours, of 8 cores; 13.85 GiB of 32 GiB
        ["CPU used, core-hours", "1,362", "51% of what the host has; 47% of what was requested"],
        ["Memory used, GiB-hours", "4,654", "43% of what the host has; 66% of what was requested"],
        ["Idle CPU", "0%", "memory: 22%"],
        ["Cost, EUR", "140.50", "with the prices given"],
    ]
    assert [item.text for item in summary.all("li")] == [
        "host-labs/acme is starved: its containers were killed 3 times because of their memory limits",
        "host-labs/acme is starved: throttled in 40% of the periods",
        "The control plane of host-kamaji/beta is degraded. 1 of 2 replicas is ready",
        "Volume shop/pgdata (host-a/acme) will be full on 2026-11-19 (in about 4 days, an estimate).",
        "host-labs/acme has nearly used up its quota of CPU: 1.9 of 2.",
        "1 virtual cluster is idle: see below.",
        "Volume invoicing/applogs (globex) is 95% full.",
        "Names of virtual machines could not be read: the server refused the query.",
        "Requests could be smaller: by 2 cores and 6 GiB of memory.",
    ]


def test_usage(found: dict[str, list[list[str]]]) -> None:
    swing = "from 1.8 to 2.2, last 1.8"
    assert found["CPU by virtual cluster"] == [
        [
            *["Virtual cluster", "Mean, cores", "p95, cores", "Maximum, cores", "Requested, cores"],
            *["Used of requested", "Quota", "Quota used", "Over time"],
        ],
        [
            *["acme [host namespace host-a]", "1.75", "1.92", "1.92", "3.5", "50%"],
            *["–", "–", "from 1.58 to 1.92, last 1.58"],
        ],
        [
            *["globex [host namespace host-b]", "0.1", "0.11", "0.11", "4", "2.5%"],
            *["–", "–", "from 0.09 to 0.11, last 0.09"],
        ],
        ["acme [host namespace host-labs]", "2", "2.2", "2.2", "1", "200%", "2", "95%", swing],
        ["The host's own pods", "0.2", "0.22", "0.22", "0.1", "200%", "–", "–", "from 0.18 to 0.22, last 0.18"],
        ["All together", "4.05", "4.45", "4.45", "8.6", "47%", "", "", "from 3.65 to 4.45, last 3.65"],
    ]
    memory = [row[:6] for row in found["Memory by virtual cluster"]]
    assert memory == [
        ["Virtual cluster", "Mean", "p95", "Maximum", "Requested", "Used of requested"],
        ["acme [host namespace host-a]", "5.5 GiB", "5.5 GiB", "5.5 GiB", "9 GiB", "61%"],
        ["globex [host namespace host-b]", "256 MiB", "256 MiB", "256 MiB", "8 GiB", "3.1%"],
        ["acme [host namespace host-labs]", "8 GiB", "8 GiB", "8 GiB", "4 GiB", "200%"],
        ["The host's own pods", "102 MiB", "102 MiB", "102 MiB", "102 MiB", "100%"],
        ["All together", "13.8 GiB", "13.8 GiB", "13.8 GiB", "21.1 GiB", "66%"],
    ]
    assert [row[:2] for row in found["Pods"]] == [
        ["Pod", "CPU used, core-hours"],
        ["physics/notebook-1 [host-labs/acme]", "672"],
        ["shop/frontend [host-a/acme]", "336"],
        ["shop/orders-db [host-a/acme]", "168"],
        ["buildfarm/runner [host-a/acme]", "84.1"],
        ["kube-system/coredns-1 [host]", "67.2"],
        ["invoicing/gateway [globex]", "33.6"],
    ]


def test_idle_and_starved(found: dict[str, list[list[str]]]) -> None:
    killed = "its containers were killed 3 times because of their memory limits"
    assert found["Idle and starved virtual clusters"] == [
        ["Virtual cluster", "State", "Why"],
        ["acme [host namespace host-labs]", "Starved of memory", killed],
        ["acme [host namespace host-labs]", "Starved of CPU", "throttled in 40% of the periods"],
        ["globex [host namespace host-b]", "Idle CPU", "p95 is 0.11 of 4 cores requested"],
        ["globex [host namespace host-b]", "Idle memory", "p95 is 256 MiB of 8 GiB requested"],
    ]


def test_bill(found: dict[str, list[list[str]]]) -> None:
    assert found["Bill: CPU and memory"] == [
        [
            *["Virtual cluster", "CPU used, core-hours", "CPU requested, core-hours", "CPU billed, core-hours"],
            *["Memory used, GiB-hours", "Memory requested, GiB-hours", "Memory billed, GiB-hours", "Cost, EUR"],
        ],
        [
            "acme [host namespace host-a; team blue / shop]",
            *["588", "1,176", "1,176", "1,848", "3,024", "3,024", "50.00"],
        ],
        ["globex [host namespace host-b]", "33.6", "1,344", "1,344", "84", "2,688", "2,688", "60.00"],
        ["acme [host namespace host-labs]", "672", "336", "672", "2,688", "1,344", "2,688", "30.50"],
        ["Shared: the host's own pods", "67.2", "33.6", "67.2", "33.6", "33.6", "33.6", "0.00"],
        ["Idle", "–", "–", "–", "–", "2,318", "2,318", "0.00"],
        ["Overcommitted", "–", "–", "-571", "–", "–", "–", "0.00"],
        ["Total", "1,361", "2,890", "2,688", "4,654", "9,408", "10,752", "140.50"],
    ]
    assert found["Bill: everything else"] == [
        ["Virtual cluster", "Volume claims, GiB-hours"],
        ["acme [host namespace host-a; team blue / shop]", "6,720"],
        ["globex [host namespace host-b]", "–"],
        ["acme [host namespace host-labs]", "–"],
        ["Total", "6,720"],
    ]


def test_rightsizing(found: dict[str, list[list[str]]]) -> None:
    assert found["What requests could be"] == [
        [
            *["Virtual cluster", "CPU requested, cores", "CPU suggested, cores", "CPU saved, cores"],
            *["Memory requested", "Memory suggested", "Memory saved"],
        ],
        ["acme [host namespace host-a]", "4", "2", "2", "8 GiB", "2 GiB", "6 GiB"],
        ["acme [host namespace host-labs]", "1", "2.5", "-1.5", "4 GiB", "9 GiB", "-5 GiB"],
    ]
    assert found["Requests to change"] == [
        [
            *["Workload", "CPU request, cores", "CPU p95, cores", "CPU suggested, cores", "CPU saved, cores"],
            *["Memory request", "Memory maximum", "Memory suggested", "Memory saved", "Why"],
        ],
        [
            "physics/notebook [StatefulSet container main, host-labs/acme]",
            *["1", "2.5", "2.5", "-1.5", "4 GiB", "8 GiB", "9 GiB", "-5 GiB"],
            "killed 3 times at its memory limit, throttled in 40% of its periods",
        ],
        [
            "shop/frontend [Deployment container main, host-a/acme]",
            *["2", "1", "1", "2", "4 GiB", "896 MiB", "1 GiB", "6 GiB", "its memory grows"],
        ],
    ]


def test_control_planes(found: dict[str, list[list[str]]]) -> None:
    assert found["Health of control planes"] == [
        ["Control plane", "Kind", "Health", "Requests per second", "Errors", "p99 of requests, ms", "Why"],
        ["acme [host namespace host-a]", "vcluster", "Healthy", "12.5", "1.0%", "45", ""],
        ["beta [host namespace host-kamaji]", "kamaji", "Degraded", "–", "–", "–", "1 of 2 replicas is ready"],
    ]
    assert found["What control planes used"][1:] == [["acme [host namespace host-a]", "101", "67.2", "168", "84"]]


def test_machines_and_volumes(found: dict[str, list[list[str]]]) -> None:
    assert found["Usage of virtual machines"][1:] == [
        ["host-vms/win [host]", "336", "1.5", "1.5", "2 GiB", "2 GiB", "504", "672"]
    ]
    assert found["Volume claims"] == [
        ["Volume claim", "Capacity", "Used", "Used of capacity", "Growth per day", "Full on (estimate)"],
        ["shop/pgdata [host-a/acme]", "20 GiB", "16 GiB", "80%", "1 GiB", "2026-11-19"],
        ["invoicing/applogs [globex]", "10 GiB", "9.5 GiB", "95%", "0 B", "–"],
    ]


def test_what_is_not_covered(page: Node, found: dict[str, list[list[str]]]) -> None:
    assert [item.text for item in page.all("section")[-1].all("li")] == [
        "Period: 2026-11-01 00:00 to 2026-11-15 00:00 UTC, in steps of 6 hours.",
        "Source: monitoring/prometheus-k8s. Virtual names come from: vcluster_pod_info.",
        "Names of virtual machines could not be read: the server refused the query.",
        "Pods that lived for less time than lies between two scrapes are not in any number of this page.",
        "The source has no data in the period for: restarts.",
    ]
    shares = dict(found["Share of the period with data"][1:])
    assert (shares["CPU"], shares["Requested size of volume claims"]) == ("100%", "50%")


def test_public_names() -> None:
    """Nothing of the host but how much it has: virtual clusters of the same name are numbered."""
    text = html.render(compose.compose(made.given(public=True)))
    for name in ("host-", "kube-system", "coredns", "node-", "-x-", "win<", "prometheus-k8s", "team blue"):
        assert name not in text[text.index("<body>") : text.index("<script>")], name
    assert [row[0] for row in tables(read(text))["CPU by virtual cluster"]] == [
        *["Virtual cluster", "acme (1)", "globex", "acme (2)", "The host's own pods", "All together"],
    ]


def test_the_policy_names_what_is_there_and_nothing_else(text: str, page: Node) -> None:
    metas = {item.attributes.get("http-equiv"): item.attributes.get("content") for item in page.all("meta")}

    def digest(source: str) -> str:
        return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()

    [script], [style] = page.all("script"), page.all("style")
    assert metas["Content-Security-Policy"] == (
        f"default-src 'none'; script-src 'sha256-{digest(script.text)}'; style-src 'sha256-{digest(style.text)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # Before the policy there is nothing that it would not hold for.
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script>")


def test_nothing_in_the_page_leads_out_of_it(page: Node) -> None:
    for node in page.everything():
        assert node.name not in ("img", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "a:href")
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            assert name not in ("style", "src", "srcset", "action", "ping", "srcdoc")
            assert name != "href" or str(value).startswith("#")
    assert re.findall(r"https?:|//[a-z]|url\(|@import", str(page.all("style")[0].text)) == []
    assert re.findall(r"fetch|XMLHttp|WebSocket|innerHTML|eval|import", str(page.all("script")[0].text)) == []


def test_addresses_in_the_page_are_there_once(page: Node) -> None:
    ids = [str(node.attributes["id"]) for node in page.everything() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in page.everything():
        for name in ("aria-labelledby", "href"):
            if name in node.attributes:
                assert str(node.attributes[name]).removeprefix("#") in ids


def test_hostile_names_are_text() -> None:
    text = html.render(compose.compose(made.given(hostile=True)))
    page = read(text)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert "\u202e" not in text
    assert "\x1b" not in text
    shown = '<script>document.title="owned"</script>"><img src=x onerror=alert(1)>=cmd|\'/c calc\'!A1\\u202e^[[31m'
    assert f"{shown} [host namespace host-evil]" in [row[0] for row in tables(page)["CPU by virtual cluster"]]
    assert f"{shown}/{shown} [{shown}]" in [row[0] for row in tables(page)["Pods"]]
    assert f"{shown} [host namespace host-kamaji]" in [row[0] for row in tables(page)["Health of control planes"]]
