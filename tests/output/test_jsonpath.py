"""JSONPath templates, held against the real kubectl, which applies them to an object without a cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.output.jsonpath import MOST, Path, Template, number

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "n", "labels": {"app": "x", "a.b/c": "<&>é"}, "annotations": {"k": "v"}},
    "spec": {
        "containers": [
            {"name": "c1", "image": "i1", "ports": [{"containerPort": 80}], "args": ["a", "b"]},
            {"name": "c2", "image": "i2"},
        ],
        "priority": 5,
        "hostNetwork": True,
    },
}

TEMPLATES = r"""
{.metadata.name}
.metadata.name
{.metadata.labels}
{.spec.containers[*].name}
{.spec.containers[?(@.name=="c2")].image}
{range .spec.containers[*]}{.name}{"\t"}{.image}{"\n"}{end}
{.metadata.labels['a\.b/c']}
{.spec.containers..name}
{.spec.containers[0:2].name}
{.spec.containers[-1].name}
{.spec.priority}{.spec.hostNetwork}{.nope}
{.metadata['name','namespace']}
{.}
{@}
{$}
{.spec.containers[5].name}
{.spec.containers[
{.a
{.spec.containers[?(@.ports)].name}
{.spec.containers[*].ports[?(@.containerPort>=80)]}
{.metadata.labels.a\.b/c}
{"a"}b{1}{1.50}{true}
{range .spec.containers[*]}{.name}
{.spec.containers[?(@.name=="c2")]}
{.spec.containers[:1]}
{.spec.containers[::2].name}
{.spec.containers}
{[0]}
{.spec.containers[?(@.nope=="c2")].image}
{.spec.containers[*].args[1]}
{.spec.containers[0]["name"]}
{.spec.containers[0]['name']}
{$.metadata.name}
{@.metadata.name}
{ .metadata.name }
{.spec.containers[?(@.name=~"c")].image}
{'x'}
{range .spec.containers[*]}[{.name},{range .args[*]}<{@}>{end}]{end}!
{.spec.containers[1:1].name}
{.spec.priority[0]}
{.spec.containers[?(@.name!="c2")].name}
{.spec.containers[?(@.name=='c2')].name}
{.spec.containers[?(@.name>"c1")].name}
{.spec.containers[?(@.name==2)].name}
{.spec.containers[?(@.ports[0].containerPort==80)].name}
{.spec.containers[0,1].name}
{.spec.containers[0].args}
{"\""}{"a\\b"}
{"\q"}
{"abc
{.spec.containers[a]}
{.spec.containers[]}
{.spec.containers[2:1]}
{.spec.containers[0:9]}
{.spec.containers[0:2:0]}
{....}
{.metadata.name}x{.metadata.namespace}
}
{}
{{}}
{.spec.containers[?(@.name=="c)2")].name}
{.spec.containers[?(@.name=="c1"]}
{.spec.containers[?(@.name=="c1")}
{.spec.containers[*]['name','image']}
{range .spec.nope[*]}a{end}b
{-5}{+7}{1.0}{1e5}
{false}
{.metadata.name .metadata.namespace}
{range .spec.containers[*]}{.name}{" "}{end}{.metadata.name}
{..containerPort}
{.spec.containers[*].ports[*].containerPort}
{.spec.containers[-3].name}
{.spec["priority"]}
{!}
{.spec.containers[?(@.name)].name}
{.spec.containers[?(@)].name}
{.spec.containers[?(.name=="c1")].name}
{.spec.containers[0:-1].name}
"""


def ours(template: str) -> tuple[bool, str]:
    try:
        return True, Template(template).render(POD)
    except ValueError as error:
        return False, f"error: {error}"


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> File:
    path = tmp_path_factory.mktemp("jsonpath") / "pod.json"
    path.write_text(json.dumps(POD))
    return path


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")
@pytest.mark.parametrize("template", TEMPLATES.strip().split("\n"))
def test_as_kubectl(template: str, pod: File) -> None:
    command = ["kubectl", "annotate", "--local", "--overwrite", "-f", str(pod), "k=v", "-o", f"jsonpath={template}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    said = done.stderr.split(". Printing more")[0].strip().replace("Error executing template: ", "")

    assert ours(template) == (done.returncode == 0, done.stdout or said)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", "template format specified but no template given"),
        ("{foo}", "error parsing jsonpath {foo}, unrecognized identifier foo"),
        ("{end}", "error parsing jsonpath {end}, not in range, nothing to end"),
        ("{[?(@.a<>1)]}", "error parsing jsonpath {[?(@.a<>1)]}, unrecognized filter operator <>"),
        ("x" * 70_000, "a JSONPath template may have 65,536 characters at most"),
    ],
)
def test_wrong_templates_are_refused_before_anything_is_requested(template: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Template(template)

    assert str(caught.value) == message


def test_what_is_printed_cannot_steer_a_terminal_but_the_template_may() -> None:
    hostile = {"name": "\x1b[31mred\n", "map": {"\x1b": "\x07"}}

    assert Template('{.name}{"\\n"}{.map}').render(hostile) == '^[[31mred\\n\n{"\\u001b":"\\u0007"}'


def test_nested_descents_are_bounded() -> None:
    wide: Any = {}
    for _ in range(18):
        wide = {"a": wide, "b": wide}

    with pytest.raises(ValueError, match="the template matches too many values"):
        Template("{..a..b..a..b..a}").render(wide)
    assert MOST == 5_000_000


def test_paths_may_leave_out_braces_and_dot() -> None:
    for text in ("metadata.name", ".metadata.name", "{metadata.name}", "{.metadata.name}"):
        assert Path(text).find(POD) == ["a"]
    with pytest.raises(ValueError, match="unexpected path string"):
        Path("{.a}{.b}")


def test_numbers_are_written_as_go_writes_them() -> None:
    values = (0.1, 2.0, 1e6, 123456789.5, 1e20, 1e21, 0.0001, 0.00001, -3.0)

    assert [number(value) for value in values] == [
        "0.1", "2", "1000000", "123456789.5", "100000000000000000000", "1e+21", "0.0001", "1e-05", "-3",
    ]  # fmt: skip


@given(st.text(alphabet="{}[]().,:*?@$'\"\\ab01<=> -\n"))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    ours(text)
