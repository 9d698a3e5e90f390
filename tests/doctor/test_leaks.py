"""What lets tenants' tokens into monitoring: flags of kube-state-metrics, and configurations of collectors."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.doctor.allowlists import Exported, exported
from kubectl_vmetrics.doctor.collectors import Taken, taken
from tests.conftest import invoke

FLAG = "--metric-annotations-allowlist"


@pytest.mark.parametrize(
    "words",
    [
        [f"{FLAG}=pods=[*]"],
        [FLAG, "pods=[*]"],
        [f"{FLAG}=*=[*]"],
        [f"{FLAG}=namespaces=[a],pods=[b,*],nodes=[*]"],
        [f"{FLAG}=pods=[vcluster.loft.sh/*]"],
        [f"{FLAG}=pods=[vcluster.loft.sh/token-*]"],
        [f"{FLAG}=pods=[vcluster.loft.sh/token-ab12cd34]"],
        [f"{FLAG}=pods=[vcluster.loft.sh/t*]"],
        [f"{FLAG}=pods=[vcluster*]"],
        [f"{FLAG}=pods=[*token*]"],
        [f"{FLAG}=pods=[ a , vcluster.loft.sh/* ]"],
        [f'{FLAG}="pods=[*]"'],
        [FLAG, '"pods=[*]"'],
        [f"{FLAG}=pods=[a]", "--port=8080", f"{FLAG}=pods=[*]"],
        ["/kube-state-metrics", "--port", "8080", FLAG, "pods=[*]", "--verbose"],
        ["sh", "-c", f"exec /kube-state-metrics --port=8080 {FLAG}='pods=[*]'"],
        ["sh", "-c", f"exec /kube-state-metrics \\\n  {FLAG} pods=[*] \\\n  --port=8080"],
        ["sh", "-c", f"it's broken {FLAG}=pods=[*]"],
    ],
)
def test_tokens_are_exported(words: list[str]) -> None:
    assert exported(words).leaks


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--port=8080"],
        [FLAG],
        [f"{FLAG}="],
        [FLAG, "--port=8080"],
        [f"{FLAG}=pods=[]"],
        [f"{FLAG}=pods=[vcluster.loft.sh/object-name,vcluster.loft.sh/object-namespace]"],
        [f"{FLAG}=pods=[vcluster.loft.sh/object-*]"],
        [f"{FLAG}=pods=[prometheus.io/*]"],
        [f"{FLAG}=namespaces=[*],nodes=[*]"],
        ["--metric-labels-allowlist=pods=[*]"],  # tokens are in no label
        ["--metric-labels-allowlist", "*=[*]"],
        ["sh", "-c", f"exec /kube-state-metrics --port=8080 # {FLAG}=pods=[*]"],
        ["--metric-allowlist=pods=[*]"],
    ],
)
def test_tokens_are_not_exported(words: list[str]) -> None:
    found = exported(words)
    assert not found.leaks
    assert not found.elsewhere


@pytest.mark.parametrize(
    "words",
    [
        ["--config=/etc/ksm/config.yaml"],
        ["--config", "/etc/ksm/config.yaml"],
        [f"{FLAG}=$(ALLOWLIST)"],
        [FLAG, "$(ALLOWLIST)"],
        ["$(FLAGS)"],
        ["sh", "-c", f"/kube-state-metrics {FLAG}=${{ALLOWLIST}}"],
    ],
)
def test_flags_that_stand_elsewhere_are_not_known(words: list[str]) -> None:
    found = exported(words)
    assert found.elsewhere
    assert not found.leaks


def test_what_is_exported() -> None:
    words = ["--metric-labels-allowlist=pods=[a,b],nodes=[c]", FLAG, "pods=[d],namespaces=[e]"]
    assert exported(words) == Exported(("d",), ("a", "b"), elsewhere=False)


def test_the_flags_that_are_printed_are_fine() -> None:
    lines = invoke("manifests", "rules", "--names=kube-state-metrics").stdout.splitlines()
    found = exported([line.removeprefix("#").strip() for line in lines if line.startswith("#   --")])

    assert found.labels == ("vcluster.loft.sh/managed-by", "vcluster.loft.sh/namespace")
    assert "vcluster.loft.sh/object-name" in found.annotations
    assert not found.leaks


def test_a_long_command_line_is_read_as_far_as_makes_sense() -> None:
    words = [
        f"{FLAG}=" + "pods=[" * 200_000,
        "x " * 500_000 + f" {FLAG}=pods=[*]",
        *["--a"] * 50_000,
        f"{FLAG}=pods=[a]",
    ]
    assert exported(words) == Exported(("a",), (), elsewhere=False)


# -------------------------------------------------------------------------------------------------------- collectors


def pipeline(*rules: str, under: str = "annotations") -> str:
    lines = "\n".join(f"        - {rule}" for rule in rules)
    return (
        f"processors:\n  k8sattributes/pods:\n    extract:\n      metadata: [k8s.pod.name]\n      {under}:\n{lines}\n"
    )


@pytest.mark.parametrize(
    ("text", "name", "tokens"),
    [
        (pipeline("{tag_name: a, key: vcluster.loft.sh/name, from: pod}"), True, False),
        (pipeline("{tag_name: a, key_regex: 'vcluster\\.loft\\.sh/name', from: pod}"), True, False),
        (pipeline("{tag_name: a, key: vcluster.loft.sh/object-name, from: pod}"), False, False),
        (pipeline("{tag_name: a, key: vcluster.loft.sh/namespace, from: pod}", under="labels"), False, False),
        (pipeline("{tag_name: a, key: vcluster.loft.sh/name-of-it, from: pod}"), False, False),
        ("# vcluster.loft.sh/name\nprocessors: {}\n", False, False),
        ('s: |\n  set(attributes["pod"], attributes["vcluster.loft.sh/name"])\n', True, False),
        ("{vcluster.loft.sh/name: x}", True, False),
        (pipeline("{tag_name: $$1, key_regex: (.*), from: pod}"), False, True),
        (pipeline("{tag_name: $$1, key_regex: .+, from: pod}"), False, True),
        (pipeline("{tag_name: $$1, key_regex: 'vcluster.loft.sh/(.*)', from: pod}"), False, True),
        (pipeline("{tag_name: $$1, key_regex: '^vcluster\\.loft\\.sh/token-(.*)$', from: pod}"), False, True),
        (pipeline("{tag_name: $$1, key_regex: 'vcluster\\.loft\\.sh/(object-.*)', from: pod}"), False, False),
        (pipeline("{tag_name: $$1, key_regex: '(app|team)', from: pod}"), False, False),
        (pipeline("{tag_name: $$1, key_regex: 'prometheus.io/(.*)', from: pod}"), False, False),
        (pipeline("{tag_name: $$1, key_regex: (.*), from: pod}", under="labels"), False, False),
        (pipeline("{tag_name: a, key: vcluster.loft.sh/token-ab12cd34, from: pod}"), False, True),
        (pipeline("{tag_name: a, key_regex: '(', from: pod}"), False, False),
        (pipeline("{tag_name: $$1, key_regex: (.*), from: namespace}"), False, False),
        (pipeline("{tag_name: $$1, from: node, key_regex: (.*)}"), False, False),
        (pipeline("{tag_name: $$1, key_regex: (.*)}"), False, True),
        (pipeline("{key_regex: (.*), from: namespace}", "{key_regex: (.*), from: pod}"), False, True),
        (pipeline("{key_regex: (.*), from: pod}", "{key_regex: x, from: namespace}"), False, True),
        ("{a: &a [x], b: *a, annotations: [{key_regex: (.*)}]}", False, True),
        ("{b: [x, y, z], annotations: [{key_regex: (.*)}]}", False, True),
        ("just text", False, False),
        (pipeline("{key: x, from: pod}", "{key_regex: a, from: pod}", "{from: pod}"), False, False),
        # Too slow to be tried: judged by their beginning.
        (pipeline("{tag_name: a, key_regex: '(.*)*', from: pod}"), False, True),
        (pipeline("{tag_name: a, key_regex: 'vcluster\\.loft\\.sh/(a*)*x', from: pod}"), False, True),
        (pipeline("{tag_name: a, key_regex: 'prometheus\\.io/(a*)*', from: pod}"), False, False),
        # Two things of one configuration, and what comes after a nested value.
        (
            pipeline("{tag_name: a, key: vcluster.loft.sh/name, from: pod}", "{tag_name: $$1, key_regex: .*}"),
            True,
            True,
        ),
        ("{extract: {annotations: [{x: {y: [1, 2]}, key_regex: .*}]}}", False, True),
        ("{extract: {annotations: []}, labels: [{key_regex: .*}]}", False, False),
        # What is none.
        ("", False, False),
        ("{", False, False),
        ("- [", False, False),
        ("\x00", False, False),
    ],
)
def test_what_a_collector_takes(text: str, name: bool, tokens: bool) -> None:
    assert taken(text) == Taken(name, tokens)


@pytest.mark.parametrize("more", [[], ["--vcluster=team-a/shop", "--replace-names"], ["--volumes"]])
def test_the_configuration_that_is_printed_takes_neither(more: list[str]) -> None:
    result = invoke("manifests", "otel", "--raw", *more)

    assert "vcluster.loft.sh/object-name" in result.stdout
    assert taken(result.stdout) == Taken(name=False, tokens=False)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "a: &a [x]\n" + "\n".join(f"b{i}: &b{i} [*a, *a]" for i in range(50_000)),
        pipeline("{key_regex: '" + "(a*)*" * 10_000 + "x'}"),
        pipeline("{key_regex: '" + "a*" * 60 + "x'}"),
        "x" * (2 << 20),
    ],
)
def test_a_hostile_configuration_costs_little(text: str) -> None:
    """Or else this test takes minutes."""
    assert taken(text) == Taken(name=False, tokens="(a*)*" in text)
