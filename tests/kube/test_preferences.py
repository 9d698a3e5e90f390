"""Which credential plugins may run, as kubectl's preferences have it (kuberc, since kubectl v1.35)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubectl_vmetrics.kube import preferences
from kubectl_vmetrics.kube.errors import ConfigError
from tests.conftest import Cli, invoke
from tests.kube.test_credentials import credential, plugin

REFUSED = "Unable to connect to the server: getting credentials: "


def written(folder: Path, **fields: object) -> Path:
    path = folder / "kuberc"
    document = {"apiVersion": "kubectl.config.k8s.io/v1beta1", "kind": "Preference", **fields}
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin `login` on the PATH, and another one of that name elsewhere."""
    for name in ("bin", "other"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "login"
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin" / "login"


@pytest.mark.parametrize("fields", [{}, {"credentialPluginPolicy": ""}, {"credentialPluginPolicy": "AllowAll"}])
def test_all_are_allowed_where_nothing_else_is_said(fields: dict[str, object], tmp_path: Path) -> None:
    assert preferences.permitted("anything", written(tmp_path, **fields)) == "anything"
    assert preferences.permitted("anything", None) == "anything"


@pytest.mark.parametrize("key", ["name", "command"])  # v1.35, v1.36
@pytest.mark.parametrize("by_path", [False, True])
def test_a_plugin_of_the_list(key: str, by_path: bool, login: Path, tmp_path: Path) -> None:
    """By its name or its path, on both sides; what was compared is what runs."""
    entry = str(login) if by_path else "login"
    path = written(tmp_path, credentialPluginPolicy="Allowlist", credentialPluginAllowlist=[{key: "x"}, {key: entry}])

    assert preferences.permitted("login", path) == str(login)
    assert preferences.permitted(str(login), path) == str(login)
    with pytest.raises(ConfigError) as caught:
        preferences.permitted(str(tmp_path / "other" / "login"), path)
    assert caught.value.line == f'{REFUSED}plugin "{tmp_path}/other/login" not allowed: policy set to "Allowlist"'


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"credentialPluginPolicy": "DenyAll"}, 'plugin "login" not allowed: policy set to "DenyAll"'),
        ({"credentialPluginPolicy": "Allowlist"}, 'plugin "login" not allowed: policy set to "Allowlist"'),
        ({"credentialPluginPolicy": "Some"}, 'unknown plugin policy "Some"'),
        (
            {"credentialPluginPolicy": "DenyAll", "credentialPluginAllowlist": [{"name": "login"}]},
            'an allow list of plugins is set, but the policy is "DenyAll"',
        ),
        (
            {"credentialPluginPolicy": "Allowlist", "credentialPluginAllowlist": [{}]},
            "an entry of the plugin allow list has no command",
        ),
        (
            {"credentialPluginPolicy": "Allowlist", "credentialPluginAllowlist": 7},
            "an entry of the plugin allow list has no command",
        ),
        (
            {"credentialPluginPolicy": "Allowlist", "credentialPluginAllowlist": ["login"]},
            "an entry of the plugin allow list has no command",
        ),
    ],
)
def test_what_is_not_allowed(fields: dict[str, object], line: str, login: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        preferences.permitted("login", written(tmp_path, **fields))
    assert caught.value.line == REFUSED + line


def test_preferences_that_cannot_be_read_allow_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("a: [")
    for path, line in ((tmp_path / "broken", "is not YAML"), (tmp_path, ": is a directory")):
        with pytest.raises(ConfigError, match=line):
            preferences.permitted("login", path)


def test_where_they_are(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert preferences.location({}) is None
    assert preferences.location(home) is None
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "kuberc").write_text("")
    assert preferences.location(home) == tmp_path / ".kube" / "kuberc"
    assert preferences.location({**home, "KUBERC": "off"}) is None
    assert preferences.location({**home, "KUBERC": "/elsewhere"}) == Path("/elsewhere")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_command_asks_before_it_logs_in(on_demo: Cli, tmp_path: Path) -> None:
    exec_ = plugin(tmp_path, 'touch "$0.ran"\n' + credential(token="demo-viewer"))
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    config["users"][0]["user"] = {"exec": {**exec_, "interactiveMode": "Never"}}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    denied = written(tmp_path, credentialPluginPolicy="DenyAll")

    def run(kuberc: str) -> tuple[int, str]:
        found = invoke("top", "nodes", kubeconfig=tmp_path / "kubeconfig", KUBERC=kuberc)
        return found.code, found.stderr

    assert run(str(denied)) == (1, f'{REFUSED}plugin "{exec_["command"]}" not allowed: policy set to "DenyAll"\n')
    assert run(str(tmp_path / "none")) == (1, f"{REFUSED}{tmp_path}/none: no such file or directory\n")
    assert not (tmp_path / "plugin.ran").exists()
    assert run("off") == (0, "")
    assert (tmp_path / "plugin.ran").exists()
