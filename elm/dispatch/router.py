"""The network side of a dispatcher: one thread with its ROUTER sockets around a `Broker`.

One socket is for workers of this machine, in a file that only this user can reach; another, with
CURVE and a list of those who are let in, is for everybody else.

The pipeline's thread talks to the broker under a lock and never touches the socket. All of the
thread's work is decoding, encoding and dictionary look-ups: it shares the interpreter with the
language model's thread.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import zmq

from elm.dispatch.base import FleetError
from elm.dispatch.broker import Broker
from elm.dispatch.guard import Guard
from sandbox.protocol import (
    MAX_MESSAGE_BYTES,
    Bye,
    Evaluation,
    FromDispatcher,
    FromWorker,
    Task,
    decode_from_worker,
    encode,
)

LONGEST_WAIT = 0.1  # seconds between two calls of `tend`
MOST_AT_ONCE = 1000  # messages of one socket in a round, however many are sent
BIND_SECONDS = 5.0  # for the thread to open one more address


class Router:
    """Runs a broker until it is closed.

    Args:
        broker: the state machine; from now on it is touched under `changed` only.
        address: to bind for workers of this machine, as ZeroMQ writes it.
        guard: keys for the addresses of `listen`.
        listen: addresses to bind for everybody else; port `*` takes a free one.
        tend: called by the thread in every round, with the time, under `changed`.
    """

    def __init__(
        self,
        broker: Broker,
        address: str,
        tend: Callable[[float], None] = lambda now: None,
        *,
        guard: Guard | None = None,
        listen: Sequence[str] = (),
    ) -> None:
        self.broker = broker
        self.bound: list[str] = []  # the addresses of `listen`, with their ports
        self.changed = threading.Condition()
        self.malformed = 0
        self._tend = tend
        self._closing = False
        self._failure: BaseException | None = None
        self._awake = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._context = zmq.Context()
        self._guard = guard
        self._sockets: list[zmq.Socket[bytes]] = []
        self._to_bind: list[str] = []
        self._doors: dict[str, str | FleetError] = {}  # what came of `_to_bind`
        try:
            self._open().bind(address)
            if guard is not None:
                guard.protect(self._open())
                self.bound += [self._bind(each) for each in listen]
        except BaseException:
            self._close_sockets()
            raise
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues tasks. Raises what `Broker.submit` raises, and FleetError."""
        with self.changed:
            self.check()
            self.broker.submit(tasks)
        self._wake()

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Lets the fleet forget these results."""
        with self.changed:
            self.broker.acknowledge(candidates)
        self._wake()

    def results(self, timeout: float) -> list[Evaluation]:
        """Evaluations that arrived; waits up to `timeout` seconds for the first.

        Raises:
            FleetError: if the thread has broken.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.broker.ledger.finished or self._failure, timeout)
            self.check()
            return self.broker.collect()

    def notices(self) -> list[str]:
        """One line for each thing that happened since the last call."""
        with self.changed:
            notices, self.broker.notices = self.broker.notices, []
            return notices

    def status(self) -> dict[str, Any]:
        """Plain data about workers, queue and counters."""
        with self.changed:
            return self.broker.status(time.monotonic()) | {"malformed": self.malformed}

    def bind(self, address: str) -> str:
        """Listens with CURVE at one more address; returns it with its port.

        Raises:
            FleetError: if that cannot be done, and why.
        """
        assert self._guard is not None, "a router without a guard listens to nobody else"
        with self.changed:
            self.check()
            self._doors.pop(address, None)
            self._to_bind.append(address)
        self._wake()
        with self.changed:
            self.changed.wait_for(
                lambda: address in self._doors or self._failure or self._closing, BIND_SECONDS
            )
            self.check()
            door = self._doors.get(address, FleetError(f"cannot listen at {address}: too busy"))
        if isinstance(door, FleetError):
            raise door
        return door

    def check(self) -> None:
        """Raises FleetError if the thread has broken."""
        if self._failure is not None:
            reason = f"{type(self._failure).__name__}: {self._failure}"
            raise FleetError(f"the dispatcher broke: {reason}") from self._failure

    def close(self) -> None:
        """Sends the workers home and ends the thread."""
        if self._closing:
            return
        self._closing = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._close_sockets()
        self._woken.close()
        self._waker.close()

    # The sockets ------------------------------------------------------------------------------

    def _open(self) -> zmq.Socket[bytes]:
        link = self._context.socket(zmq.ROUTER)
        self._sockets.append(link)
        link.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        link.setsockopt(zmq.ROUTER_MANDATORY, 1)
        link.setsockopt(zmq.SNDHWM, 10_000)
        link.setsockopt(zmq.RCVHWM, 10_000)
        link.setsockopt(zmq.LINGER, 500)
        return link

    def _bind(self, address: str) -> str:
        """Binds the guarded socket; the address with its port."""
        link = self._sockets[-1]
        try:
            link.bind(address)
        except zmq.ZMQError as error:
            raise FleetError(f"cannot listen at {address}: {error.strerror}") from None
        return link.getsockopt_string(zmq.LAST_ENDPOINT)

    def _bind_more(self) -> None:
        """Opens what `bind` was asked for; sockets belong to one thread."""
        addresses, self._to_bind = self._to_bind, []
        for address in addresses:
            try:
                self._doors[address] = self._bind(address)
            except FleetError as error:
                self._doors[address] = error

    def _close_sockets(self) -> None:
        for link in self._sockets:
            link.close()
        if self._guard is not None:
            self._guard.close()
        self._context.term()

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        poller = zmq.Poller()
        for link in self._sockets:
            poller.register(link, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        wait = min(LONGEST_WAIT, self.broker.heartbeat / 2)
        try:
            while not self._closing:
                ready = dict(poller.poll(int(wait * 1000)))
                if self._woken.fileno() in ready:
                    self._woken.recv(4096)
                    self._awake = False
                # Messages first: after a pause of this process what waits here tells who lives.
                messages = self._collect()
                now = time.monotonic()
                with self.changed:
                    for peer, message in messages:
                        if message is None:
                            self.malformed += 1
                            self.broker.garbled(peer, now)
                        else:
                            self.broker.receive(peer, message, now)
                    self._bind_more()
                    self._tend(now)
                    outgoing = self.broker.step(now)
                    self.changed.notify_all()
                self._send(outgoing)
            with self.changed:
                self._send([(peer, Bye("the run is over")) for peer in self.broker.peers])
        except BaseException as error:
            with self.changed:
                self._failure = error
                self.changed.notify_all()
            raise

    def _collect(self) -> list[tuple[bytes, FromWorker | None]]:
        """What has arrived, with None for a frame that is no message."""
        messages: list[tuple[bytes, FromWorker | None]] = []
        for index, link in enumerate(self._sockets):
            for _ in range(MOST_AT_ONCE):  # nobody who sends without end may hold up the rest
                try:
                    identity, *frames = link.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                # Which socket is part of the address, so that nobody on the network can pass
                # for a worker of this machine.
                peer = bytes([index]) + identity
                for frame in frames:
                    try:
                        messages.append((peer, decode_from_worker(frame)))
                    except msgspec.DecodeError:
                        messages.append((peer, None))
        return messages

    def _send(self, outgoing: Sequence[tuple[bytes, FromDispatcher]]) -> None:
        frames: dict[bytes, list[bytes]] = {}
        for peer, message in outgoing:
            frames.setdefault(peer, [peer[1:]]).append(encode(message))
        for peer, parts in frames.items():
            try:
                self._sockets[peer[0]].send_multipart(parts, zmq.NOBLOCK)
            except zmq.Again:
                continue  # it does not read: what was for it is repaired, or it is lost
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                # It has gone; its silence, or its process, will tell.

    def _wake(self) -> None:
        if self._awake:
            return
        self._awake = True
        try:
            self._waker.send(b"!")
        except BlockingIOError:
            return  # as many wake-ups as fit are waiting already
