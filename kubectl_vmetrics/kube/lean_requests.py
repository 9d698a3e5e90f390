"""`requests`, without the detector of text encodings that it imports first thing.

The detector costs a tenth of the start-up of a small command, and is for bodies that are read as text; here all are
read as bytes. Should something else use it after all (a login library does), it is imported then.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any


class _Detector(types.ModuleType):
    """Stands for charset_normalizer until it is used."""

    __version__ = "3.4.0"  # `requests` checks that it is below 4

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks at the stand-in itself
            raise AttributeError(name)
        import charset_normalizer

        return getattr(charset_normalizer, name)


_NAME = "charset_normalizer"
_stands_in = not {"requests", _NAME} & sys.modules.keys() and bool(importlib.util.find_spec(_NAME))
if _stands_in:
    sys.modules[_NAME] = _Detector(_NAME)
try:
    import requests
    from requests.adapters import HTTPAdapter
finally:
    if _stands_in:
        del sys.modules[_NAME]

__all__ = ["HTTPAdapter", "requests"]
