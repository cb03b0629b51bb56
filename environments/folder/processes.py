"""Python sub-processes inside a jail: forked, since no program there may execute another.

Evaluators like to run a script of their own with `sys.executable`. In a jail there is no such
program, and the call that starts one is refused. Where child processes are allowed
(`environment.limits.processes`), a fork that runs the script in this interpreter does the same, and
sooner: what is imported already need not be imported again.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

KILLED = 137  # the exit status of a shell for what was killed
_VALUED = ("-W", "-X")  # options of the interpreter with a value behind them

_fork, _kill = os.fork, os.kill
_lifelines: dict[int, int] = {}  # by process: the end of a pipe; the process ends with it

refusals: list[str] = []
"""Why processes did not start that could be allowed. Evaluators tend to catch that, and to score
every program with 0."""
others: list[str] = []
"""The same for other programs, which nobody can allow; some of them are asked for in passing."""


def offer() -> None:
    """Lets `subprocess` start Python scripts by forking, and `os.kill` end them.

    From then on a process that may not be started leaves a line in `refusals`.
    """
    subprocess._fork_exec = _fork_exec  # type: ignore[attr-defined]
    os.fork, os.kill = _try_fork, _end


def _try_fork() -> int:
    try:
        return _fork()
    except PermissionError:
        why = "the evaluator starts a process: allow that with environment.limits.processes=2"
        refusals.append(why)
        raise PermissionError(why) from None


def _end(pid: int, number: int) -> None:
    # A jailed process may signal nobody but itself, so its children are asked to end.
    lifeline = _lifelines.pop(pid, None)
    if lifeline is None or number == 0:
        _kill(pid, number)
    else:
        os.close(lifeline)


def _fork_exec(
    args: Sequence[str | bytes],
    executables: Sequence[bytes],
    close_fds: bool,
    keep: tuple[int, ...],
    cwd: Any,
    environment: list[bytes] | None,
    *rest: Any,
) -> int:
    """Takes the arguments that `subprocess` hands to the function of this name in C."""
    p2cread, _, _, c2pwrite, _, errwrite, _, failed = rest[:8]
    words = [os.fsdecode(word) for word in args]
    executable = Path(os.fsdecode(executables[0]))
    if not (executable.name.startswith("python") or executable == Path(sys.executable)):
        why = (
            f"the evaluator starts {words[0]!r}, and a sandbox executes nothing but Python scripts"
        )
        others.append(why)
        raise PermissionError(why)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    lifeline, hold = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(lifeline)
        os.close(hold)
        raise
    if pid == 0:
        code = 1
        try:
            os.close(hold)
            os.close(failed)  # nothing to report: this process runs already
            for target, fd in enumerate((p2cread, c2pwrite, errwrite)):
                _redirect(fd, target)
            _close_others((*keep, lifeline))
            code = _child(words[1:], cwd, environment, lifeline)
        finally:
            os._exit(code)
    os.close(lifeline)
    _lifelines[pid] = hold
    return pid


def _redirect(fd: int, target: int) -> None:
    if fd not in (-1, target):
        os.dup2(fd, target)


def _close_others(keep: Sequence[int]) -> None:
    low = 3
    for fd in sorted({fd for fd in keep if fd > 2}):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 4096)


def _wait_for_end(lifeline: int) -> NoReturn:
    with suppress(OSError):
        os.read(lifeline, 1)
    os._exit(KILLED)


def _child(words: list[str], cwd: Any, environment: list[bytes] | None, lifeline: int) -> int:
    """Runs a script and returns its exit status."""
    threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
    sys.stdin, sys.stdout, sys.stderr = (
        open(fd, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        for fd, mode in enumerate("rww")
    )
    if cwd is not None:
        os.chdir(cwd)
    if environment is not None:
        os.environ.clear()
        os.environb.update(entry.partition(b"=")[::2] for entry in environment)
    try:
        _run(words)
        code: Any = 0
    except SystemExit as error:
        code = error.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    return code if isinstance(code, int) else int(code is not None)


def _run(words: list[str]) -> None:
    while words and words[0].startswith("-") and words[0] not in ("-", "-c", "-m"):
        del words[: 2 if words[0] in _VALUED else 1]
    if not words:
        words = ["-"]  # a script from standard input
    kind, rest = words[0], words[1:]
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind in ("-c", "-"):
        text, rest = (rest[0], rest[1:]) if kind == "-c" else (sys.stdin.read(), rest)
        sys.argv = [kind, *rest]
        sys.path.insert(0, str(Path.cwd()))
        exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(kind).absolute().parent))
        runpy.run_path(kind, run_name="__main__")
