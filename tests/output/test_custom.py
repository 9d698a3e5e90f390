"""Custom columns and --sort-by with a path, held against what the real kubectl prints of the demo cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path as File
from typing import Any

import pytest

from kubectl_vmetrics.output import sorting
from kubectl_vmetrics.output.custom import Columns
from kubectl_vmetrics.output.jsonpath import Path
from tests.conftest import write_kubeconfig

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")

SPECIFICATIONS = """
NAME:.metadata.name
N:metadata.name,C:.spec.containers[*].name,L:.metadata.labels,P:.spec.priority,X:.nope,A:.spec.containers[*].resources
N:{.metadata.name}
N

N:.a[
x:.spec.containers[9].name
A:,B:.x
A:.metadata.name,,
a b:.metadata.name, c:.spec.nodeName
R:.status.containerStatuses[0].ready,S:.status.containerStatuses,Z:.metadata.namespace
A:.x:y
""".strip("\n")
SORTS = (
    ".metadata.name",
    "{.spec.containers[0].resources.requests.memory}",
    ".spec.nodeName",
    ".metadata.labels.app",
)


@pytest.fixture(scope="module")
def kubeconfig(demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> File:
    return write_kubeconfig(tmp_path_factory.mktemp("custom"), demo_url)


def get(kubeconfig: File, *args: str) -> tuple[int, str]:
    command = ["kubectl", "get", "pods", f"--kubeconfig={kubeconfig}", *args]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr.strip()


@pytest.fixture(scope="module")
def pods(kubeconfig: File) -> list[Any]:
    items: list[Any] = json.loads(get(kubeconfig, "-n", "team-a", "-o", "json")[1])["items"]
    return items


@pytest.mark.parametrize("specification", SPECIFICATIONS.split("\n"))
@pytest.mark.parametrize("headers", [True, False])
def test_columns(specification: str, headers: bool, kubeconfig: File, pods: list[Any]) -> None:
    more = [] if headers else ["--no-headers"]
    try:
        ours = 0, Columns(specification).render(pods, headers=headers)
    except ValueError as error:
        ours = 1, f"error: {error}"

    assert ours == get(kubeconfig, "-n", "team-a", "-o", f"custom-columns={specification}", *more)


@pytest.mark.parametrize("path", SORTS)
def test_order(path: str, kubeconfig: File, pods: list[Any]) -> None:
    found = [item["metadata"]["name"] for item in sorting.by(Path(path), pods)]

    _, expected = get(
        kubeconfig, "-n", "team-a", f"--sort-by={path}", "-o", "custom-columns=N:.metadata.name", "--no-headers"
    )
    values = {item["metadata"]["name"]: Path(path).find(item) for item in pods}
    assert sorted(found) == sorted(expected.split())
    # kubectl's order of what is equal is none.
    assert [values[name] for name in found] == [values[name] for name in expected.split()]


def test_natural_order_numbers_and_what_has_none() -> None:
    items = [{"a": text} for text in ("item-10", "item-2", "10", "9")] + [{}]
    sizes = [{"a": text} for text in ("1Gi", "500Mi", "2k", "100m", "5n", "1e3")] + [{"a": 3}]

    assert sorting.by(Path(".a"), items) == [{}, {"a": "9"}, {"a": "10"}, {"a": "item-2"}, {"a": "item-10"}]
    assert [item["a"] for item in sorting.by(Path(".a"), sizes)] == ["5n", "100m", 3, "1e3", "2k", "500Mi", "1Gi"]
    with pytest.raises(ValueError, match=r"""couldn't find any field with path "{\.x}" in the list of objects"""):
        sorting.by(Path(".x"), items)
    with pytest.raises(ValueError, match="a list or an object, which has no order"):
        sorting.by(Path(".a"), [{"a": []}])
