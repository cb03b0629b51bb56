"""A sampler's connection to its run: one DEALER socket, with CURVE on a network."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from elm.sampler.messages import (
    MAX_MESSAGE_BYTES,
    Done,
    FromRun,
    FromSampler,
    decode_from_run,
    encode,
)
from sandbox.keys import KeyPair

_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH
_BROKEN = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_AGREED = zmq.EVENT_HANDSHAKE_SUCCEEDED
_GONE = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_CLOSED
_WATCHED = _REFUSED | _BROKEN | _AGREED | _GONE
LONGEST_PAUSE = 10.0  # seconds between two attempts to connect


@dataclass(frozen=True)
class Curve:
    """What a sampler needs to speak to a run over a network."""

    own: KeyPair
    server: str  # the run's public key


class Link:
    """Sends and receives for one sampler; `wake` may be called from any thread, the rest from one.

    Attributes:
        agreed: whether there is a connection at present.
        trouble: why there is none, in one line; "" while nothing is known against it.
        refused: the keys did not fit, after which nothing is tried again without `connect`.
        malformed: frames that were no messages.
    """

    def __init__(self, address: str, curve: Curve | None = None) -> None:
        """Opens nothing yet: call `connect`."""
        self.agreed = False
        self.trouble = ""
        self.refused = False
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
        self.refused = False
        link = self._socket = self._context.socket(zmq.DEALER)
        link.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        link.setsockopt(zmq.LINGER, 500)
        link.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a run that is not there
        link.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
        link.setsockopt(zmq.HEARTBEAT_TIMEOUT, 60_000)
        link.setsockopt(zmq.RECONNECT_IVL, 100)
        link.setsockopt(zmq.RECONNECT_IVL_MAX, int(LONGEST_PAUSE * 1000))
        link.setsockopt(zmq.ROUTING_ID, identity.encode())
        if self._curve is not None:
            link.curve_serverkey = self._curve.server.encode()
            link.curve_publickey = self._curve.own.public.encode()
            link.curve_secretkey = self._curve.own.secret.encode()
        self._monitor = link.get_monitor_socket(_WATCHED)
        self._poller = zmq.Poller()
        self._poller.register(self._monitor, zmq.POLLIN)
        link.connect(self._address)
        self._poller.register(link, zmq.POLLIN)
        self._poller.register(self._woken, zmq.POLLIN)

    def collect(self, seconds: float) -> list[FromRun]:
        """Waits for a message or a wake-up, and takes all that is there."""
        assert self._socket is not None
        ready = dict(self._poller.poll(int(seconds * 1000)))
        if self._woken.fileno() in ready:
            self._woken.recv(4096)
            self._awake = False
        if self._monitor in ready:
            self._look()
        messages: list[FromRun] = []
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return messages
            for frame in frames:
                try:
                    messages.append(decode_from_run(frame))
                except msgspec.DecodeError:
                    self.malformed += 1

    def send(self, messages: Sequence[FromSampler]) -> None:
        """Sends what the run takes; the protocol repairs what it does not."""
        assert self._socket is not None
        for message in messages:
            try:
                frame = encode(message)
            except ValueError as error:
                assert isinstance(message, Done), message
                frame = encode(Done(message.run, message.lease, (), message.seconds, str(error)))
            try:
                self._socket.send(frame, zmq.NOBLOCK)
            except zmq.Again:
                return  # the run does not read, or is not there; everything is said again

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
        self.agreed = False

    def _look(self) -> None:
        """Says in `agreed` and `trouble` what became of the connection."""
        assert self._monitor is not None
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == _AGREED:
                self.agreed, self.trouble = True, ""
            elif event == _REFUSED:
                self.refused = True
                self.trouble = (
                    f"{self._address} refuses this sampler's key: put its public key into the "
                    "run's folder samplers.enrolled"
                )
            elif event & _BROKEN:
                self.refused = True
                if not self.trouble:
                    self.trouble = (
                        f"{self._address} does not agree on keys: is it the address of a run's "
                        "samplers.listen, and is --run-key that run's public key?"
                    )
            else:
                self.agreed = False
                if not self.trouble:
                    self.trouble = f"nobody answers at {self._address}"
