"""Watches one execution from outside: time, printouts, the result's size. Kills; never judges.

CPU time decides, since it does not depend on how busy the machine is. The wall clock behind it
counts neither the time in which the program waited for a processor nor the time in which this
watcher itself was stopped, so a loaded machine does not turn a good program into a late one.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.census import Family
from sandbox.channel import Channel, Closed
from sandbox.jail import FILES_TOGETHER
from sandbox.launch import pid_of
from sandbox.protocol import Limits

if TYPE_CHECKING:
    from sandbox.dialogue import Dialogue

PRINTED_FACTOR, PRINTED_LEAST = 100, 1_000_000
STALLED_SECONDS = 60.0  # beyond the limits: then it is the machinery that does not answer

_CORES = os.cpu_count() or 1
_TICK_SECONDS = (0.002, 0.1)
_SLACK_SECONDS = 0.1
_CENSUS_SECONDS = 0.01  # where a program may have children; a fork bomb grows in between
_STARVED_FACTOR = 10
_CHUNK = 1 << 16


class Stopwatch:
    """The two clocks of one piece of work in the process `pid`."""

    def __init__(self, limits: Limits, waits: Callable[[], bool] = lambda: False) -> None:
        """`waits` tells whether it is somebody else's turn: the wall clock stands still then."""
        self._limits = limits
        self._waits = waits
        self._pid = -1
        self._find: Callable[[], int] | None = None
        self._family: Family | None = None
        self._cpu_base = 0.0
        self._wait_base = 0.0
        self._wall = 0.0
        self._last = time.monotonic()
        self._next = 0.0
        self._cores = _CORES

    def follow(self, pid: int) -> None:
        """Measure from now on what this process uses beyond what it has used so far."""
        self._pid = pid
        self._cpu_base, self._wait_base = self._cpu(), self._waited()

    def follow_new(self, find: Callable[[], int]) -> None:
        """The same for a process that has just begun; `find` tells its number.

        It is looked for only once it can have spent something: most programs end before that.
        """
        self._find = find

    def follow_family(self, pid: int) -> Family:
        """The same for a program that may have children: their CPU time is its own."""
        self._family = Family(pid)
        self.follow(pid)
        return self._family

    def _cpu(self) -> float:
        if self._family is not None:
            return self._family.cpu_seconds
        if self._pid < 0:
            return 0.0
        try:
            return time.clock_gettime((~self._pid << 3) | 2)  # CPUCLOCK_SCHED of that process
        except OSError:
            return 0.0  # already reaped: its end is on its way to us

    def _waited(self) -> float:
        try:
            return int(Path(f"/proc/{self._pid}/schedstat").read_bytes().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0  # gone, or a kernel that does not count

    def next_tick(self) -> float:
        """Seconds until `verdict` is to be asked again."""
        low, high = _TICK_SECONDS
        if self._find is not None:
            self._next = min(high, self._limits.cpu_seconds / self._cores)
            return self._next
        left = self._limits.cpu_seconds - (self._cpu() - self._cpu_base)
        if self._family is not None:
            high = _CENSUS_SECONDS
        self._next = min(high, max(low, left if left > high else left / self._cores))
        return self._next

    def verdict(self) -> str:
        """`cpu` or `wall` for the limit that is spent, `stalled` for a machine that is; or ''."""
        now = time.monotonic()
        if self._find is not None and now - self._last >= self._next:
            self._pid, self._find = self._find(), None
        if self._family is not None:
            self._family.look()
        if not self._waits():
            self._wall += min(now - self._last, self._next + _SLACK_SECONDS)
        self._last = now
        if self._cpu() - self._cpu_base > self._limits.cpu_seconds:
            return "cpu"
        if self._wall <= self._limits.wall_seconds:
            return ""
        if self._wall - (self._waited() - self._wait_base) > self._limits.wall_seconds:
            return "wall"
        return "stalled" if self._wall > _STARVED_FACTOR * self._limits.wall_seconds else ""


@dataclass
class Outcome:
    """What the kernel and the pipes tell of one execution."""

    killed: str = ""  # our reason: cpu, wall, stalled, printout, artifact, files, processes
    broken: str = ""  # what went wrong with the machinery
    exit: int = 0  # negative: the signal
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_mb: float = 0.0
    printed: int = 0
    output: bytearray = field(default_factory=bytearray)
    document: bytearray = field(default_factory=bytearray)
    repeated: bool = False  # the second execution of a program that ended like this before

    @property
    def died_of_sigkill(self) -> bool:
        """Killed, and not by us: a program in a jail cannot do that to itself."""
        return not self.killed and not self.broken and self.exit == -signal.SIGKILL


class Watch:
    """One execution in a child of the zygote at the other end of `channel`."""

    def __init__(
        self,
        channel: Channel,
        limits: Limits,
        disk_use: Callable[[], float] | None = None,
        *,
        enforces: bool = True,
    ) -> None:
        """`disk_use` tells the bytes in the box, where no file system bounds them.

        A watch that does not enforce sees everything and kills nobody: for tests of what the
        other layers hold without it.
        """
        self._channel = channel
        self._limits = limits
        self._disk_use = disk_use
        self._printed_limit = max(PRINTED_LEAST, PRINTED_FACTOR * limits.output_bytes)
        self._pidfd = -1
        self._enforces = enforces
        self._family: Family | None = None
        self._outcome = Outcome()
        self._clock = Stopwatch(limits)

    def execute(
        self, message: dict[str, Any], payload: int, dialogue: Dialogue | None = None
    ) -> Outcome:
        """Have the program in the memory file `payload` executed, and see it to its end.

        With a `dialogue` the program is given its two ends, and answers calls before it ends.
        """
        result, result_end = os.pipe()
        output, output_end = os.pipe()
        started = time.monotonic()
        try:
            more = (dialogue.requests, dialogue.answers) if dialogue else ()
            try:
                self._channel.send(message, (payload, result_end, output_end, *more))
            finally:
                os.close(result_end)
                os.close(output_end)
                if dialogue:
                    dialogue.release()
            if dialogue:
                self._clock = Stopwatch(self._limits, lambda: not dialogue.programs_turn)
                dialogue.start()
            self._follow(result, output)
        except Closed as error:
            self._outcome.broken = f"the zygote died: {error}"
            self._kill_group()
        finally:
            for fd in (result, output, self._pidfd):
                if fd >= 0:
                    os.close(fd)
        self._outcome.wall_seconds = time.monotonic() - started
        return self._outcome

    def _follow(self, result: int, output: int) -> None:
        outcome, clock = self._outcome, self._clock
        for fd in (result, output):
            os.set_blocking(fd, False)
        poll = select.poll()
        for fd in (self._channel.fileno(), result, output):
            poll.register(fd, select.POLLIN)
        killed_at = 0.0
        while True:
            ready = {fd for fd, _ in poll.poll(clock.next_tick() * 1000)}
            # Pipes first: what a child wrote before it ended is there when its end is told.
            if result in ready and not self._take(result, self._keep_document):
                poll.unregister(result)
            if output in ready and not self._take(output, self._keep_output):
                poll.unregister(output)
            if self._channel.fileno() in ready:
                message, fds = self._channel.receive()
                if "started" in message:
                    self._pidfd = fds[0]
                    if self._limits.processes > 0:
                        self._family = clock.follow_family(pid_of(self._pidfd))
                    else:
                        clock.follow_new(lambda: pid_of(self._pidfd))
                elif "broken" in message:
                    outcome.broken = message["broken"]
                else:
                    self._finish(message, result, output)
                    return
            if not self._enforces:
                continue
            if not outcome.killed:
                reason = self._too_much() or clock.verdict() or self._too_many()
                if not reason and not ready and self._disk_use and self._over_disk():
                    reason = "files"
                if reason:
                    self._kill(reason)
                    killed_at = time.monotonic()
            elif time.monotonic() - killed_at > STALLED_SECONDS:
                raise Closed("the zygote does not answer")

    def _finish(self, message: dict[str, Any], result: int, output: int) -> None:
        """Every writer is dead: take what is left in the pipes."""
        self._take(result, self._keep_document)
        self._take(output, self._keep_output)
        outcome = self._outcome
        outcome.exit = message["exit"]
        outcome.cpu_seconds = max(message["cpu"], self._family.cpu_seconds if self._family else 0)
        outcome.peak_mb = message["peak_kb"] / 1024
        outcome.killed = outcome.killed or self._too_much()

    @staticmethod
    def _take(fd: int, keep: Callable[[bytes], bool]) -> bool:
        """Read what a pipe holds now; False at its end."""
        while True:
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            if not keep(data):
                return True

    def _keep_document(self, data: bytes) -> bool:
        self._outcome.document += data
        return not self._enforces or len(self._outcome.document) <= self._limits.artifact_bytes + 1

    def _keep_output(self, data: bytes) -> bool:
        room = self._limits.output_bytes - len(self._outcome.output)
        self._outcome.output += data[: max(0, room)]
        self._outcome.printed += len(data)
        return not self._enforces or self._outcome.printed <= self._printed_limit

    def _too_many(self) -> str:
        """More processes than are allowed, at this moment."""
        family = self._family
        return "processes" if family is not None and family.alive > self._limits.processes else ""

    def _too_much(self) -> str:
        if not self._enforces:
            return ""
        if len(self._outcome.document) > self._limits.artifact_bytes + 1:
            return "artifact"
        return "printout" if self._outcome.printed > self._printed_limit else ""

    def _over_disk(self) -> bool:
        assert self._disk_use is not None
        return self._disk_use() > max(1 << 20, FILES_TOGETHER * self._limits.file_bytes)

    def _kill(self, reason: str) -> None:
        self._outcome.killed = reason
        if self._pidfd < 0:
            raise Closed("the zygote did not start the program")
        with suppress(ProcessLookupError):  # it ended first; its end is on its way to us
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if self._limits.processes > 0:
            self._kill_group()  # at once: a fork bomb grows until the zygote comes to it

    def _kill_group(self) -> None:
        """The program and its children, none of which can leave its group."""
        if self._pidfd < 0:
            return
        pid = pid_of(self._pidfd)
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            if pid > 0:
                os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # they ended first
