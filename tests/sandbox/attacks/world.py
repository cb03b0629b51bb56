"""Where attacks are made: a slot, somebody else's file and port, and a look at what is left."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from pathlib import Path

import msgspec
from slot_bench import PRODUCER, descendants

from attacks.attack import Attack
from environments.base import read_modules
from sandbox.protocol import Bundle, Code, Evaluation, Limits, Status, Task
from sandbox.slot import Slot

SECRET_TEXT = "the password"

# The best is 10, for 3: whatever else claims to be better is forged.
JUDGE = """
from environments.artifact import BadArtifact

EXPECTED_ANSWER = "nobody may see this"

def judge(artifact, settings):
    if isinstance(artifact, bool) or not isinstance(artifact, (int, float)):
        raise BadArtifact(f"expected a number, got {type(artifact).__name__}")
    return {"fitness": 10 - abs(artifact - 3), "descriptor": [artifact]}
"""

LIMITS = Limits(cpu_seconds=0.5, wall_seconds=1.2, memory_mb=64, artifact_bytes=100_000)

# Finds what an earlier program left, as a count, and is worth 10 where there is nothing.
LOOK = """
import builtins, json, os, random, signal, sys, threading, time
def main():
    found = os.listdir('.')
    found += [n for n in os.environ if n not in ('HOME', 'TMPDIR')]
    found += [m.__name__ for m in (builtins, os, sys) if hasattr(m, 'LEFT')]
    found += [n for n in ('left', 'environments.attacked.judge') if n in sys.modules]
    found += [f for f in sys.meta_path if f is None] + [p for p in sys.path if p == '/box']
    found += [1] * (sys.getrecursionlimit() != 1000) + [2] * (threading.active_count() != 1)
    found += [3] * (signal.getsignal(signal.SIGTERM) != signal.SIG_DFL)
    found += [4] * bool(signal.pthread_sigmask(0, [])) + [5] * (random.seed is None)
    found += [6] * (os.path.realpath('.') != os.path.realpath(os.environ['HOME']))
    mask = os.umask(0o22)
    found += [7] * (mask == 0o777) + [8] * (time.tzname[0] == 'JST')
    return 3 if not found else str(found)
"""
GOOD = "def main():\n    return json(2) + 1\ndef json(n): return n\n"


def honest_fitness(artifact: object) -> float | None:
    """The judge's rule, computed apart from it."""
    if isinstance(artifact, bool) or not isinstance(artifact, (int, float)):
        return None
    return 10 - abs(artifact - 3)


class World:
    """A slot and what it is to be kept from.

    Args:
        folder: an empty one, which everybody may write to.
    """

    def __init__(
        self, folder: Path, level: str, *, without: Collection[str] = (), processes: int = 0
    ) -> None:
        self.level = level
        self.others = folder / "others"
        self.others.mkdir()
        self.secret = self.others / "secret.txt"
        self.judge_source = folder / "judge.py"
        self.judge_source.write_text(JUDGE)
        self.restore()
        self.server = socket.create_server(("127.0.0.1", 0))
        name = "environments.attacked"
        modules = {f"{name}.judge": JUDGE, **read_modules(["environments.artifact"])}
        bundle = Bundle(
            environment="attacked",
            producer=Code(f"{name}.producer", {f"{name}.producer": PRODUCER}),
            judge=Code(f"{name}.judge", modules),
            limits=msgspec.structs.replace(LIMITS, processes=processes),
        )
        self.slot = Slot(bundle, level=level, without=without)
        self.slot.start()
        self.run(GOOD)  # a process that has just come up may still close what it began with

    def restore(self) -> None:
        """Put everything that is to be found outside where it was."""
        for path in self.others.iterdir():
            path.unlink() if path.is_symlink() or path.is_file() else path.rmdir()
        self.secret.write_text(SECRET_TEXT)
        self.secret.chmod(0o666)
        (self.others / "link").symlink_to("secret.txt")
        self.others.chmod(0o777)
        for path in (Path("/tmp/elm-leak"), Path("/dev/shm/elm-leak")):
            path.unlink(missing_ok=True)

    def run(self, source: str) -> Evaluation:
        return self.slot.evaluate(Task(1, self.slot.bundle.digest, {"program.py": source}, 7))

    def attempt(self, attack: Attack) -> Evaluation:
        """Execute an attack with the names that it needs."""
        names = (
            f"SECRET = {str(self.secret)!r}\nOUTSIDE = {str(self.others)!r}\n"
            f"PORT = {self.server.getsockname()[1]}\nKEEPER = {os.getpid()}\n"
            f"JUDGE_SOURCE = {str(self.judge_source)!r}\n"
        )
        return self.run(names + attack.source)

    def residue(self) -> dict[str, object]:
        """All that a program might leave behind, or change."""
        pids = self.slot.pids
        status = self.secret.stat()
        return {
            "pids": pids,
            "processes": descendants(os.getpid()),
            "descriptors": {role: _count(f"/proc/{pid}/fd") for role, pid in pids.items()},
            "own descriptors": _count("/proc/self/fd"),
            "others": sorted(path.name for path in self.others.iterdir()),
            "secret": (
                self.secret.read_text(),
                status.st_mode,
                status.st_mtime_ns,
                status.st_nlink,
            ),
            "leaks": [str(p) for d in ("/tmp", "/dev/shm") for p in Path(d).glob("*elm-leak*")],
            "ipc": [_keys(kind) for kind in ("shm", "sem", "msg")],
            "sockets": "elm-leak" in Path("/proc/net/unix").read_text(errors="replace"),
        }

    def hold(self, attack: Attack) -> Status:
        """Make an attack, and see that it was held and is forgotten.

        Raises:
            AssertionError: with what it did.
        """
        before = self.residue()
        found = self.attempt(attack)
        assert found.status in attack.expected, found
        assert not got_through(found), found
        if found.status is Status.OK:
            assert found.fitness == honest_fitness(found.artifact) and found.verified, found
        else:
            assert found.fitness is None and found.descriptor is None, found
        for source in (LOOK, GOOD):
            good = self.run(source)
            assert (good.status, good.fitness, good.detail) == (Status.OK, 10, ""), good
        after = self.residue()
        assert after == before, {name: (before[name], after[name]) for name in after}
        return found.status

    def close(self) -> None:
        self.slot.close()
        self.server.close()


def got_through(found: Evaluation) -> bool:
    """Whether an attack says that it reached what it was after."""
    return "THROUGH" in found.logs or (found.status is Status.OK and found.artifact == 1)


def _count(folder: str) -> int:
    try:
        return len(list(Path(folder).iterdir()))
    except PermissionError:
        return -1  # of a process that gave up what the looker would need


def _keys(kind: str) -> list[str]:
    lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
    return [line for line in lines if int(line.split()[0]) == 0x1EAF]
