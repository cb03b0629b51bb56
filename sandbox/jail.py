"""What a process may not do, in levels. Each level holds all that the ones below it hold.

    L1  resource limits, own session and process group
    L2  L1 + landlock + system call filter + no_new_privs + no capabilities
    L3  L2 inside user, process, network, mount and IPC namespaces with a root of its own

There is no level without anything. `auto` is the best of L3 and L2; L1 has to be asked for.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import signal
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kernel import landlock, namespaces, seccomp, syscalls

LEVELS = ("L1", "L2", "L3")
AUTO = ("L3", "L2")

# What a level is made of; each can be left out, in tests only. The watcher is in another process.
LAYERS = ("rlimits", "watcher", "landlock", "seccomp", "namespaces")
_LAYERS_OF = {"L1": LAYERS[:2], "L2": LAYERS[:4], "L3": LAYERS}

OPEN_FILES = 64
TASKS = 1024  # threads and processes of one user, whoever else's they are
# The same where a user namespace counts this candidate's alone; not enforced for the real root.
TASKS_PER_PROCESS = 128
FILES_TOGETHER = 16  # times `file_bytes`: all that a candidate may leave on disk at one time

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_ETC = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
_MACHINE = ("/sys/devices/system/cpu",)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")


def layers(level: str, without: Collection[str] = ()) -> frozenset[str]:
    """The layers in force at a level."""
    return frozenset(_LAYERS_OF[level]).difference(without)


@dataclass(frozen=True)
class Sight:
    """What a jailed interpreter may read.

    Attributes:
        path: its import path.
        hidden: folders of ours that may lie on it, and are not to be seen.
    """

    path: tuple[str, ...]
    hidden: tuple[str, ...]

    def readable(self) -> tuple[str, ...]:
        """Files and folders, parents before what lies in them, nothing twice."""
        prefix = sys.base_prefix
        python = () if prefix in ("/usr", "/usr/local") else (f"{prefix}/lib",)
        return tuple(dict.fromkeys((*_LIBRARIES, *python, *_ETC, *_MACHINE, *self.path)))

    def allowed(self) -> Iterator[tuple[str, int]]:
        """The same as rules for landlock, which can allow but not except."""
        for path in self.readable():
            for part in _without(Path(path), self.hidden):
                yield str(part), landlock.READ
        for device in _DEVICES:
            yield device, landlock.WRITE


def _without(path: Path, hidden: tuple[str, ...]) -> Iterator[Path]:
    """Parts of `path` that together are all of it but the hidden folders."""
    resolved = path.resolve()
    below = [h for h in hidden if Path(h).is_relative_to(resolved)]
    if not below:
        yield path
    elif str(resolved) not in below and resolved.is_dir():
        for child in resolved.iterdir():
            yield from _without(child, tuple(below))


class Jail:
    """The jail of one long-lived process and, if it is a zygote, of the children it forks."""

    def __init__(
        self, level: str, box: str | None, file_bytes: int = 0, without: Collection[str] = ()
    ) -> None:
        """Args:
        level: one of `LEVELS`.
        box: the folder to write to, outside of namespaces; None where nothing is to be written.
        file_bytes: the largest single file.
        without: layers to leave out.
        """
        self.layers = layers(level, without)
        self.box = box
        self._box_bytes = max(1 << 20, FILES_TOGETHER * file_bytes) if box else 4096
        self._rules: int | None = None
        self._shared: seccomp.Filter | None = None
        self._own: dict[bool, seccomp.Filter] = {}
        self._statm = -1

    def enter(self, sight: Sight) -> None:
        """Build what is built once. At L3 the caller goes on as another process.

        Raises:
            OSError: with the step that this machine refuses.
        """
        if "landlock" in self.layers:
            landlock.version()
        if "seccomp" in self.layers:
            syscalls.architecture()
        proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
        if "namespaces" in self.layers:
            namespaces.enter(sight.readable(), _DEVICES, sight.hidden, self._box_bytes)
            if self.box is not None:
                self.box = namespaces.BOX
        # "self" is looked up in the outer /proc, which knows this process as well.
        self._statm = os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        os.close(proc)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        if "landlock" in self.layers:
            self._rules = landlock.ruleset(self._rights(sight))
        if "seccomp" in self.layers:
            machine = syscalls.architecture()
            self._shared = seccomp.shared_filter(machine)
            for forks in (False, True):
                self._own[forks] = seccomp.own_filter(machine, forks=forks)
        if {"landlock", "seccomp"} & self.layers:
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            syscalls.drop_capabilities()

    def _rights(self, sight: Sight) -> Iterator[tuple[str, int]]:
        yield from sight.allowed()
        if self.box is not None:
            yield self.box, landlock.OWN

    def address_space(self) -> int:
        """Bytes of address space that this process has mapped, as the kernel counts them."""
        return int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize()

    def confine_zygote(self, limits: Mapping[str, Any]) -> None:
        """In a zygote, once its modules are imported: all that its children can inherit.

        What is set once here is not set in each of them, which takes time.
        """
        if "rlimits" in self.layers:
            for what, value in inherited_limits(limits, self.address_space()).items():
                _set_limit(what, value)
        self._lock_shared()

    def confine_child(self, limits: Mapping[str, Any]) -> None:
        """In a forked child: what is its own, then everything that cannot be taken back."""
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if "rlimits" in self.layers:
            alone = "namespaces" in self.layers
            for what, value in own_limits(limits, alone=alone).items():
                _set_limit(what, value)
        self._lock(forks=limits["processes"] > 0)

    def confine_self(self, memory_mb: int) -> None:
        """In a judge, once its modules are imported: memory, and the same locks for good."""
        _set_limit(resource.RLIMIT_AS, self.address_space() + (memory_mb << 20))
        _set_limit(resource.RLIMIT_CORE, 0)
        _set_limit(resource.RLIMIT_NOFILE, OPEN_FILES)
        self._lock_shared()
        self._lock(forks=False)

    def _lock_shared(self) -> None:
        if self._shared is not None:
            seccomp.install(self._shared.packed(os.getpid()))

    def _lock(self, *, forks: bool) -> None:
        if self._rules is not None:
            landlock.restrict(self._rules)
        if self._own:
            seccomp.install(self._own[forks].packed(os.getpid()))


def inherited_limits(limits: Mapping[str, Any], base_bytes: int) -> dict[int, int]:
    """Resource limits of a candidate that its zygote can bear as well.

    Each process has them for itself: with N children allowed a candidate may take N + 1 times the
    memory. Their CPU time is counted together, by the watcher.
    """
    return {
        resource.RLIMIT_AS: base_bytes + (limits["memory_mb"] << 20),
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }


def own_limits(limits: Mapping[str, Any], *, alone: bool) -> dict[int, int]:
    """Resource limits that a zygote could not live with; `alone` in a user namespace of its own.

    The CPU limit here is only for a watcher that died: the kernel counts it in clock ticks, which
    on a shared machine may charge half as much again as was used. The watcher has exact figures.
    """
    tasks = TASKS
    if alone and limits["processes"] > 0:
        tasks = min(tasks, TASKS_PER_PROCESS * (1 + limits["processes"]))
    return {
        resource.RLIMIT_CPU: 3 * math.ceil(limits["cpu_seconds"]) + 10,
        resource.RLIMIT_NPROC: tasks,
    }


def _set_limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def explain(error: OSError) -> str:
    """One line on why a level could not be entered."""
    name = errno.errorcode.get(error.errno or 0, "error")
    return f"{error.strerror or error} ({name})"
