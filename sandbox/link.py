"""A worker's connection to its dispatcher: one DEALER socket, with CURVE on a network."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from sandbox.keys import KeyPair
from sandbox.protocol import (
    MAX_MESSAGE_BYTES,
    FromDispatcher,
    FromWorker,
    decode_from_dispatcher,
    encode,
)

_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH
_BROKEN = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_AGREED = zmq.EVENT_HANDSHAKE_SUCCEEDED


@dataclass(frozen=True)
class Curve:
    """What a worker needs to speak to a dispatcher over a network."""

    own: KeyPair
    server: str  # the dispatcher's public key


class Link:
    """Sends and receives for one worker; `wake` may be called from any thread, the rest from one.

    Attributes:
        trouble: why no connection can be agreed on, in one line; "" while one is, or may be.
        malformed: frames that were no messages.
    """

    def __init__(self, address: str, curve: Curve | None = None) -> None:
        """Opens nothing yet: call `connect`."""
        self.trouble = ""
        self.malformed = 0
        self._address, self._curve = address, curve
        self._awake = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None

    def connect(self, identity: str) -> None:
        """Opens a connection under a new identity, in place of the one before.

        Raises:
            zmq.ZMQError: if the address is not one.
        """
        self._disconnect()
        link = self._socket = self._context.socket(zmq.DEALER)
        link.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        link.setsockopt(zmq.SNDHWM, 10_000)
        link.setsockopt(zmq.RCVHWM, 10_000)
        link.setsockopt(zmq.LINGER, 500)
        link.setsockopt(zmq.RECONNECT_IVL, 50)
        link.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        link.setsockopt(zmq.ROUTING_ID, identity.encode())
        self._poller = zmq.Poller()
        if self._curve is not None:
            link.curve_serverkey = self._curve.server.encode()
            link.curve_publickey = self._curve.own.public.encode()
            link.curve_secretkey = self._curve.own.secret.encode()
            self._monitor = link.get_monitor_socket(_REFUSED | _BROKEN | _AGREED)
            self._poller.register(self._monitor, zmq.POLLIN)
        link.connect(self._address)
        self._poller.register(link, zmq.POLLIN)
        self._poller.register(self._woken, zmq.POLLIN)

    def collect(self, seconds: float) -> list[FromDispatcher]:
        """Waits for a message or a wake-up, and takes all that is there."""
        assert self._socket is not None
        ready = dict(self._poller.poll(int(seconds * 1000)))
        if self._woken.fileno() in ready:
            self._woken.recv(4096)
            self._awake = False
        if self._monitor in ready:
            self._look()
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

    def send(self, messages: Sequence[FromWorker]) -> None:
        """Sends what the dispatcher takes; the protocol repairs what it does not."""
        assert self._socket is not None
        if not messages:
            return
        try:
            self._socket.send_multipart([encode(message) for message in messages], zmq.NOBLOCK)
        except zmq.Again:
            return  # the dispatcher does not read; results are sent again until it has them

    def wake(self) -> None:
        """Ends a `collect` that waits."""
        if self._awake:
            return
        self._awake = True
        try:
            self._waker.send(b"!")
        except OSError:
            return  # as many wake-ups as fit are waiting already, or nobody waits any more

    def close(self) -> None:
        """Ends the connection; what was sent last still has half a second."""
        self._disconnect(linger=None)
        self._context.term()
        self._woken.close()
        self._waker.close()

    def _disconnect(self, linger: int | None = 0) -> None:
        if self._socket is None:
            return
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._monitor = None
        self._socket.close(linger)
        self._socket = None

    def _look(self) -> None:
        """Says in `trouble` what became of the handshake."""
        assert self._monitor is not None
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == _AGREED:
                self.trouble = ""
            elif event == _REFUSED:
                self.trouble = f"{self._address} refuses this sandbox's key: enroll it with the run"
            elif not self.trouble:
                self.trouble = (
                    f"{self._address} does not agree on keys: is it the address of a run, and is "
                    "the key given for it that run's public key?"
                )
