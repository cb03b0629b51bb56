"""A worker: slots in threads, joined to one dispatcher.

The protocol is in `sandbox.agent`; this is the shell around it. The thread that calls `run` owns
the connection, an attendant's thread each slot.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from sandbox.agent import Agent
from sandbox.attendant import Attendant, MakeSlot, SlotLike
from sandbox.link import Link
from sandbox.load import Load
from sandbox.protocol import Assign, Bundle, Bye, FromDispatcher, FromWorker
from sandbox.turnstile import Turnstile

DRAIN_SECONDS = 30.0  # for what runs to finish and to be acknowledged
STOP_SECONDS = 2.0  # for slots to close before they are killed
ORPHAN_SECONDS = 0.5  # for a parent that is being killed to be gone
PR_SET_PDEATHSIG = 1


class Worker:
    """Owns the slots of one process that serve one dispatcher, and the connection to it.

    Args:
        link: to the dispatcher; from now on the worker's own.
        agent: the state machine.
        make_slot: from a bundle and an index; `start` has not been called yet.
        turnstile: shared by all workers of a node, so that together they execute no more
            programs at one time than the node has slots.
        parent: process without which this worker must not live, or 0.
        forget: seconds without a word from the dispatcher after which the worker ends, or None.
    """

    def __init__(
        self,
        link: Link,
        agent: Agent,
        make_slot: MakeSlot,
        *,
        turnstile: Turnstile | None = None,
        parent: int = 0,
        forget: float | None = None,
    ) -> None:
        self.ending = ""  # why `run` ended, once it has
        self._link, self._agent, self._make_slot = link, agent, make_slot
        self._turnstile = Turnstile(agent.most) if turnstile is None else turnstile
        self._parent, self._forget = parent, forget
        self._changed = threading.Condition()  # guards the agent
        self._stopping = threading.Event()
        self._terminated = self._left = False
        self._attendants: list[Attendant] = []
        self._load = Load()
        self._begun = time.monotonic()

    @property
    def trouble(self) -> str:
        """Why there is no connection, in one line, as far as that is known."""
        return self._link.trouble

    def describe(self) -> dict[str, Any]:
        """Plain data: the run, what it does for it, and since when it has heard nothing."""
        with self._changed:
            agent = self._agent
            last = self._begun if agent.contact is None else agent.contact
            return {
                "run": agent.run,
                "worker": agent.worker,
                "state": str(agent.state),
                "slots": agent.wanted,
                "busy": agent.busy,
                "silent_seconds": round(time.monotonic() - last, 3),
                "trouble": self.trouble,
            }

    def run(self) -> None:
        """Serves until the dispatcher says bye, the drain is over, or nobody is there any more."""
        drain_until = None
        try:
            self._link.connect(self._identity)
            while not self.ending:
                messages = self._link.collect(self._agent.pause)
                now = time.monotonic()
                with self._changed:
                    outgoing, reconnect = self._turn(messages, now)
                if reconnect:
                    self._link.connect(self._identity)
                self._link.send(outgoing)
                if self._agent.draining and drain_until is None:
                    drain_until = now + DRAIN_SECONDS
                self.ending = self._ending(now, drain_until)
        finally:
            self._stop()

    def terminate(self, *_: Any) -> None:
        """Drains, then ends `run`. May be called from a signal handler or another thread."""
        self._terminated = True
        self._link.wake()

    def leave(self) -> None:
        """Ends `run` now: what runs is given up, and the run is told. From another thread."""
        self._left = True
        self._link.wake()

    @property
    def orphaned(self) -> bool:
        """Whether the parent is gone."""
        return bool(self._parent) and os.getppid() != self._parent

    def orphaned_soon(self) -> bool:
        """The same; after a signal it waits for a moment.

        The threads of a process that is killed end one by one, and the first that ends sends it.
        """
        deadline = time.monotonic() + ORPHAN_SECONDS
        while self._terminated and not self.orphaned and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.orphaned

    # Inside -----------------------------------------------------------------------------------

    @property
    def _identity(self) -> str:
        return f"{self._agent.worker}.{self._agent.session}"

    def _turn(
        self, messages: Sequence[FromDispatcher], now: float
    ) -> tuple[Sequence[FromWorker], bool]:
        """One turn of the state machine: what is to be sent, and whether to reconnect first."""
        agent = self._agent
        for message in messages:
            agent.receive(message, now)
        if self._terminated:
            agent.drain()
        agent.load, agent.cores = self._load.read(now), self._load.cores
        outgoing = agent.step(now)
        reconnect, agent.reconnect = agent.reconnect, False
        for index in range(len(self._attendants), agent.wanted):
            self._attendants.append(self._new_attendant(index))
            self._attendants[-1].start()
        surplus = len(self._attendants) > agent.wanted
        if not surplus and all(isinstance(message, Assign) for message in messages):
            self._changed.notify(len(messages))
        else:
            self._changed.notify_all()
        return outgoing, reconnect

    def _new_attendant(self, index: int) -> Attendant:
        return Attendant(
            index,
            self._agent,
            self._changed,
            self._stopping,
            self._make_slot,
            self._turnstile,
            self._link.wake,
        )

    def _ending(self, now: float, drain_until: float | None) -> str:
        if self.orphaned:
            return "its parent is gone"
        if self._agent.dismissed:
            return "dismissed"
        if self._left:
            self._link.send([Bye("stopped")])
            return "stopped"
        if self._agent.drained:
            return "drained"
        if drain_until is not None and now > drain_until:
            self._link.send([Bye("its drain took too long")])
            return "drained, but not all of its results were taken"
        last = self._begun if self._agent.contact is None else self._agent.contact
        if self._forget is not None and now - last > self._forget:
            return f"the run has been silent for {self._forget:g} s"
        return ""

    def _stop(self) -> None:
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        # Where nobody waits for what still runs, idle slots alone get the time to close.
        abandoned = self._agent.dismissed or self._left or self.orphaned
        self._join(0.1 if abandoned else STOP_SECONDS)
        for attendant in self._attendants:
            if attendant.is_alive():
                attendant.kill()
        self._join(STOP_SECONDS)
        self._link.close()

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for attendant in self._attendants:
            attendant.join(max(0.0, deadline - time.monotonic()))


def _die_with_parent() -> None:
    """Asks the kernel for SIGTERM when the thread that started this process ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `python -m sandbox worker`."""
    parser.add_argument("--connect", required=True, metavar="ADDRESS", help="of the dispatcher")
    parser.add_argument("--slots", type=int, default=1, help="programs executed at one time")
    parser.add_argument("--most-slots", type=int, help="that the run may ask for")
    parser.add_argument("--level", default="auto", help="jail: auto, L3, L2 or L1")
    parser.add_argument("--node", default=socket.gethostname(), help="name given in results")
    parser.add_argument("--worker", default=f"{socket.gethostname()}-{os.getpid()}")
    parser.add_argument("--prefetch", type=int, default=None, help="tasks held beyond the slots")
    parser.add_argument("--scratch", help="folder of the parent, removed if that dies")
    parser.add_argument("--parent", type=int, default=0, help="process to live and die with")


def main(arguments: argparse.Namespace, make_slot: MakeSlot | None = None) -> int:
    """Serves one dispatcher until it says bye. SIGTERM drains; SIGINT is the run's business.

    Args:
        make_slot: for tests; slots of `sandbox.slot` by default.
    """
    if arguments.slots < 1:
        print(f"--slots must be above 0, got {arguments.slots}", file=sys.stderr)
        return 2
    prefetch = arguments.slots + 8 if arguments.prefetch is None else arguments.prefetch
    agent = Agent(
        arguments.worker,
        arguments.node,
        arguments.slots,
        pid=os.getpid(),
        prefetch=prefetch,
        most=max(arguments.slots, arguments.most_slots or 0),
    )
    if make_slot is None:
        from sandbox.slot import Slot

        def make_slot(bundle: Bundle, index: int) -> SlotLike:
            return Slot(bundle, level=arguments.level, node=arguments.node, index=index)

    worker = Worker(Link(arguments.connect), agent, make_slot, parent=arguments.parent)
    signal.signal(signal.SIGTERM, worker.terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments.parent:
        _die_with_parent()
    worker.run()
    if arguments.scratch and worker.orphaned_soon():
        shutil.rmtree(arguments.scratch, ignore_errors=True)
    return 0
