"""What a forked child does: lock itself in, run one program, write one document, end.

The child is the program's: it may lie about its own result, and can harm nobody else by that.
CPU time, memory and how it ended are measured from outside.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from sandbox import frames
from sandbox.channel import Channel, read_memory_file
from sandbox.jail import Jail

ARTIFACT, ERROR = b"A", b"E"  # the first byte of what a child writes
MESSAGE_CHARACTERS = 500
_OUT_OF_MEMORY = ERROR + b'{"type": "MemoryError", "memory": true}'

_stream = random.Random(0)


def make_repeatable() -> None:
    """In the zygote: let everything that asks the machine for chance get it from one stream.

    That covers `os.urandom`, `secrets`, `uuid`, `random.Random()` and numpy's generators without
    a seed, so that a program gives the same result each time it is executed.
    """
    seed = random.Random.seed

    def seed_from_stream(self: random.Random, a: Any = None, version: int = 2) -> None:
        seed(self, _stream.getrandbits(256) if a is None else a, version)

    def urandom(size: int, *_: object) -> bytes:
        return _stream.randbytes(size)

    random.Random.seed = seed_from_stream  # type: ignore[method-assign]
    random._urandom = os.urandom = urandom  # type: ignore[attr-defined]
    os.getrandom = urandom  # type: ignore[assignment]


def _plant(seed: int) -> None:
    _stream.seed(seed)
    random.seed(seed)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(seed % 2**32)


def run(
    message: Mapping[str, Any],
    fds: list[int],
    channel: Channel,
    jail: Jail,
    produce: Callable[[dict[str, str], dict[str, Any]], Any],
    settings: dict[str, Any],
    limits: dict[str, Any],
) -> NoReturn:
    """Never returns.

    `fds` are the program's files, the result's pipe and the printouts' pipe; and, for a program
    that is to answer calls, the pipes for those and for the answers.
    """
    payload, result, output, *calls = fds
    try:
        os.setsid()
        files = json.loads(read_memory_file(payload))
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(jail.box or "/")
        _plant(message["seed"])
        if limits["processes"] > 0:
            os.nice(19)  # who has to stop a fork bomb comes before it, however many it is
        if message["portion"] is not None:
            settings = {**settings, "portion": message["portion"]}
        jail.confine_child(limits)
    except BaseException as error:
        channel.send({"broken": f"{type(error).__name__}: {error}"})
        os._exit(1)
    # The last ways back to the zygote: from here on everything is the program's.
    kept = sorted([result, *calls])
    for low, high in itertools.pairwise([2, *kept, 4096]):
        os.closerange(low + 1, high)
    document = _execute(produce, files, settings, calls)
    with suppress(BaseException):  # the program may have replaced these streams by anything
        sys.stdout.flush()
        sys.stderr.flush()
    try:
        view = memoryview(document)
        while view:
            view = view[os.write(result, view) :]
    finally:
        os._exit(0)


def _answer(function: Callable[..., Any], requests: int, answers: int) -> None:
    """Answer batch after batch of calls, until nobody asks any more."""
    while (batch := frames.read(requests)) is not None:
        values = [function(*arguments) for arguments in json.loads(batch)]
        frames.write(answers, json.dumps(values, allow_nan=False, separators=(",", ":")).encode())


def _execute(
    produce: Callable[..., Any], files: dict[str, str], settings: dict[str, Any], calls: list[int]
) -> bytes:
    try:
        artifact = produce(files, settings)
        if calls:
            _answer(artifact, *calls)
            artifact = None
        try:
            text = json.dumps(artifact, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            return _document({"type": "artifact", "message": str(error), "unfit": True})
        return ARTIFACT + text.encode("utf-8", "surrogatepass")
    except MemoryError:
        return _OUT_OF_MEMORY
    except BaseException as error:
        try:
            return _document(_describe(error, files))
        except MemoryError:
            return _OUT_OF_MEMORY


def _document(error: dict[str, Any]) -> bytes:
    return ERROR + json.dumps(error).encode()


def _describe(error: BaseException, files: Mapping[str, str]) -> dict[str, Any]:
    """What is known of an exception: where it left the program, not where it was raised below."""
    line, name = None, None
    step = error.__traceback__
    while step is not None:
        candidate = step.tb_frame.f_code.co_filename.strip("<>")
        if candidate in files:
            name, line = candidate, step.tb_lineno
        step = step.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        name, line = error.filename.strip("<>"), error.lineno
        message = error.msg
    else:
        message = str(error)
    return {
        "type": type(error).__name__,
        "message": message[:MESSAGE_CHARACTERS],
        "file": name,
        "line": line,
        "denied": isinstance(error, PermissionError),
        "memory": _lacked_memory(error, message),
    }


def _lacked_memory(error: BaseException, message: str) -> bool:
    """Failed allocations that do not come as MemoryError."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, ImportError) and "failed to map segment" in message
