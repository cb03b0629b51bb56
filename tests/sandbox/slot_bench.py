"""An environment whose program is a `main()` that returns a number, and slots to try it in."""

from __future__ import annotations

import os
from pathlib import Path

from environments.base import read_modules
from sandbox.protocol import Bundle, Code, Evaluation, Limits, Status, Task
from sandbox.slot import Slot

PRODUCER = """
def produce(files, settings):
    namespace = {}
    for name, text in files.items():
        exec(compile(text, name, "exec"), namespace)
    return namespace["main"]()
"""

JUDGE = """
import math, time
from environments.artifact import BadArtifact

EXPECTED_ANSWER = "nobody may see this"

def judge(artifact, settings):
    if isinstance(artifact, dict) and "judge" in artifact:
        what = artifact["judge"]
        if what == "nan": return {"fitness": math.nan, "descriptor": [0.0]}
        if what == "raise": raise KeyError("missing")
        if what == "loop":
            while True: pass
        if what == "sleep": time.sleep(1000)
        if what == "pause": time.sleep(0.8)
        if what == "hog": bytearray(10**10)
        if what == "short": return {"fitness": 1.0}
        if what == "huge": return {"fitness": 1.0, "descriptor": [0.0] * 100000}
        if what == "write": open("/tmp/judge-was-here", "w")
        if what == "network":
            import socket
            socket.socket()
        if what == "die":
            import os
            os._exit(3)
        return {"fitness": 0.0, "descriptor": [0.0]}
    if isinstance(artifact, bool) or not isinstance(artifact, (int, float)):
        raise BadArtifact(f"expected a number, got {type(artifact).__name__}")
    return {"fitness": artifact, "descriptor": [artifact, 0.5], "metrics": {"twice": 2 * artifact}}
"""

LIMITS = Limits(cpu_seconds=0.5, wall_seconds=1.2, memory_mb=64, artifact_bytes=100_000)
JUDGE_LIMITS = Limits(cpu_seconds=0.3, wall_seconds=1.0, memory_mb=256)


def make_bundle(**changes: object) -> Bundle:
    """An environment whose program is a `main()` that returns a number."""
    settings: dict = {
        "environment": "number",
        "producer": Code(
            "environments.number.producer", {"environments.number.producer": PRODUCER}
        ),
        "judge": Code(
            "environments.number.judge",
            {"environments.number.judge": JUDGE, **read_modules(["environments.artifact"])},
        ),
        "limits": LIMITS,
        "judge_limits": JUDGE_LIMITS,
    }
    return Bundle(**(settings | changes))


def descendants(root: int) -> set[int]:
    """Every process below `root`, zombies included."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found - {root}
        found |= more


class Bench:
    """A started slot with short-hands, which checks that nothing stays behind."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        slot.start()
        self.at_rest = descendants(os.getpid())

    def run(self, source: str, seed: int = 1, name: str = "program.py") -> Evaluation:
        digest = self.slot.bundle.digest
        return self.slot.evaluate(Task(5, digest, {name: source}, seed))

    def assert_fine(self) -> None:
        """A good program is evaluated as if nothing had been, and nothing is left of others."""
        good = self.run("def main():\n    return 41 + 1\n")
        assert (good.status, good.fitness, good.detail) == (Status.OK, 42.0, "")
        assert descendants(self.slot.pids["zygote"]) == set()
