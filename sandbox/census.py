"""The processes below a zygote, counted and timed from outside.

A program cannot hide from this: whom its parent leaves behind falls to the zygote, which adopts
orphans, and so is still below it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat after the name.
_STATE, _PARENT, _REAPED_USER, _REAPED_SYSTEM = 0, 1, 13, 14


class Sighting(NamedTuple):
    """One process as it was found.

    Attributes:
        parent: the process it belongs to at present.
        alive: False for what has ended and was not waited for.
        own_cpu: seconds that it used itself.
        reaped_cpu: seconds of those it waited for, in the kernel's coarse ticks.
    """

    parent: int
    alive: bool
    own_cpu: float
    reaped_cpu: float


def look_at(pid: int) -> Sighting | None:
    """One process, or None if there is none of that number any more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        own = time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of that process
    except OSError:
        return None
    reaped = (int(fields[_REAPED_USER]) + int(fields[_REAPED_SYSTEM])) / _TICKS
    return Sighting(int(fields[_PARENT]), fields[_STATE] not in (b"Z", b"X"), own, reaped)


def children_of(parent: int) -> list[int]:
    """The children of a process, the dead ones included that were not waited for."""
    tasks = Path(f"/proc/{parent}/task")
    try:
        lists = [(task / "children").read_bytes() for task in tasks.iterdir()]
    except FileNotFoundError:
        return _search(parent)  # a kernel without these lists, or a thread that has just ended
    except OSError:
        return []
    return [int(pid) for text in lists for pid in text.split()]


def _search(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        seen = look_at(int(entry.name))
        if seen is not None and seen.parent == parent:
            found.append(int(entry.name))
    return found


def below(keeper: int) -> dict[int, Sighting]:
    """Everything that descends from `keeper`, by process id."""
    found: dict[int, Sighting] = {}
    queue = [keeper]
    while queue:
        for pid in children_of(queue.pop()):
            seen = look_at(pid) if pid not in found else None
            if seen is not None:
                found[pid] = seen
                queue.append(pid)
    return found


class Family:
    """One program and what it has forked, over time.

    Attributes:
        alive: living processes besides the program's first one, at the last look.
        cpu_seconds: of all of them so far; never falls.
    """

    def __init__(self, first: int) -> None:
        """`first` is the child that the zygote forked for the program."""
        self.alive = 0
        self.cpu_seconds = 0.0
        self._first = first
        seen = look_at(first)
        self._keeper = seen.parent if seen is not None else -1
        self._spent: dict[int, float] = {}  # by process, the ones that are gone included

    def look(self) -> None:
        """Count and time everybody who is there now."""
        if self._keeper < 0:
            return  # it had ended before it could be seen
        found = below(self._keeper)
        self.alive = sum(seen.alive for pid, seen in found.items() if pid != self._first)
        for pid, seen in found.items():
            self._spent[pid] = max(seen.own_cpu, self._spent.get(pid, 0.0))
        # Two lower bounds: who was waited for is in the first, whom the kernel was told to
        # forget (SIGCHLD ignored) only in the second.
        now = sum(seen.own_cpu + seen.reaped_cpu for seen in found.values())
        self.cpu_seconds = max(self.cpu_seconds, now, sum(self._spent.values()))
