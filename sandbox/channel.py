"""Messages between a slot and the processes it keeps: small JSON objects with file descriptors.

A message is one packet, so it arrives whole or not at all. What may be large (sources, programs,
artifacts) travels beside it in a memory file. Both ends are code of ours: nothing that a program
wrote is ever parsed here.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any

MESSAGE_BYTES = 1 << 16
MAX_FDS = 8


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a packet socket. Owns the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def set_timeout(self, seconds: float | None) -> None:
        """How long `receive` waits before it raises TimeoutError; None is for ever."""
        self._sock.settimeout(seconds)

    def send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Send one message; `fds` are duplicated into the other process.

        Raises:
            Closed: if the other end is gone.
        """
        ancillary = []
        if fds:
            ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds)))
        try:
            self._sock.sendmsg([json.dumps(message).encode()], ancillary)
        except (BrokenPipeError, ConnectionError) as error:
            raise Closed(str(error)) from error

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """Wait for one message. The caller owns the descriptors that came with it.

        Raises:
            Closed: if the other end is gone.
        """
        room = socket.CMSG_LEN(MAX_FDS * 4)
        try:
            data, ancillary, _, _ = self._sock.recvmsg(MESSAGE_BYTES, room)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of file")
        fds = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        return json.loads(data), list(fds)

    def close(self) -> None:
        self._sock.close()


def memory_file(data: bytes) -> int:
    """A descriptor of an anonymous file that holds `data`. The caller closes it."""
    fd = os.memfd_create("message", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def read_memory_file(fd: int) -> bytes:
    """All that a memory file holds, from its beginning; closes it."""
    try:
        size = os.fstat(fd).st_size
        parts: list[bytes] = []
        offset = 0
        while offset < size:
            parts.append(os.pread(fd, size - offset, offset))
            offset += len(parts[-1])
        return b"".join(parts)
    finally:
        os.close(fd)
