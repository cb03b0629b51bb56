"""The slots of this machine: a worker process, started, watched, started again, ended with the run.

It speaks to the run like any other worker, over a socket file in a folder that only this user can
enter, so that there is one way to execute programs and not two.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import sandbox
from elm.dispatch.broker import Broker

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds before it is started again
STEADY_SECONDS = 30.0  # a life this long ends the growth of the pause
EXIT_SECONDS = 5.0  # to leave by itself when the run closes
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR")


def worker_command() -> list[str]:
    """How to start a worker with this interpreter; `-P` keeps the working folder out of it."""
    return [sys.executable, "-P", "-m", "sandbox", "worker"]


def worker_environment() -> dict[str, str]:
    """What a worker may see: where programs and modules are, and none of the run's keys."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    root = str(Path(sandbox.__path__[0]).resolve().parent)
    more = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = dict.fromkeys([root, *(str(Path(path).resolve()) for path in more)])
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


class WorkerProcess:
    """One worker process at a time, each life with a name of its own.

    `tend` starts processes, so it must be called by one thread that lives as long as the run: the
    kernel ends the worker with the thread that started it.

    Args:
        command: the worker's command line without `--worker` and `--parent`.
        log: file that takes its printout, from the start of each life.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.name = ""
        self.starts = 0
        self.exited = False  # at least once
        self._command, self._log = list(command), log
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0
        self._pause = SHORTEST_PAUSE

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    def age(self, now: float) -> float:
        """Seconds since the present life began."""
        return now - self._started

    def tend(self, now: float) -> str | None:
        """Starts the process where it is due; says why it ended where it has."""
        if self._process is None:
            if now >= self._due:
                self._start(now)
            return None
        status = self._process.poll()
        if status is None:
            return None
        if self.age(now) >= STEADY_SECONDS:
            self._pause = SHORTEST_PAUSE
        self._due = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self.kill()  # what is left of its group
        self._process = None
        self.exited = True
        end = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        last = self.last_words()
        return f"worker process ended with {end}" + (f": {last}" if last else "")

    def last_words(self) -> str:
        """The last line that it printed."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1].strip()[:300] if lines else ""

    def kill(self) -> None:
        """Ends the process and its group at once."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Waits until it has left by itself, and kills it when that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)
        self.kill()
        self._process.wait()
        self._process = None

    def _start(self, now: float) -> None:
        self.name = f"{os.getpid()}.{self.starts}.{secrets.token_hex(4)}"
        self.starts += 1
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, "--worker", self.name, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=worker_environment(),
                # Ctrl-C is for the run only.
                start_new_session=True,
                close_fds=True,
            )
        self._started = now


class LocalNode:
    """Keeps a worker of this machine in the fleet: replaces it where it has ended or is silent.

    Args:
        process: of the worker.
        patience: seconds of silence after which a worker that was there is killed.
        start_seconds: the same for one that has not reported yet.
    """

    def __init__(self, process: WorkerProcess, patience: float, start_seconds: float) -> None:
        self.process = process
        self._patience, self._start_seconds = patience, start_seconds
        self._seen = ""  # the last worker that the broker has known
        self._missing_since: float | None = None

    def tend(self, broker: Broker, now: float) -> None:
        """Looks after the process; called by the dispatcher's thread in every round."""
        process = self.process
        ended = process.tend(now)
        if ended is not None:
            self._missing_since = None
            if broker.knows(process.name):
                broker.vanished(process.name, ended)
            else:
                broker.tell(ended)
        elif broker.knows(process.name):
            self._seen, self._missing_since = process.name, None
        elif process.pid is not None:
            self._replace_missing(now)

    def _replace_missing(self, now: float) -> None:
        """Kills a process that lives, but has not been heard of for too long."""
        if self._missing_since is None:
            self._missing_since = now
        allowed = self._patience if self._seen == self.process.name else self._start_seconds
        if now - self._missing_since > allowed:
            self.process.kill()
