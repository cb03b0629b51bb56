"""How a zygote and a judge begin: hand-shake, jail, and the code that each was given.

Runs in an interpreter of its own, with an empty environment and without `site`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from types import ModuleType
from typing import Any

from sandbox import loader
from sandbox.channel import Channel, read_memory_file
from sandbox.jail import Jail, Sight, explain
from sandbox.kernel import syscalls

MESSAGE_CHARACTERS = 500


def begin() -> tuple[Channel, dict[str, Any], Jail]:
    """Enter the jail that the slot asks for over the socket named on the command line.

    Returns:
        The channel to the slot, what it configured, and the jail this process is now in.
    """
    if syscalls.without_randomised_addresses():
        os.execv(sys.executable, sys.orig_argv)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    _, fds = channel.receive()
    config = json.loads(read_memory_file(fds[0]))
    sys.path[:] = config["path"]
    jail = Jail(config["level"], config["box"], config["file_bytes"], config["without"])
    try:
        jail.enter(Sight(tuple(config["path"]), tuple(config["hidden"])))
    except OSError as error:
        channel.send({"refused": explain(error)})
        os._exit(1)
    os.environ.clear()
    if jail.box is not None:
        os.environ.update(HOME=jail.box, TMPDIR=jail.box)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return channel, config, jail


def load(channel: Channel, config: dict[str, Any]) -> ModuleType:
    """Import what this process was given and let it prepare, or tell the slot why not and end."""
    try:
        module = loader.load(config["code"], config["preload"])
        if (prepare := getattr(module, "prepare", None)) is not None:
            prepare(config["settings"])
        return module
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        channel.send({"failed": one_line(error), "missing": missing, "where": last_place(error)})
        os._exit(1)


def ready(channel: Channel) -> None:
    """Tell the slot that work may come, and hand it a descriptor of this process."""
    fd = os.pidfd_open(os.getpid())
    channel.send({"ready": True}, (fd,))
    os.close(fd)


def one_line(error: BaseException) -> str:
    """`Type: message` without line breaks, capped."""
    text = " ".join(str(error).split())[:MESSAGE_CHARACTERS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def last_place(error: BaseException) -> str:
    """`file, line N` of the innermost frame outside the import machinery."""
    place = ""
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if "importlib" not in name and not name.startswith("<frozen"):
            place = f"{name}, line {step.tb_lineno}"
        step = step.tb_next
    return place
