"""The process that scores artifacts. It sees plain data and never a program.

It lives as long as its slot: asking it costs some ten microseconds, starting one for each
artifact would cost milliseconds.
"""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Callable
from typing import Any

from sandbox import inside
from sandbox.channel import MESSAGE_BYTES, Channel, Closed, read_memory_file


def main() -> None:
    """Serve the slot at the other end of the socket until it is closed."""
    channel, config, jail = inside.begin()
    score = inside.load(channel, config).judge
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    inside.ready(channel)
    jail.confine_self(config["memory_mb"])
    try:
        while True:
            _, fds = channel.receive()
            _answer(channel, score, read_memory_file(fds[0]), config["settings"])
    except Closed:
        os._exit(0)


def _answer(
    channel: Channel, score: Callable[[Any, Any], Any], document: bytes, settings: Any
) -> None:
    reply: dict[str, Any]
    try:
        reply = {"result": score(json.loads(document), settings)}
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
