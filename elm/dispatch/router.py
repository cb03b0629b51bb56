"""The network side of a dispatcher: one thread with one ROUTER socket around a `Broker`.

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


class Router:
    """Runs a broker until it is closed.

    Args:
        broker: the state machine; from now on it is touched under `changed` only.
        address: to bind, as ZeroMQ writes it.
        tend: called by the thread in every round, with the time, under `changed`.
    """

    def __init__(
        self, broker: Broker, address: str, tend: Callable[[float], None] = lambda now: None
    ) -> None:
        self.broker = broker
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
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, 10_000)
        self._socket.setsockopt(zmq.RCVHWM, 10_000)
        self._socket.setsockopt(zmq.LINGER, 500)
        self._socket.bind(address)
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
        self._socket.close()
        self._context.term()
        self._woken.close()
        self._waker.close()

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
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
                        self.broker.receive(peer, message, now)
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

    def _collect(self) -> list[tuple[bytes, FromWorker]]:
        messages: list[tuple[bytes, FromWorker]] = []
        while True:
            try:
                peer, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return messages
            for frame in frames:
                try:
                    messages.append((peer, decode_from_worker(frame)))
                except msgspec.DecodeError:
                    self.malformed += 1

    def _send(self, outgoing: Sequence[tuple[bytes, FromDispatcher]]) -> None:
        frames: dict[bytes, list[bytes]] = {}
        for peer, message in outgoing:
            frames.setdefault(peer, [peer]).append(encode(message))
        for parts in frames.values():
            try:
                self._socket.send_multipart(parts, zmq.NOBLOCK)
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
