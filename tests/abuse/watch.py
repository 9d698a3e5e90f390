"""Asks a proxy for health until its standard input ends, and a hundred times at least, unless that takes too long.

A process of its own, which waits for nobody's threads.

    python -m tests.abuse.watch PORT CA

Prints how long each answer took, and those that were wrong, as JSON; and how much later than it wanted it woke up each
time, which is what a busy machine does to any process.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import sys
import threading
import time

MORE = 8.0
"""Seconds that it goes on for at most, for the hundred."""
PATHS = ("/healthz", "/healthz", "/healthz", "/readyz")


def main(port: int, authority: str) -> None:
    """See above."""
    context = ssl.create_default_context(cafile=authority)
    took: list[float] = []
    late: list[float] = []
    wrong: list[str] = []
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    end = 0.0
    while not ended.is_set() or (len(took) < 100 and time.monotonic() < end):
        if not ended.is_set():
            end = time.monotonic() + MORE
        started = time.monotonic()
        try:
            with contextlib.closing(
                http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
            ) as peer:
                peer.request("GET", PATHS[len(took) % len(PATHS)])
                answer = peer.getresponse()
                found = f"{answer.status} {answer.read().decode()}"
        except OSError as error:
            found = repr(error)
        took.append(time.monotonic() - started)
        if found != "200 ok":
            wrong.append(found)
        started = time.monotonic()
        time.sleep(0.02)
        late.append(time.monotonic() - started - 0.02)
    print(json.dumps({"took": took, "late": late, "wrong": wrong}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
