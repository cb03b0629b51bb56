"""Starts the long-lived processes of a slot: fresh interpreters with an empty environment."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.channel import Channel, Closed, memory_file
from sandbox.loader import OURS

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0

# Hash order must not differ between interpreters, and a thread pool would not survive a fork.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # an arena per thread would eat the address space limit
}

# Extras of ours that install a module which an environment's code may need.
_EXTRAS = {"Box2D": "elm[sodarace]"}


class SandboxError(RuntimeError):
    """The sandbox cannot work here; the message is one line for whoever operates it."""


class Refused(SandboxError):
    """This machine does not support the level that was asked for."""


def import_path() -> tuple[str, ...]:
    """The standard library and what is installed, and nothing else of the caller's import path.

    A script's own folder, a checkout or PYTHONPATH may hold anything; an environment's code
    travels in its bundle.
    """
    library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    library |= {str(Path(path) / "lib-dynload") for path in library}
    found = [
        entry
        for entry in sys.path
        if entry in library or {"site-packages", "dist-packages"} & set(Path(entry).parts)
    ]
    return tuple(dict.fromkeys(entry for entry in found if Path(entry).is_dir()))


def hidden_folders() -> tuple[str, ...]:
    """Where this project's own packages lie: no program is to read a judge's source."""
    return tuple(str(ROOT / name) for name in OURS)


class Process:
    """A zygote or a judge, seen from the slot.

    Attributes:
        pid: its process id, as this process sees it.
        channel: the way to talk to it.
    """

    def __init__(self, role: str, config: dict[str, Any]) -> None:
        """Start the interpreter; `wait_until_ready` tells whether it came up."""
        self._name = "producer" if role == "zygote" else role  # whose code it executes
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = Channel(ours)
        self._errors = os.memfd_create("stderr", os.MFD_CLOEXEC)
        self._pidfd = -1
        self.pid = 0
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            f"from sandbox import {role}; {role}.main()"
        )
        with theirs:
            self._shell = subprocess.Popen(
                [sys.executable, "-sSPB", "-X", "utf8", "-c", program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        fd = memory_file(json.dumps(config).encode())
        try:
            self.channel.send({}, (fd,))
        except Closed:
            pass  # it died at once: `wait_until_ready` finds out why
        finally:
            os.close(fd)

    def wait_until_ready(self, environment: str) -> None:
        """Wait until everything is imported.

        Raises:
            Refused: if the machine does not support the level.
            SandboxError: if the code does not import, or the process dies.
        """
        self.channel.set_timeout(START_SECONDS)
        try:
            message, fds = self.channel.receive()
        except (Closed, TimeoutError) as error:
            why = self._last_error() or str(error)
            raise SandboxError(f"{self._name} of {environment!r} did not start: {why}") from None
        self.channel.set_timeout(None)
        if "refused" in message:
            raise Refused(message["refused"])
        if message.get("missing"):
            name = message["missing"].partition(".")[0]
            if name in OURS:
                raise SandboxError(
                    f"{self._name} of {environment!r} imports {message['missing']}, which is not "
                    f"in its bundle: add it to {self._name}_modules"
                )
            package = _EXTRAS.get(name, name)
            raise SandboxError(
                f"{self._name} of {environment!r} needs {name}: pip install {package!r}"
            )
        if "failed" in message:
            raise SandboxError(
                f"{self._name} of {environment!r} does not import: "
                f"{message['failed']} ({message['where']})"
            )
        self._pidfd = fds[0]
        self.pid = pid_of(self._pidfd)

    def _last_error(self) -> str:
        size = os.fstat(self._errors).st_size
        lines = os.pread(self._errors, size, 0).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def is_alive(self) -> bool:
        """False once the process has ended, for whatever reason."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def kill(self) -> int:
        """End the process and what it forked, and free all that it held here.

        Returns:
            Its exit status, or minus the signal; the original one if it was dead already.
        """
        self.channel.close()
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):  # it ended by itself
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = -1
        else:
            self._shell.kill()
        if self._errors >= 0:
            os.close(self._errors)
            self._errors = -1
        status = self._shell.wait()
        return 128 - status if status > 128 else status  # a shim tells a signal as shells do


def pid_of(pidfd: int) -> int:
    """The number of the process behind a pidfd as this process sees it; -1 once it is reaped."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1
