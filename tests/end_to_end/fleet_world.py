"""Sandbox servers as processes of their own, each in a network of its own where root allows it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command import ROOT, descendants

START_SECONDS = 90.0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


class Network:
    """A network namespace at the end of a cable of its own.

    The run's side of the cable is `here`, the server's `there`; nothing else is reachable.
    """

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.name, self.cable = f"elm{tag}", f"elm{tag}"
        # Addresses that no other test has, in whatever process it runs: one of 2**19 places.
        place = secrets.randbelow(2**19)
        start = f"10.{200 + (place >> 14)}.{place >> 6 & 255}"
        last = 4 * (place & 63)
        self.here, self.there = f"{start}.{last + 1}", f"{start}.{last + 2}"
        _ip("netns", "add", self.name)
        try:
            _ip(
                "link", "add", self.cable, "type", "veth", "peer", "name", "far", "netns", self.name
            )
            _ip("addr", "add", f"{self.here}/30", "dev", self.cable)
            _ip("link", "set", self.cable, "up")
            for words in (
                ("addr", "add", f"{self.there}/30", "dev", "far"),
                ("link", "set", "far", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", self.name, *words)
        except BaseException:
            self.close()
            raise

    @property
    def enter(self) -> Sequence[str]:
        """What to put in front of a command, to execute it there."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told.

        At the far end: without a cable at this one, the kernel would look for another way there.
        """
        _ip("-n", self.name, "link", "set", "far", "down")

    def heal(self) -> None:
        _ip("-n", self.name, "link", "set", "far", "up")

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self.cable], capture_output=True, timeout=20)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=20)


def networks_or_skip(count: int) -> list[Network]:
    """So many networks, or a skipped test where this machine has none to give."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    made: list[Network] = []
    try:
        for _ in range(count):
            made.append(Network())
    except subprocess.CalledProcessError as error:
        for network in made:
            network.close()
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    return made


class Server:
    """`python -m sandbox serve`, which may be killed and started again at the same address."""

    def __init__(
        self,
        folder: Path,
        name: str,
        network: Network | None = None,
        slots: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        self.name, self.network, self.slots, self.options = name, network, slots, options
        self.host = network.there if network else "127.0.0.1"
        self.port = _free_port() if network is None else 8700
        self.token_file = folder / "token"
        self.keys = folder / f"keys-{name}"
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        if not self.token_file.exists():
            self.token_file.touch(0o600)
            self.token_file.write_text(secrets.token_urlsafe(24) + "\n")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> Server:
        """Starts it, and waits until it can execute."""
        words = [
            *(self.network.enter if self.network else ()),
            *(sys.executable, "-m", "sandbox", "serve"),
            *("--host", self.host, "--port", str(self.port), "--slots", str(self.slots)),
            *("--node", self.name, "--token-file", str(self.token_file), "--keys", str(self.keys)),
            *self.options,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("GET", "/healthz")
                return self
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{self.name}: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def ask(self, method: str, route: str, body: object = None) -> Any:
        """What one route answers; through the network like everybody else."""
        request = urllib.request.Request(self.url + route, method=method)
        request.add_header("Authorization", f"Bearer {self.token_file.read_text().strip()}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def workers(self) -> list[int]:
        """Its processes that serve, the arbiter and the jailed ones left out."""
        assert self.process is not None
        lines = descendants(self.process.pid)
        return [pid for pid, line in lines if "sandbox serve" in line]

    def kill(self) -> None:
        """All of it at once, as a power cut does."""
        assert self.process is not None
        below = descendants(self.process.pid)
        for pid in [self.process.pid, *(pid for pid, _ in below)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self.process = None

    def close(self) -> None:
        """Asks it to end; kills it where it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} did not end: {self.log.read_text()[-2000:]}"
            ) from None
        self.process = None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
