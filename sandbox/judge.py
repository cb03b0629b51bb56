"""The process that scores artifacts. It sees plain data and never a program.

It lives as long as its slot: asking it costs some ten microseconds, starting one for each
artifact would cost milliseconds.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import struct
from collections.abc import Callable, Sequence
from typing import Any

from sandbox import frames, inside
from sandbox.channel import MESSAGE_BYTES, Channel, Closed, read_memory_file

COUNT = struct.Struct("<I")  # how many calls a batch holds, in front of their JSON text


def main() -> None:
    """Serve the slot at the other end of the socket until it is closed."""
    channel, config, jail = inside.begin()
    score = inside.load(channel, config).judge
    settings = config["settings"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    inside.ready(channel)
    jail.confine_self(config["memory_mb"])
    try:
        while True:
            message, fds = channel.receive()
            if "calls" in message:
                with Program(*fds) as program:
                    _answer(channel, score, program, settings)
            else:
                _answer(channel, score, json.loads(read_memory_file(fds[0])), settings)
    except Closed:
        os._exit(0)


class _Gone(BaseException):
    """The program has ended: no `except Exception` of a judge is to go on without it."""


class Program:
    """A program in its own process, as a judge sees it: something that answers calls.

    `program([[1, 2], [3, 4]])` gives `[f(1, 2), f(3, 4)]`. One batch of a thousand calls costs
    little more than one of a single call.
    """

    def __init__(self, asking: int, answered: int) -> None:
        self._asking, self._answered = asking, answered

    def __call__(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Answers to one batch, in its order: plain data, of whatever kind the program chose."""
        frames.write(self._asking, COUNT.pack(len(calls)) + json.dumps(calls).encode())
        reply = frames.read(self._answered)
        if reply is None:
            raise _Gone
        answers: list[Any] = json.loads(reply)
        return answers

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._asking)
        os.close(self._answered)


def _answer(
    channel: Channel, score: Callable[[Any, Any], Any], subject: Any, settings: Any
) -> None:
    """Scores an artifact, or a program that answers calls."""
    reply: dict[str, Any]
    try:
        reply = {"result": score(subject, settings)}
    except _Gone:
        reply = {"gone": True}
    except Exception as error:
        # By name: the class itself was loaded from the bundle, which may lack it.
        bad = any(kind.__name__ == "BadArtifact" for kind in type(error).__mro__)
        reply = {"bad": inside.one_line(error).partition(": ")[2]} if bad else _broken(error)
    try:
        text = json.dumps(reply)
    except (TypeError, ValueError, RecursionError) as error:
        reply, text = _broken(error), ""
    if len(text) > MESSAGE_BYTES:
        reply = {"broken": f"the judge's answer is over {MESSAGE_BYTES} bytes"}
    channel.send(reply)


def _broken(error: BaseException) -> dict[str, str]:
    place = inside.last_place(error)
    return {"broken": inside.one_line(error) + (f" ({place})" if place else "")}


if __name__ == "__main__":
    main()
