"""Nodes from SLURM, or from this machine for a trial, through `submitit`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elm.dispatch.base import FleetError
from elm.dispatch.nodes import STOP_SECONDS, node_environment, node_name

EXECUTORS = ("slurm", "local")
POLL_SECONDS = 5.0  # between two looks at the jobs
_DEFAULTS = {"name": "elm-node", "timeout_min": 240}
SERVE = (
    f'exec {sys.executable} -m sandbox serve --join "$ELM_JOIN" --run-key="$ELM_RUN_KEY" '
    '--slots auto --node "$ELM_NODE" --no-http --keys "$HOME/.elm/server-keys"'
)


class SubmititNodes:
    """Each node is one job. Implements `elm.dispatch.nodes.Nodes`.

    Of this project nothing is pickled: a job is a command with its environment. The folder must
    be one that all nodes see.

    Args:
        join: address at which servers join the run.
        run_key: the run's public key.
        executor: "slurm", or "local" for processes of this machine.
        folder: for the jobs' scripts and printouts.
        parameters: of the executor as `submitit` names them: `timeout_min`, `cpus_per_task`,
            `mem_gb`, `slurm_partition`, ...
        command: for `sh`; the default starts a sandbox server with this interpreter, whose key
            pair lies in `~/.elm/server-keys`. The run has to have enrolled its public key.
        keep: more variables of this process that the command may see.
        poll: seconds between two looks at the jobs.

    Raises:
        FleetError: if `submitit` is not installed, or there is no SLURM here.
        ValueError: for a setting that cannot be.
    """

    def __init__(
        self,
        *,
        join: str,
        run_key: str,
        executor: str = "slurm",
        folder: str | Path = "slurm",
        parameters: Mapping[str, Any] | None = None,
        command: str = SERVE,
        keep: Sequence[str] = (),
        poll: float = POLL_SECONDS,
    ) -> None:
        if executor not in EXECUTORS:
            raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, got {executor!r}")
        try:
            import submitit
        except ImportError:
            raise FleetError(
                "nodes from SLURM need the package 'submitit': pip install 'elm[slurm]'"
            ) from None
        # It warns where a cluster keeps no accounts; jobs are watched all the same.
        logging.getLogger("submitit").setLevel(logging.ERROR)
        try:
            self._executor = submitit.AutoExecutor(folder=str(folder), cluster=executor)
        except RuntimeError as error:
            raise FleetError(f"no nodes from {executor}: {error}") from None
        try:
            self._executor.update_parameters(**_DEFAULTS | dict(parameters or {}))
        except (NameError, TypeError, ValueError) as error:
            raise ValueError(f"parameters: {str(error).splitlines()[0]}") from None
        self._folder = Path(folder).resolve()
        self._function = submitit.helpers.CommandFunction
        self._join, self._run_key, self._keep = join, run_key, tuple(keep)
        self._command, self._poll = command, poll
        self._lock = threading.Lock()
        self._alive: dict[str, None] = {}
        self._notices: list[str] = []
        self._jobs: dict[str, Any] = {}  # of the thread alone
        self._stopping = threading.Event()
        # One thread submits, cancels and looks: a scheduler may take minutes to answer.
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "slurm")
        self._watch: concurrent.futures.Future[None] | None = None

    def start(self) -> str:
        """Submits one more job."""
        name = node_name()
        with self._lock:
            self._alive[name] = None
        self._pool.submit(self._submit, name)
        return name

    def stop(self, name: str) -> None:
        """Cancels the job of a node."""
        with self._lock:
            if name not in self._alive:
                return
            del self._alive[name]
        self._pool.submit(self._cancel, name)

    def alive(self) -> list[str]:
        """Nodes whose jobs wait or run, as far as the last look tells; has them looked at."""
        if not self._stopping.is_set() and (self._watch is None or self._watch.done()):
            self._watch = self._pool.submit(self._look)
        with self._lock:
            return list(self._alive)

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""
        with self._lock:
            notices, self._notices = self._notices, []
            return notices

    def close(self) -> None:
        """Cancels all jobs, and waits until they are gone."""
        if self._stopping.is_set():
            return
        for name in self.alive():
            self.stop(name)
        self._stopping.set()
        self._pool.shutdown(wait=True)

    # The thread -------------------------------------------------------------------------------

    def _submit(self, name: str) -> None:
        with self._lock:
            if name not in self._alive:
                return  # given back before it was asked for
        environment = node_environment(name, self._join, self._run_key, self._keep)
        command = ["sh", "-c", self._command]
        if self._executor.cluster == "local":
            # In a session of its own: `submitit` would leave it behind, and Ctrl-C would hit it.
            tell = f"echo $$ > {shlex.quote(str(self._pid_file(name)))}; {self._command}"
            command = ["setsid", "sh", "-c", tell]
        function = self._function(command, verbose=True, env=environment)
        try:
            self._jobs[name] = self._executor.submit(function)
        except Exception as error:  # whatever the scheduler says: the run goes on without it
            self._lose(name, f"node {name} cannot be submitted: {_line(error)}")

    def _cancel(self, name: str) -> None:
        job = self._jobs.pop(name, None)
        if job is None:
            return
        try:
            if self._executor.cluster == "local":
                _end_group(job, self._pid_file(name))
            else:
                job.cancel()
        except Exception as error:
            with self._lock:
                self._notices.append(f"node {name} cannot be cancelled: {_line(error)}")

    def _pid_file(self, name: str) -> Path:
        return self._folder / f"{name}.pid"

    def _look(self) -> None:
        self._stopping.wait(self._poll)
        for name, job in list(self._jobs.items()):
            try:
                if job.done():
                    del self._jobs[name]
                    self._lose(name, f"node {name}: its job {job.job_id} {self._end(job)}")
            except Exception as error:
                with self._lock:
                    self._notices.append(f"node {name}: its job cannot be seen: {_line(error)}")

    def _end(self, job: Any) -> str:
        """How a job ended, with the last line that it printed."""
        printed = job.stderr() or job.stdout() or ""
        lines = printed.strip().splitlines()
        return "ended" + (f": {lines[-1].strip()[:300]}" if lines else "")

    def _lose(self, name: str, line: str) -> None:
        with self._lock:
            self._alive.pop(name, None)
            self._notices.append(line)


def _end_group(job: Any, pid_file: Path) -> None:
    """Ends a job of this machine with all its processes."""
    end = time.monotonic() + STOP_SECONDS
    asked = False
    while not job.done() and time.monotonic() < end:
        if not asked and pid_file.exists() and pid_file.read_text().endswith("\n"):
            asked = _signal(pid_file, signal.SIGTERM)
        time.sleep(0.05)
    _signal(pid_file, signal.SIGKILL)  # what is left of it
    if not job.done():
        job.cancel()


def _signal(pid_file: Path, number: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.killpg(int(pid_file.read_text()), number)
    return True


def _line(error: Exception) -> str:
    """The last line of what went wrong; the first ones are most often the command."""
    lines = str(error).strip().splitlines()
    return (lines[-1] if lines else type(error).__name__)[:300]
