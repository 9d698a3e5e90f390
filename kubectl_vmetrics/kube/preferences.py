"""kubectl's preferences (kuberc), as far as they bind plugins as well: which credential plugins may run.

kubectl applies the policy in its own process alone, so a plugin of kubectl has to do it again
(k8s.io/kubectl pkg/kuberc, k8s.io/client-go plugin/pkg/client/auth/exec; since v1.35).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ConfigError

ALLOW_ALL, DENY_ALL, ALLOWLIST = "AllowAll", "DenyAll", "Allowlist"
OFF = "off"
_GROUP = "kubectl.config.k8s.io/"


def location(environ: Mapping[str, str]) -> Path | None:
    """The file: $KUBERC, else ~/.kube/kuberc where there is one; None without."""
    named = environ.get("KUBERC", "")
    if named:
        return None if named == OFF else Path(named)
    home = environ.get("HOME") or environ.get("USERPROFILE")
    path = Path(home, ".kube", "kuberc") if home else None
    return path if path and path.exists() else None


def permitted(command: str, path: Path | None) -> str:
    """The executable to run for a credential plugin, as the policy in this file allows it.

    Args:
        command: as the kubeconfig has it.
        path: of the preferences; None where there are none.

    Returns:
        With a list of what is allowed, the very file that was compared with it; else the command.

    Raises:
        ConfigError: it is not allowed; or the preferences cannot be read, and nobody knows whether it is.
    """
    policy, entries = _policy(path) if path else (ALLOW_ALL, [])
    if policy == ALLOW_ALL:
        return command
    if policy == ALLOWLIST:
        import shutil

        found = shutil.which(command)
        if found and any(entry in (command, found) or shutil.which(entry) == found for entry in entries):
            return found
    raise _refused(f'plugin "{command}" not allowed: policy set to "{policy}"', f"see {path}")


def _policy(path: Path) -> tuple[str, list[str]]:
    document = _document(path)
    policy = document.get("credentialPluginPolicy") or ALLOW_ALL
    listed = document.get("credentialPluginAllowlist")
    if policy not in (ALLOW_ALL, DENY_ALL, ALLOWLIST):
        raise _refused(f'unknown plugin policy "{policy}"', f"see {path}")
    if listed is not None and policy != ALLOWLIST:
        raise _refused(f'an allow list of plugins is set, but the policy is "{policy}"', f"see {path}")
    entries: list[str] = []
    for item in listed if isinstance(listed, list) else [listed] if listed else []:
        # `name` became `command` in v1.36.
        entry = (item.get("command") or item.get("name")) if isinstance(item, dict) else None
        if not isinstance(entry, str):
            raise _refused("an entry of the plugin allow list has no command", f"see {path}")
        entries.append(entry)
    return str(policy), entries


def _document(path: Path) -> dict[str, Any]:
    """The first document that is one of preferences; kubectl takes one of several versions."""
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            documents = list(yaml.load_all(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except OSError as error:
        raise _refused(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise _refused(f"{path} is not YAML") from None
    for document in documents:
        if isinstance(document, dict) and str(document.get("apiVersion", "")).startswith(_GROUP):
            return document
    return {}


def _refused(reason: str, hint: str | None = None) -> ConfigError:
    return ConfigError(f"Unable to connect to the server: getting credentials: {reason}", hint=hint, prefix="")
