"""The local fleet: one worker process with all slots of this machine.

It speaks to the run like any other worker, over a socket file in a folder that only this user can
enter, so that there is one way to execute programs and not two.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from elm.dispatch.base import FleetError
from elm.dispatch.broker import Broker
from elm.dispatch.process import WorkerProcess, worker_command
from elm.dispatch.router import Router
from sandbox.protocol import MAX_MESSAGE_BYTES, Bundle, Evaluation, Parcel, Task, encode

LEVELS = ("auto", "L3", "L2", "L1")
LONGEST_SOCKET_PATH = 100  # bytes; the kernel allows 107


def available_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalDispatcher:
    """Executes on this machine. Implements `elm.dispatch.base.Dispatcher`.

    Args:
        slots: programs executed at one time, or "auto": one for each available core.
        level: the jail that slots must have; "auto" takes the strongest that works here.
        max_tries: losses after which a program counts as poison.
        heartbeat: seconds between two signs of life.
        patience: seconds of silence after which a worker is replaced.
        start_seconds: how long the first start may take.
        prefetch: tasks that the worker holds beyond its slots; None leaves it to the worker.

    Raises:
        ValueError: for a setting that cannot be, in one line that names it.
    """

    def __init__(
        self,
        slots: int | str = "auto",
        level: str = "auto",
        *,
        max_tries: int = 3,
        heartbeat: float = 1.0,
        patience: float = 10.0,
        start_seconds: float = 120.0,
        prefetch: int | None = None,
    ) -> None:
        if slots != "auto" and (isinstance(slots, bool | str) or slots != int(slots) or slots < 1):
            raise ValueError(
                f"dispatch.slots must be a whole number above 0 or 'auto', got {slots}"
            )
        if level not in LEVELS:
            raise ValueError(f"dispatch.level must be one of {', '.join(LEVELS)}, got {level!r}")
        if isinstance(max_tries, bool) or not isinstance(max_tries, int) or max_tries < 1:
            raise ValueError(f"dispatch.max_tries must be a whole number above 0, got {max_tries}")
        for name, value in (
            ("heartbeat", heartbeat),
            ("patience", patience),
            ("start_seconds", start_seconds),
        ):
            if not value > 0:
                raise ValueError(f"dispatch.{name} must be above 0 seconds, got {value}")
        if patience < 2 * heartbeat:
            raise ValueError(
                f"dispatch.patience must be at least two heartbeats ({2 * heartbeat:g} s), "
                f"got {patience:g}"
            )
        self._asked = available_cores() if slots == "auto" else int(slots)
        self._max_tries, self._heartbeat, self._patience = max_tries, heartbeat, patience
        self._start_seconds = start_seconds
        self._options = ["--slots", str(self._asked), "--level", level, "--node", "local"]
        if prefetch is not None:
            self._options += ["--prefetch", str(prefetch)]
        self.command = worker_command()  # without its options; may be changed before `start`
        self._router: Router | None = None
        self._process: WorkerProcess | None = None
        self._folder: Path | None = None
        self._seen = ""  # the last worker that the broker has known
        self._missing_since: float | None = None

    # The contract -----------------------------------------------------------------------------

    @property
    def level(self) -> str:
        """The weakest jail among the slots; "" before the first is up."""
        return self._router.broker.level if self._router is not None else ""

    @property
    def slots(self) -> int:
        """How many tasks can run at one time right now."""
        if self._router is None:
            return 0
        with self._router.changed:
            return self._router.broker.slots

    def start(self, bundle: Bundle) -> None:
        """Starts the worker and waits until its first slot is up, and shortly for the others.

        Raises:
            FleetError: if no slot comes up, with the reason in one line.
        """
        if self._router is not None:
            raise FleetError("this fleet was started already; close it and make another")
        size = len(encode(Parcel(bundle)))
        if size > MAX_MESSAGE_BYTES:
            raise FleetError(
                f"environment {bundle.environment!r} is {size} bytes, but a sandbox takes "
                f"{MAX_MESSAGE_BYTES}: make its settings or modules smaller"
            )
        self._folder = _private_folder()
        address = f"ipc://{self._folder / 'fleet'}"
        self._process = WorkerProcess(
            [
                *self.command,
                *("--connect", address),
                *("--scratch", str(self._folder)),
                *self._options,
            ],
            self._folder / "worker.log",
        )
        broker = Broker(
            secrets.token_hex(8),
            bundle,
            max_tries=self._max_tries,
            heartbeat=self._heartbeat,
            patience=self._patience,
        )
        self._router = Router(broker, address, self._tend)
        self._router.start()
        try:
            self._await_slots(self._router, self._process)
        except BaseException:
            self.close()
            raise

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues tasks. Returns at once."""
        self._running().submit(tasks)

    def results(self, timeout: float) -> list[Evaluation]:
        """Evaluations that arrived since the last call; waits up to `timeout` seconds."""
        return self._running().results(timeout)

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Says that these evaluations are safe on disk."""
        self._running().acknowledge(candidates)

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""
        return self._running().notices()

    def close(self) -> None:
        """Ends the worker and its slots. Tasks without a result are forgotten."""
        if self._router is not None:
            self._router.close()
        if self._process is not None:
            self._process.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    # What else can be seen --------------------------------------------------------------------

    @property
    def worker_pid(self) -> int | None:
        """Of the worker process, while there is one."""
        return self._process.pid if self._process is not None else None

    def status(self) -> dict[str, Any]:
        """Workers with their processes, queue and counters, as plain data."""
        return self._running().status()

    # Inside -----------------------------------------------------------------------------------

    def _running(self) -> Router:
        if self._router is None:
            raise FleetError("this fleet was not started")
        return self._router

    def _await_slots(self, router: Router, process: WorkerProcess) -> None:
        def settled() -> bool:
            router.check()
            return bool(router.broker.slots or router.broker.refusal or process.exited)

        with router.changed:
            router.changed.wait_for(settled, self._start_seconds)
            if router.broker.slots:
                # The others are about to follow; a run should not begin with one slot of many.
                router.changed.wait_for(lambda: router.broker.slots >= self._asked, 2.0)
                return
            reason = router.broker.refusal
            if reason is None and process.exited:
                reason = process.last_words() or "its worker process ended"
            if reason is None:
                reason = f"nothing came up within {self._start_seconds:g} s"
        raise FleetError(f"no sandbox can be started: {reason}")

    def _tend(self, now: float) -> None:
        """Called by the dispatcher's thread in every round, with its lock held."""
        assert self._router is not None
        assert self._process is not None
        process, broker = self._process, self._router.broker
        ended = process.tend(now)
        if ended is not None:
            self._missing_since = None
            if broker.knows(process.name):
                broker.vanished(process.name, ended)
            else:
                broker.notices.append(ended)
        elif broker.knows(process.name):
            self._seen, self._missing_since = process.name, None
        elif process.pid is not None:
            self._replace_missing(process, now)

    def _replace_missing(self, process: WorkerProcess, now: float) -> None:
        """Kills a process that lives, but has not been heard of for too long."""
        if self._missing_since is None:
            self._missing_since = now
        allowed = self._patience if self._seen == process.name else self._start_seconds
        if now - self._missing_since > allowed:
            process.kill()


def _private_folder() -> Path:
    """A new folder that only this user can enter, with a name short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="elm-"))
    if len(os.fsencode(folder)) + len("/fleet") > LONGEST_SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="elm-", dir="/tmp"))
    return folder
