"""A Dockerfile's instructions, as far as tests need them (https://docs.docker.com/reference/dockerfile/)."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).parents[2] / "Dockerfile"


class Instruction(NamedTuple):
    """One instruction: its name in capitals, and the rest of its lines as one."""

    name: str
    text: str

    @property
    def listed(self) -> list[str]:
        """The text as a JSON list (exec form). Raises ValueError for the shell form."""
        found: list[str] = json.loads(self.text)
        return found

    @property
    def pairs(self) -> dict[str, str]:
        """Of ENV and LABEL."""
        return dict(part.split("=", 1) for part in shlex.split(self.text))


class Stage(NamedTuple):
    """What comes between two FROM."""

    source: str
    instructions: list[Instruction]

    def of(self, name: str) -> list[Instruction]:
        """Its instructions of a name."""
        return [item for item in self.instructions if item.name == name]


def stages(path: Path = PATH) -> list[Stage]:
    """The stages in their order; what precedes the first FROM is left out."""
    text = re.sub(r"(?m)^[ \t]*#.*\n", "", path.read_text())
    found: list[Stage] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append(Stage(rest, []))
        elif name and found:
            found[-1].instructions.append(Instruction(name, rest.strip()))
    return found
