"""The warm process that forks one child per candidate.

It has imported everything a program needs, knows nothing of scores, never executes a program
itself, and reports what the kernel measured of each child. The watcher is in another process.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sandbox import child, inside
from sandbox.box import wipe
from sandbox.census import children_of
from sandbox.channel import Channel, Closed
from sandbox.jail import Jail


def main() -> None:
    """Serve the slot at the other end of the socket until it is closed."""
    channel, config, jail = inside.begin()
    child.make_repeatable()
    produce = inside.load(channel, config).produce
    settings = config["settings"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    resident, limits = _resident_kb(), config["limits"]
    inside.ready(channel)
    jail.confine_zygote(limits)
    try:
        while True:
            message, fds = channel.receive()
            pid = os.fork()
            if pid == 0:
                child.run(message, fds, channel, jail, produce, settings, limits)
            for fd in fds:
                os.close(fd)
            _attend(channel, pid, jail, resident)
    except Closed:
        if jail.box is not None and "namespaces" not in jail.layers:
            with suppress(FileNotFoundError):  # the slot was quicker
                wipe(Path(jail.box))
                Path(jail.box).rmdir()


def _resident_kb() -> int:
    """What a child that does nothing takes: the base from which programs are measured."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.wait4(pid, 0)[2].ru_maxrss


def _attend(channel: Channel, pid: int, jail: Jail, resident_kb: int) -> None:
    """Wait for a child, remove all that it left, and report."""
    pidfd = os.pidfd_open(pid)
    try:
        channel.send({"started": pid}, (pidfd,))
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(channel.fileno(), select.POLLHUP)
        ended = {fd for fd, _ in poll.poll()}
        orphaned = pidfd not in ended
        if orphaned:
            os.kill(pid, signal.SIGKILL)
            poll.unregister(channel.fileno())
            poll.poll()
        _kill_group(pid)
    finally:
        os.close(pidfd)
    _, status, usage = os.wait4(pid, 0)
    extra_cpu = _end_stragglers()
    if jail.box is not None:
        wipe(Path(jail.box))
    if orphaned:
        raise Closed("the slot is gone")
    channel.send(
        {
            "exit": os.waitstatus_to_exitcode(status),
            "cpu": usage.ru_utime + usage.ru_stime + extra_cpu,
            "peak_kb": max(0, usage.ru_maxrss - resident_kb),
        }
    )


def _kill_group(pid: int) -> None:
    # No such group if it died before it made one; not permitted if only the dead leader is in it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # the leader is not reaped yet, so the number is its own


def _end_stragglers() -> float:
    """Kill and reap what outlived the child and was left to us; returns its CPU seconds."""
    used = 0.0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return used
        if pid:
            used += usage.ru_utime + usage.ru_stime
        elif os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
            os.sched_yield()
        else:
            for orphan in children_of(os.getpid()):
                os.kill(orphan, signal.SIGKILL)
            os.sched_yield()


if __name__ == "__main__":
    main()
    sys.exit(0)
