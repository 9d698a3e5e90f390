"""`report`: the file, what may be replaced by it, and parts that cannot be read."""

from __future__ import annotations

import itertools
import json
import re
import stat
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.history import steps
from kubectl_vmetrics.kube.errors import VmetricsError
from tests.conftest import Cli, Result, invoke, write_kubeconfig
from tests.prometheus import MISSING
from tests.report.read import read, tables

ASKED = "--server=http://127.0.0.1:1"
REPORT = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta name="generator" content="kubectl-vmetrics 0.0.1"/></head></html>'
)


@pytest.fixture(scope="module")
def written(live_demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """The page about the demo cluster's last day."""
    folder = tmp_path_factory.mktemp("report")
    file = folder / "day.html"
    path = write_kubeconfig(folder, live_demo_url)
    return invoke("report", "--since", "24h", "--step", "1h", "-o", str(file), kubeconfig=path), file


@MISSING
def test_the_page_of_the_demo_cluster(written: tuple[Result, Path]) -> None:
    result, file = written

    assert result == Result(0, "", f"{file} written\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.glob(".*")) == []
    page = read(file.read_text())
    assert [item.text for item in page.all("h2")] == [
        *["Summary", "Usage", "Idle and starved", "Bill", "Trends", "Rightsizing"],
        *["Control planes", "Virtual machines", "Volumes", "Largest pods", "What is not covered"],
    ]
    found = tables(page)
    assert [row[0] for row in found["CPU by virtual cluster"]] == [
        "Virtual cluster",
        "shop [host namespace team-a]",
        "dev [host namespace team-b]",
        "dev [host namespace team-c]",
        "The host's own pods",
        "All together",
    ]
    assert [row[:3] for row in found["Health of control planes"] if "vcluster" in row] == [
        ["shop [host namespace team-a]", "vcluster", "Healthy"],
        ["dev [host namespace team-b]", "vcluster", "Healthy"],
        ["dev [host namespace team-c]", "vcluster", "Healthy"],
    ]
    # The machine that a virtual cluster synced has its virtual name.
    assert "batch/build [shop]" in [row[0] for row in found["Usage of virtual machines"]]
    assert "batch/build [shop]" in [row[0] for row in found["The 50 pods that used most CPU"]]


def listed(url: str, path: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}{path}", timeout=20) as answer:
        items: list[dict[str, Any]] = json.loads(answer.read())["items"]
        return items


@MISSING
@pytest.mark.parametrize("vcluster", ["team-a/shop", "team-b/dev"])
def test_a_tenants_page_holds_no_name_and_no_uid_of_others(
    vcluster: str, on_live_demo: Cli, live_demo_url: str
) -> None:
    result = on_live_demo("report", "--since", "6h", "--step", "1h", "--vcluster", vcluster, "-o", "-")

    assert (result.code, result.stderr) == (0, "")
    namespace, name = vcluster.split("/")
    text = result.stdout
    body = text[text.index("<body>") : text.index("<script>")]
    foreign: set[str] = set()
    for kind in ("pods", "nodes", "namespaces", "persistentvolumeclaims"):
        for item in listed(live_demo_url, f"/api/v1/{kind}"):
            foreign |= {
                item["metadata"]["name"],
                item["metadata"].get("uid", ""),
                item["metadata"].get("namespace", ""),
            }
    for path in ("/apis/kubevirt.io/v1/virtualmachineinstances", "/apis/apps/v1/statefulsets"):
        foreign |= {
            value
            for item in listed(live_demo_url, path)
            for value in (item["metadata"]["name"], item["metadata"].get("uid", ""))
        }
    mine = on_live_demo("top", "pods", "-A", "--vcluster", vcluster, "--no-headers").stdout.split()
    others = {"shop", "dev"} - {name}
    words = set(re.findall(r"[\w.-]+", body))
    # Names that the tenant has as well, and words of the page's own.
    known = {*mine, name, "", "default", "kube-system", "web", "monitoring", "build"}
    assert len(foreign) > 80
    assert (foreign - known) & words == set()
    assert {item for item in foreign - known if len(item) > 8 and item in body} == set()
    assert [item for item in others if f">{item}<" in body] == ["shop"] * (name == "dev")  # its namespace `shop`
    assert namespace not in words


@MISSING
def test_public_names(on_live_demo: Cli, live_demo_url: str) -> None:
    result = on_live_demo("report", "--since", "6h", "--step", "1h", "--public-names", "-o", "-")

    assert (result.code, result.stderr) == (0, "")
    body = result.stdout[result.stdout.index("<body>") : result.stdout.index("<script>")]
    hosts = {item["metadata"]["name"] for item in listed(live_demo_url, "/api/v1/pods")}
    hosts |= {item["metadata"]["name"] for item in listed(live_demo_url, "/api/v1/nodes")} | {"team-a", "team-b"}
    assert [name for name in hosts if name in body] == []
    found = tables(read(result.stdout))
    assert [row[0] for row in found["CPU by virtual cluster"]][1:4] == ["shop", "dev (1)", "dev (2)"]


@MISSING
def test_a_source_that_fails_on_the_way_costs_the_rest(on_live_demo: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    real = steps.read

    def failing(*args: Any, **more: Any) -> Any:
        yield from itertools.islice(real(*args, **more), 12)
        raise VmetricsError("the server stopped")

    monkeypatch.setattr(steps, "read", failing)
    result = on_live_demo("report", "--since", "24h", "--step", "1h", "--no-controlplanes", "-o", "-")

    assert result.code == 1
    assert result.stderr == "Warning: The rest of the period, and the bill, could not be read: the server stopped\n"
    page = read(result.stdout)
    assert "Bill" not in [item.text for item in page.all("h2")]
    said = [item.text for item in page.all("section")[-1].all("li")]
    assert "The rest of the period, and the bill, could not be read: the server stopped." in said


@MISSING
def test_a_source_that_fails_at_once_is_an_error(
    on_live_demo: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(*args: Any, **more: Any) -> Any:
        raise VmetricsError("the server stopped")

    monkeypatch.setattr(steps, "read", failing)
    file = tmp_path / "report.html"
    result = on_live_demo("report", "--since", "24h", "--no-controlplanes", "-o", str(file))

    assert result == Result(1, "", "error: the server stopped\n")
    assert not file.exists()


@MISSING
def test_a_report_replaces_a_report_and_keeps_its_permissions(on_live_demo: Cli, tmp_path: Path) -> None:
    file, link = tmp_path / "report.html", tmp_path / "latest.html"
    file.write_text(REPORT)
    file.chmod(0o644)
    link.symlink_to(file)
    result = on_live_demo("report", "--since", "1h", "--no-controlplanes", "-o", str(link))

    assert result == Result(0, "", f"{link} written\n")
    assert link.is_symlink()
    assert file.read_text().startswith('<!DOCTYPE html>\n<html lang="en"><head><meta charset=')
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_what_is_not_a_report_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "notes.html"
    file.write_text("<html>mine</html>")
    result = invoke("report", "-o", str(file), ASKED)

    assert result == Result(1, "", f"error: -o: {file} exists and is not a report; --force replaces it\n")
    assert file.read_text() == "<html>mine</html>"
    # With it, the next error is that there is no cluster.
    assert "connection" in invoke("report", "-o", str(file), "--force", ASKED).stderr
    assert file.read_text() == "<html>mine</html>"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", ""], "error: -o: the name of the file is empty\n"),
        (["-o", "{folder}"], "error: -o: {folder} is a folder\n"),
        (["-o", "{folder}/none/report.html"], 'error: the path "{folder}/none" does not exist\n'),
        (["-o", "{folder}/loop"], "error: -o: {folder}/loop: "),
        (["--share", "all"], "error: --share accepts only none, even, by-usage\n"),
        (["--since", "soon"], "error: --since, --until, --step: 'soon' is not a time (examples: "),
        (["--step", "0s"], "error: --since, --until, --step: '0s' is not a duration"),
        (["--prices", "{folder}/prices.yaml"], 'error: the path "{folder}/prices.yaml" does not exist\n'),
        (["--vcluster", ""], "error: --vcluster: the value is empty; leave the option out to see everything\n"),
    ],
)
def test_bad_input(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    given = [word.format(folder=tmp_path) for word in words]
    default = [] if "-o" in words else ["-o", f"{tmp_path}/report.html"]
    result = invoke("report", *given, *default, ASKED)

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(message.format(folder=tmp_path))
    assert result.stderr.count("\n") == 1


@MISSING
def test_an_unknown_virtual_cluster(on_live_demo: Cli) -> None:
    result = on_live_demo("report", "--since", "1h", "--vcluster", "nope", "-o", "-")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith('error: virtual cluster "nope" not found')
