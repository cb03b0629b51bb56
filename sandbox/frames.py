"""Documents on a pipe, one after the other: four bytes of length, then so many of text."""

from __future__ import annotations

import os
import struct

MOST = (1 << 32) - 1

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 16


class TooLong(ValueError):
    """A frame of more bytes than the reader takes; the pipe cannot be read any further."""


def write(pipe: int, document: bytes) -> None:
    """Write one frame, waiting for the reader where the pipe is full.

    Raises:
        BrokenPipeError: if nobody reads any more.
        TooLong: for a document over `MOST` bytes.
    """
    if len(document) > MOST:
        raise TooLong(f"{len(document)} bytes")
    view = memoryview(_LENGTH.pack(len(document)) + document)
    while view:
        view = view[os.write(pipe, view) :]


def read(pipe: int, most: int = MOST) -> bytes | None:
    """Wait for one frame; None if the pipe ends before it or within it.

    Raises:
        TooLong: if it says that it has more than `most` bytes.
    """
    header = _exactly(pipe, _LENGTH.size)
    if header is None:
        return None
    (length,) = _LENGTH.unpack(header)
    if length > most:
        raise TooLong(f"{length} bytes")
    return _exactly(pipe, length)


def _exactly(pipe: int, length: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        data = os.read(pipe, min(_CHUNK, length - len(parts)))
        if not data:
            return None
        parts += data
    return bytes(parts)
