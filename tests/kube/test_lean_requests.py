"""The detector of encodings is there when it is needed, and only then."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_it_is_not_imported() -> None:
    run(
        "import kubectl_vmetrics.kube.lean_requests, sys; assert not {'charset_normalizer', 'chardet'} & sys.modules.keys()"
    )


def test_it_works_when_text_is_read() -> None:
    run(
        "import kubectl_vmetrics.kube.lean_requests, requests, io\n"
        "response = requests.Response()\n"
        "response.raw = io.BytesIO('grüße aus köln, schöne grüße'.encode('utf-8'))\n"
        "assert response.text == 'grüße aus köln, schöne grüße'\n"
    )
