"""What the archive's executable does before the program begins."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


def entry() -> Any:
    path = Path(__file__).parents[2] / "krew" / "entry.py"
    spec = importlib.util.spec_from_file_location("entry", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"": "/archive:/usr/local/lib", "_ORIG": "/usr/local/lib"}, {"": "/usr/local/lib"}),
        ({"": "/archive/"}, {}),
        ({"": "/usr/local/lib"}, {"": "/usr/local/lib"}),
        ({"": "/usr/local/lib:/archive"}, {"": "/usr/local/lib:/archive"}),
        ({"_ORIG": ""}, {"": ""}),
        ({}, {}),
    ],
    ids=["as it was", "nothing before", "the user's own", "the user's own, too", "empty before", "nothing at all"],
)
def test_children_find_their_own_libraries(name: str, before: dict[str, str], after: dict[str, str]) -> None:
    environ = {"HOME": "/root", **{f"{name}{end}": value for end, value in before.items()}}
    entry().restore(environ, "/archive")
    assert environ == {"HOME": "/root", **{f"{name}{end}": value for end, value in after.items()}}
