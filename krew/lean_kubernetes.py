"""Stands for the models of the kubernetes package: hundreds of classes that nothing here ever makes.

Of that package, logging in, the in-cluster configuration and the port-forward are used; it imports all of its models
first. A module that stands for one gives an empty class for every name that is asked of it.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import types
from collections.abc import Sequence
from typing import Any

_LEFT_OUT = (
    "multiprocessing",
    "kubernetes.client.models",
    "kubernetes.client.api",
    "kubernetes.client.apis",
    "pydantic",
)


class _Nothing:
    """For any class, function or annotation."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Anything may be asked of it."""

    def __class_getitem__(cls, _: Any) -> type[_Nothing]:
        return cls


class _Module(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing


class _Finder:
    """Finds and loads them; without the base classes of importlib.abc, which take 2 ms at each start to import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in _LEFT_OUT):
            loader: Any = self
            return importlib.machinery.ModuleSpec(fullname, loader, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""
        if module.__name__ == "multiprocessing":  # kubernetes.client.configuration counts with it
            vars(module)["cpu_count"] = os.cpu_count


# The last to be asked, so that nothing else is looked up here first.
sys.meta_path.append(_Finder())
