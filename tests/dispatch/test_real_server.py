"""A run on `python -m sandbox serve`, with real slots: attached, killed, back, drained."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_local_fleet import collect, wait_until
from test_local_slots import BUNDLE, check, tasks

from elm.dispatch.fleet import Fleet
from sandbox.protocol import Evaluation

pytest.importorskip("flask")
pytest.importorskip("gunicorn")
pytestmark = pytest.mark.slow


class Server:
    """One server process group; started again at the same port."""

    def __init__(self, folder: Path, node: str) -> None:
        self.token_file, self.log, self.node = folder / "token", folder / f"{node}.log", node
        self.port = "0"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sandbox", "serve", "--port", self.port),
                    *("--slots", "2", "--node", self.node, "--token-file", str(self.token_file)),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._is_up, 60)

    def _is_up(self) -> bool:
        assert self.process is not None
        text = self.log.read_text()
        assert self.process.poll() is None, text
        found = re.search(r"http://127\.0\.0\.1:(\d+)", text)
        if found is None:
            return False
        self.port = found[1]
        try:
            return bool(urllib.request.urlopen(f"{self.url}/healthz", timeout=5).status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def busy(self) -> int:
        """Programs that it executes now, for all runs."""
        with self._ask("GET", "/v1/status") as answer:
            return sum(run["busy"] for run in json.load(answer)["runs"])

    def drain(self) -> None:
        with self._ask("POST", "/v1/drain") as answer:
            assert answer.status == 202

    def _ask(self, method: str, route: str) -> Any:
        token = self.token_file.read_text().strip()
        request = urllib.request.Request(
            self.url + route, headers={"Authorization": f"Bearer {token}"}, method=method
        )
        return urllib.request.urlopen(request, timeout=10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, "north")
    server.start()
    yield server
    server.kill()


def test_a_real_server_works_dies_returns_and_drains(server: Server) -> None:
    fleet = Fleet(
        0, servers=[server.url], token_file=str(server.token_file), heartbeat=0.5, patience=2.0
    )
    try:
        fleet.start(BUNDLE)
        fleet.submit(tasks(60, seconds=0.02))
        time.sleep(0.3)
        server.kill()
        server.start()
        found = collect(fleet, 60)
        check(found, 60)
        assert {each.node for each in found.values()} == {"north"}
        assert {each.level for each in found.values()} <= {"L2", "L3"}
        told = fleet.notices()
        assert any(line.startswith("sandbox north lost (") for line in told), told
        fleet.submit(tasks(6, seconds=0.5))
        wait_until(lambda: fleet.status()["leased"] == 6 and server.busy())
        server.drain()
        assert server.process is not None
        early: dict[int, Evaluation] = {}
        while server.process.poll() is None:
            for each in fleet.results(0.1):  # it waits until what it executed is acknowledged
                early[each.candidate] = each
                fleet.acknowledge([each.candidate])
        assert server.process.wait() == 0
        assert 0 < len(early) < 6
        wait_until(lambda: fleet.slots == 0)
        server.start()
        check(early | collect(fleet, 6 - len(early)), 6)
        counts = fleet.status()["counts"]
        assert counts.get("faults", 0) == counts.get("poison", 0) == 0
    finally:
        fleet.close()
