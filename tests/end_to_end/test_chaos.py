"""Everything that can break breaks at random, and the archive is that of an undisturbed run.

Two servers, each behind a cable of its own; their processes are killed, stopped and continued,
the cables are cut and healed, the run itself is killed with `kill -9` and resumed, and its disk
runs full. The seed of the schedule is printed; `ELM_CHAOS_SEED` repeats one.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import Command, descendants
from fleet_world import Server, networks_or_skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

EVALUATIONS = 5000
SEARCH = (
    "environment=string",
    "model=none",
    "variation=syntax_tree",
    f"budget.evaluations={EVALUATIONS}",
    "seed=3",
    "report=false",
    "run_name=chaos",
)


class Mischief(threading.Thread):
    """Does something bad every second or so, until it is told to stop."""

    def __init__(self, servers: list[Server], seed: int) -> None:
        super().__init__(daemon=True)
        self.done: list[str] = []
        self.failure: BaseException | None = None
        self._servers, self._random = servers, random.Random(seed)
        self._over = threading.Event()

    def run(self) -> None:
        try:
            while not self._over.wait(0.3 + self._random.random()):
                server = self._random.choice(self._servers)
                act = self._random.choice([self._kill, self._kill_jailed, self._pause, self._cut])
                self.done.append(f"{act.__name__.strip('_')} {server.name}")
                act(server)
        except BaseException as error:
            self.failure = error

    def stop(self) -> None:
        self._over.set()
        self.join(60)
        assert self.failure is None, self.failure

    def _kill(self, server: Server) -> None:
        """The process with the worker in it; the server's arbiter starts another."""
        self._signal(server.workers(), signal.SIGKILL)

    def _kill_jailed(self, server: Server) -> None:
        assert server.process is not None
        served = set(server.workers())
        below = [pid for pid, _ in descendants(server.process.pid) if pid not in served]
        self._signal(below, signal.SIGKILL)

    def _pause(self, server: Server) -> None:
        pids = server.workers()
        self._signal(pids, signal.SIGSTOP)
        time.sleep(0.2 + 3 * self._random.random())
        for pid in pids:
            self._signal([pid], signal.SIGCONT)

    def _cut(self, server: Server) -> None:
        if server.network is not None:
            server.network.cut()
            time.sleep(0.2 + 3 * self._random.random())
            server.network.heal()

    def _signal(self, pids: list[int], number: int) -> None:
        if pids:
            try:
                os.kill(self._random.choice(pids), number)
            except ProcessLookupError:
                return  # it went by itself


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 32 MB."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=True, timeout=20
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


def fill(disk: Path) -> Path:
    """Takes all of a disk but for a little; yields the file that does."""
    room = shutil.disk_usage(disk).free
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(room - 200_000))
    return ballast


def test_chaos(tmp_path: Path):
    seed = int(os.environ.get("ELM_CHAOS_SEED") or time.time())
    print(f"ELM_CHAOS_SEED={seed}")
    calm = Command(tmp_path / "calm")
    calm(*SEARCH)
    networks = networks_or_skip(2)
    servers = [
        Server(tmp_path, f"server{number}", network, slots=1)
        for number, network in enumerate(networks)
    ]
    mischief = Mischief(servers, seed)
    try:
        with small_disk(tmp_path / "disk") as disk:
            elm = Command(disk / "runs")
            try:
                for server in servers:
                    server.start()
                remote = (
                    "dispatch.slots=0",
                    f"dispatch.servers=[{','.join(server.url for server in servers)}]",
                    f"dispatch.token_file={servers[0].token_file}",
                    "dispatch.heartbeat=0.5",
                    "dispatch.patience=2",
                )
                mischief.start()
                run = elm.start(*SEARCH, *remote)
                elm.when("chaos", EVALUATIONS // 8, run.kill)
                run.communicate()
                ballast = fill(disk)
                full = elm.start(*SEARCH, *remote, "resume=true")
                _, err = full.communicate(timeout=600)
                assert full.returncode != 0 and "no room on the disk" in err, err
                ballast.unlink()
                run = elm.start(*SEARCH, *remote, "resume=true")
                elm.when("chaos", EVALUATIONS * 3 // 4, run.kill)
                run.communicate()
                elm(*SEARCH, *remote, "resume=true")
                mischief.stop()
                found, wanted = elm.summary("chaos"), calm.summary("chaos")
                counts = _counts(elm.runs / "chaos" / "journal.db")
            finally:
                print(*mischief.done, *_told(elm.runs / "chaos" / "journal.db"), sep="\n")
    finally:
        mischief.stop()
        for network in networks:
            network.heal()
        for server in servers:
            server.close()
        for network in networks:
            network.close()
    print(f"{len(mischief.done)} mischiefs: {mischief.done}")
    assert len(mischief.done) > 5
    assert found["archive_sha256"] == wanted["archive_sha256"]
    assert found["evaluations"] == wanted["evaluations"] == EVALUATIONS
    assert found["statuses"] == wanted["statuses"], "nobody was blamed for what was done to them"
    assert counts == (EVALUATIONS, EVALUATIONS), "each once"


def _told(journal: Path) -> list[str]:
    """What the run noted of its fleet."""
    if not journal.exists():
        return ["no journal"]
    db = sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)
    try:
        return [" ".join(row) for row in db.execute("SELECT time, message FROM events")]
    finally:
        db.close()


def _counts(journal: Path) -> tuple[int, int]:
    db = sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)
    try:
        row = db.execute("SELECT COUNT(*), COUNT(DISTINCT candidate) FROM evaluations").fetchone()
    finally:
        db.close()
    return row[0], row[1]
