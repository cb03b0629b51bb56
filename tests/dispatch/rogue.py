"""A member of the fleet that says what no sandbox says: its key is enrolled, its words are not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec
import zmq

from sandbox.keys import KeyPair
from sandbox.protocol import (
    Assign,
    Beat,
    Bye,
    Evaluation,
    FromDispatcher,
    Hello,
    Result,
    Status,
    WorkerState,
    decode_from_dispatcher,
    encode,
)

Frames = list[bytes]


class Rogue(threading.Thread):
    """Joins, says that it is ready for a lot, and answers every task in its own way.

    Args:
        answer: from an assignment to what is sent back.
        beat: its state, sent every 50 ms; by default that of a strong sandbox with many slots.
        extra: sent with every beat.
    """

    def __init__(
        self,
        address: str,
        run_key: str,
        own: KeyPair,
        answer: Callable[[Assign], Frames],
        *,
        beat: Callable[[str, int], Beat] | None = None,
        extra: Callable[[], Frames] = list,
    ) -> None:
        super().__init__(daemon=True)
        self.address, self.run_key, self.own = address, run_key, own
        self.answer, self.extra = answer, extra
        self.beat = strong_beat if beat is None else beat
        self.assigned = 0
        self.dismissed: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as link:
            link.curve_serverkey = self.run_key.encode()
            link.curve_publickey = self.own.public.encode()
            link.curve_secretkey = self.own.secret.encode()
            link.setsockopt(zmq.LINGER, 0)
            link.setsockopt(zmq.SNDTIMEO, 1000)
            link.connect(self.address)
            link.send(encode(Hello("rogue", 1, "rogue", 64, 1)))
            run, seq = "", 0
            while not self.stopping.is_set():
                if link.poll(50):
                    for frame in link.recv_multipart():
                        message = decode_from_dispatcher(frame)
                        run = getattr(message, "run", run)
                        self._take(link, message)
                seq += 1
                frames = [encode(self.beat(run, seq)), *self.extra()]
                try:
                    link.send_multipart(frames)
                except zmq.Again:
                    continue  # the run has cut the connection

    def _take(self, link: zmq.Socket[bytes], message: FromDispatcher) -> None:
        if isinstance(message, Bye):
            self.dismissed.append(message.reason)
        if isinstance(message, Assign):
            self.assigned += 1
            frames = self.answer(message)
            if frames:
                link.send_multipart(frames)


def strong_beat(run: str, seq: int) -> Beat:
    return Beat(run, seq, WorkerState.READY, "", "L3", 64, 1000, (), {}, 64, 64, 0.0, 64)


def good(assign: Assign, **fields: object) -> Evaluation:
    """What a sandbox would say of the program, but for some fields."""
    plain = Evaluation(
        candidate=assign.task.candidate, status=Status.OK, fitness=-1.0, level="L3", node="rogue"
    )
    return msgspec.structs.replace(plain, **fields)


def result(assign: Assign, lease: int | None = None, **fields: object) -> Frames:
    number = assign.lease if lease is None else lease
    return [encode(Result.pack(assign.run, number, good(assign, **fields)))]
