"""The network side of a run's samplers: one thread with its ROUTER sockets around a `Desk`.

One socket is for processes of this machine, in a file that only this user can reach; another, with
CURVE and a list of those who are let in, is for everybody else. Whoever has parts to submit, or has
made one in this process, talks to the desk under a lock and never touches a socket.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import zmq

from elm.dispatch.guard import Guard
from elm.sampler.base import Part
from elm.sampler.desk import SEAT, Desk, Finished, Hand
from elm.sampler.messages import (
    MAX_MESSAGE_BYTES,
    Bye,
    FromRun,
    FromSampler,
    Work,
    decode_from_sampler,
    encode,
)
from elm.sampler.rank import SamplerError

LONGEST_WAIT = 0.2  # seconds between two calls of `tend`
MOST_AT_ONCE = 1000  # messages of one socket in a round, however many are sent
SEE_OFF_HEARTBEATS = 1.5  # a sampler that has lost its connection says hello within one


class Hub:
    """Runs a desk until it is closed.

    Args:
        desk: the state machine; from now on it is touched under `changed` only.
        local: address to bind for processes of this machine, as ZeroMQ writes it; "" for none.
        guard: keys for the address of `listen`.
        listen: address to bind for everybody else; port `*` takes a free one; None for none.
        tend: called by the thread in every round, with the time, under `changed`.
        hand: takes each part for this process, with its lease; must not wait.

    Attributes:
        bound: the address of `listen`, with its port.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        local: str = "",
        guard: Guard | None = None,
        listen: str | None = None,
        tend: Callable[[float], None] = lambda now: None,
        hand: Callable[[Hand], None] = lambda hand: None,
    ) -> None:
        self.desk = desk
        self.bound = ""
        self.changed = threading.Condition()
        self._tend, self._hand = tend, hand
        self._closing = False
        self._farewell = Bye("the run is over")
        self._failure: BaseException | None = None
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._context = zmq.Context()
        self._guard = guard
        self._sockets: list[zmq.Socket[bytes]] = []
        self._local, self._listen = local, listen
        self._thread = threading.Thread(target=self._run, name="samplers", daemon=True)

    def start(self) -> None:
        """Binds the sockets and starts the thread.

        Raises:
            SamplerError: if an address cannot be bound.
        """
        if self._local:
            self._bind(self._open(), self._local)
        if self._guard is not None and self._listen is not None:
            door = self._open()
            self._guard.protect(door)
            self.bound = self._bind(door, self._listen)
        self._thread.start()

    def submit(self, parts: Sequence[Part]) -> None:
        """Queues parts."""
        with self.changed:
            self.desk.submit(parts)
        self._wake()

    def finish(self, lease: int, made: Finished) -> None:
        """Takes what this process has made; from any thread."""
        with self.changed:
            self.desk.finish(lease, made)
        self._wake()

    def collect(self) -> list[Finished]:
        """Parts that are made since the last call.

        Raises:
            SamplerError: if the thread has broken.
        """
        with self.changed:
            if self._failure is not None:
                reason = f"{type(self._failure).__name__}: {self._failure}"
                raise SamplerError(f"the run's samplers cannot be reached: {reason}") from (
                    self._failure
                )
            return self.desk.collect()

    def withdraw(self) -> list[Part]:
        """Takes back what nobody makes."""
        with self.changed:
            return self.desk.withdraw()

    def notices(self) -> list[str]:
        """One line for each thing that happened since the last call."""
        with self.changed:
            notices, self.desk.notices = self.desk.notices, []
            return notices

    def tell(self, line: str, source: str = "") -> None:
        """Adds a notice; from any thread but the hub's."""
        with self.changed:
            self.desk.tell(line, source)

    def close(self, reason: str = "the run is over") -> None:
        """Sends the samplers home and ends the thread."""
        if self._closing:
            return
        self._farewell = Bye(reason)
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
        link.setsockopt(zmq.LINGER, 5_000)  # the farewell of a busy machine takes its time
        link.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
        link.setsockopt(zmq.HEARTBEAT_TIMEOUT, 60_000)
        return link

    def _bind(self, link: zmq.Socket[bytes], address: str) -> str:
        try:
            link.bind(address)
        except zmq.ZMQError as error:
            raise SamplerError(f"samplers.listen: {address}: {error.strerror}") from None
        return link.getsockopt_string(zmq.LAST_ENDPOINT)

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
        wait = min(LONGEST_WAIT, self.desk.heartbeat / 2)
        try:
            while not self._closing:
                ready = dict(poller.poll(int(wait * 1000)))
                if self._woken.fileno() in ready:
                    self._woken.recv(4096)
                # Messages first: after a pause of this process what waits here tells who lives.
                messages = self._collect()
                now = time.monotonic()
                with self.changed:
                    for peer, message in messages:
                        if message is None:
                            self.desk.garbled(peer, now)
                        else:
                            self.desk.receive(peer, message, now)
                    self._tend(now)
                    outgoing = self.desk.step(now)
                    self.changed.notify_all()
                self._send(outgoing)
            with self.changed:
                farewell = [(peer, self._farewell) for peer in self.desk.peers]
            self._send(farewell)
            if farewell:
                self._see_off(poller)
        except BaseException as error:
            with self.changed:
                self._failure = error
                self.changed.notify_all()
            raise

    def _see_off(self, poller: zmq.Poller) -> None:
        """Says goodbye also to those who are just coming back under another address."""
        ends = time.monotonic() + SEE_OFF_HEARTBEATS * self.desk.heartbeat
        while (left := ends - time.monotonic()) > 0:
            if self._woken.fileno() in dict(poller.poll(int(left * 1000) + 1)):
                self._woken.recv(4096)
            for peer, message in self._collect():
                if not isinstance(message, Bye):
                    self._send([(peer, self._farewell)])

    def _collect(self) -> list[tuple[bytes, FromSampler | None]]:
        """What has arrived, with None for a frame that is no message."""
        messages: list[tuple[bytes, FromSampler | None]] = []
        for index, link in enumerate(self._sockets):
            for _ in range(MOST_AT_ONCE):  # nobody who sends without end may hold up the rest
                try:
                    identity, *frames = link.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                # Which socket is part of the address, so that nobody on the network can pass
                # for a process of this machine.
                peer = bytes([index]) + identity
                for frame in frames:
                    try:
                        messages.append((peer, decode_from_sampler(frame)))
                    except msgspec.DecodeError:
                        messages.append((peer, None))
        return messages

    def _send(self, outgoing: Sequence[tuple[bytes, FromRun | Hand]]) -> None:
        for peer, message in outgoing:
            if peer == SEAT:
                assert isinstance(message, Hand), message
                self._hand(message)
                continue
            try:
                frame = encode(
                    Work.pack(self.desk.run, message.lease, message.part)
                    if isinstance(message, Hand)
                    else message
                )
            except ValueError as error:
                assert isinstance(message, Hand), message
                with self.changed:
                    self.desk.unsendable(peer, message.lease, str(error))
                continue
            try:
                self._sockets[peer[0]].send_multipart([peer[1:], frame], zmq.NOBLOCK)
            except zmq.Again:
                continue  # it does not read: what was for it is said again, or it is lost
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                # It has gone; its silence, or its process, will tell.

    def _wake(self) -> None:
        try:
            self._waker.send(b"!")
        except OSError:
            return  # as many wake-ups as fit are waiting already, or the run is over
