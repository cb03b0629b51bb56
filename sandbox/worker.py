"""A worker: slots in threads of one process, joined to a dispatcher by one DEALER socket.

The protocol is in `sandbox.agent`; this is the shell around it. The main thread owns the socket,
an attendant's thread each slot.
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

import msgspec
import zmq

from sandbox.agent import Agent
from sandbox.attendant import Attendant, MakeSlot, SlotLike
from sandbox.protocol import (
    MAX_MESSAGE_BYTES,
    Assign,
    Bundle,
    FromDispatcher,
    FromWorker,
    decode_from_dispatcher,
    encode,
)

DRAIN_SECONDS = 30.0  # for what runs to finish and to be acknowledged
STOP_SECONDS = 2.0  # for slots to close before they are killed
PR_SET_PDEATHSIG = 1


class Worker:
    """Owns the slots of one process and its connection.

    Args:
        address: of the dispatcher, as ZeroMQ writes it.
        agent: the state machine, with as many slots as there are to be threads.
        slots: their number.
        make_slot: from a bundle and an index; `start` has not been called yet.
        parent: process without which this worker must not live, or 0.
    """

    def __init__(
        self, address: str, agent: Agent, slots: int, make_slot: MakeSlot, parent: int = 0
    ) -> None:
        self._address, self._agent, self._parent = address, agent, parent
        self._changed = threading.Condition()  # guards the agent
        self._stopping = threading.Event()
        self._terminated = False
        self._awake = False
        self._attendants = [
            Attendant(index, agent, self._changed, self._stopping, make_slot, self._wake)
            for index in range(slots)
        ]
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._context = zmq.Context()
        self._socket = self._connect()
        self.malformed = 0

    def run(self) -> None:
        """Serves until the dispatcher says bye, the drain is over, or the parent is gone."""
        for attendant in self._attendants:
            attendant.start()
        drain_until = None
        try:
            while True:
                messages = self._collect(self._agent.pause)
                if self.orphaned:
                    break
                now = time.monotonic()
                with self._changed:
                    for message in messages:
                        self._agent.receive(message, now)
                    if self._terminated:
                        self._agent.drain()
                    outgoing = self._agent.step(now)
                    reconnect, self._agent.reconnect = self._agent.reconnect, False
                    if all(isinstance(message, Assign) for message in messages):
                        self._changed.notify(len(messages))
                    else:
                        self._changed.notify_all()
                if reconnect:
                    self._socket.close(linger=0)
                    self._socket = self._connect()
                self._send(outgoing)
                if self._agent.draining and drain_until is None:
                    drain_until = now + DRAIN_SECONDS
                if self._agent.dismissed or self._agent.drained:
                    break
                if drain_until is not None and now > drain_until:
                    break
        finally:
            self._stop()

    def terminate(self, *_: Any) -> None:
        """Drains, then ends `run`. May be called from a signal handler."""
        self._terminated = True
        self._wake()

    # The network ------------------------------------------------------------------------------

    def _connect(self) -> zmq.Socket[bytes]:
        link = self._context.socket(zmq.DEALER)
        link.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        link.setsockopt(zmq.SNDHWM, 10_000)
        link.setsockopt(zmq.RCVHWM, 10_000)
        link.setsockopt(zmq.LINGER, 500)
        link.setsockopt(zmq.RECONNECT_IVL, 50)
        link.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        identity = f"{self._agent.worker}.{self._agent.session}".encode()
        link.setsockopt(zmq.ROUTING_ID, identity)
        link.connect(self._address)
        self._poller = zmq.Poller()
        self._poller.register(link, zmq.POLLIN)
        self._poller.register(self._woken, zmq.POLLIN)
        return link

    def _collect(self, seconds: float) -> list[FromDispatcher]:
        """Waits for a message or a wake-up, and takes all that is there."""
        ready = dict(self._poller.poll(int(seconds * 1000)))
        if self._woken.fileno() in ready:
            self._woken.recv(4096)
            self._awake = False
        messages: list[FromDispatcher] = []
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return messages
            for frame in frames:
                try:
                    messages.append(decode_from_dispatcher(frame))
                except msgspec.DecodeError:
                    self.malformed += 1

    def _send(self, messages: Sequence[FromWorker]) -> None:
        if not messages:
            return
        try:
            self._socket.send_multipart([encode(message) for message in messages], zmq.NOBLOCK)
        except zmq.Again:
            return  # the dispatcher does not read; results are sent again until it has them

    def _wake(self) -> None:
        if self._awake:
            return
        self._awake = True
        try:
            self._waker.send(b"!")
        except BlockingIOError:
            return  # as many wake-ups as fit are waiting already

    # The end ----------------------------------------------------------------------------------

    def _stop(self) -> None:
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        # Where nobody waits for what still runs, idle slots alone get the time to close.
        abandoned = self._agent.dismissed or self.orphaned
        self._join(0.1 if abandoned else STOP_SECONDS)
        for attendant in self._attendants:
            if attendant.is_alive():
                attendant.kill()
        self._join(STOP_SECONDS)
        self._socket.close()
        self._context.term()

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for attendant in self._attendants:
            attendant.join(max(0.0, deadline - time.monotonic()))

    @property
    def orphaned(self) -> bool:
        """Whether the parent is gone."""
        return bool(self._parent) and os.getppid() != self._parent


def _die_with_parent() -> None:
    """Asks the kernel for SIGTERM when the thread that started this process ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `python -m sandbox worker`."""
    parser.add_argument("--connect", required=True, metavar="ADDRESS", help="of the dispatcher")
    parser.add_argument("--slots", type=int, default=1, help="programs executed at one time")
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
        arguments.worker, arguments.node, arguments.slots, pid=os.getpid(), prefetch=prefetch
    )
    if make_slot is None:
        from sandbox.slot import Slot

        def make_slot(bundle: Bundle, index: int) -> SlotLike:
            return Slot(bundle, level=arguments.level, node=arguments.node, index=index)

    worker = Worker(arguments.connect, agent, arguments.slots, make_slot, arguments.parent)
    signal.signal(signal.SIGTERM, worker.terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments.parent:
        _die_with_parent()
    worker.run()
    if arguments.scratch and worker.orphaned:
        shutil.rmtree(arguments.scratch, ignore_errors=True)
    return 0
