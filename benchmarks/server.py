"""A standalone sandbox server for a benchmark, started and ended with it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """Where it is, and the file with its token."""

    url: str
    token_file: Path

    def ask(self, route: str, body: object = None) -> bytes:
        """What one route answers.

        Raises:
            urllib.error.URLError: if it cannot be reached, or refuses.
        """
        request = urllib.request.Request(self.url + route)
        request.add_header("Authorization", f"Bearer {self.token_file.read_text().strip()}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content


@contextmanager
def serving(folder: Path, slots: int) -> Iterator[Server]:
    """A server on a free port of the loopback interface, ready to execute.

    Raises:
        RuntimeError: if it does not come up.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", folder / "token")
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox", "serve", "--port", str(port)),
                *("--slots", str(slots), "--token-file", str(server.token_file)),
            ],
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                server.ask("/healthz")
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no server: {log.read_text()[-500:]}") from None
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(60)
