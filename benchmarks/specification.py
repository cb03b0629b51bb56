"""What a candidate of `environment=specification` costs beyond a direct call of its `evaluate`.

    python -m benchmarks.specification            # some hundred candidates of each kind
    python -m benchmarks.specification --small    # a check for continuous integration

The same function on the same inputs, called in this process and evaluated in a slot with all that
belongs to it: jail, judge, and the aggregation on the search's side; in turns of one run. A third
turn evaluates a program without any specification: the part that every sandboxed program pays.
Prints JSON. Exit code 1 where the difference of the medians is above what the project promises, or
with --small, on a machine that does other things as well, too many times what the third turn takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.sandbox import TRIVIAL, make_slot
from benchmarks.sandbox import in_slot as in_bare_slot
from elm.build import build_bundle
from environments.base import Outcome
from environments.specification import skeleton
from environments.specification.environment import Specification
from sandbox.affinity import settle
from sandbox.protocol import Task
from sandbox.slot import Slot

CHECK = """

def check(params, solution):
    return len(solution)
"""
SPECIFICATION = """\
INPUTS = [(4,), (6,), (8,)]


def evaluate(params):
    chosen = sorted(range(params[0]), key=priority)
    return {"score": len(chosen), "hash": str(chosen), "solution": chosen}


def priority(x):
    return -x
"""
PROGRAM = "def priority(x):\n    return (x * 7) % 5 + {number}\n"

PROMISED_MS = 5.0
PROMISED_SMALL = 2.5  # times a program without a specification


def directly(text: str) -> Callable[[str], float]:
    """Seconds of a program whose function is put into the specification and called here."""
    module = skeleton.load(text, "specification.py")

    def measure(program: str) -> float:
        begun = time.perf_counter()
        exec(compile(program, "priority.py", "exec"), vars(module))
        for params in module.INPUTS:
            module.evaluate(params)
        return time.perf_counter() - begun

    return measure


def in_slot(env: Specification, slot: Slot) -> Callable[[str], float]:
    """Seconds of a program in a slot, up to its fitness and descriptor.

    Raises:
        RuntimeError: if it does not end well.
    """
    file = f"{env.seeds()[0].name}.py"

    def measure(program: str) -> float:
        begun = time.perf_counter()
        files = {file: program}
        found = slot.evaluate(Task(0, slot.bundle.digest, files, 0))
        if found.status != "ok":
            raise RuntimeError(f"{found.status}: {found.detail}")
        seed = env.seeds()[0].program
        outcome = Outcome(
            fitness=found.fitness,
            descriptor=found.descriptor,
            metrics=found.metrics,
            scores=found.scores,
            behaviour=found.behaviour,
            artifact=found.artifact,
        )
        env.conclude(type(seed)(files), [outcome])
        return time.perf_counter() - begun

    return measure


def compare(name: str, text: str, count: int) -> dict[str, Any]:
    """Median milliseconds of both ways, and what lies between them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "specification.py"
        path.write_text(text, encoding="utf-8")
        env = Specification(str(path))
    slot, bare = Slot(build_bundle(env)), make_slot("auto", 0, ())
    try:
        slot.start()
        settle(slot.pids.values(), 0)  # as a worker does
        ways = {
            "direct": directly(text),
            "slot": in_slot(env, slot),
            "bare_slot": lambda program: in_bare_slot(bare, TRIVIAL),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(count + 20):
            for way, measure in ways.items():
                seconds = measure(PROGRAM.format(number=number))
                if number >= 20:  # the first warm up
                    times[way].append(1000 * seconds)
        level = slot.level
    finally:
        slot.close()
        bare.close()
    medians = {f"{way}_ms": statistics.median(found) for way, found in times.items()}
    return {
        "what": name,
        "level": level,
        "candidates": count,
        **{key: round(value, 3) for key, value in medians.items()},
        "slot_p95_ms": round(statistics.quantiles(times["slot"], n=20)[-1], 3),
        "overhead_ms": round(medians["slot_ms"] - medians["direct_ms"], 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    count = 60 if small else 500
    found = [
        compare("score claimed", SPECIFICATION, count),
        compare("score checked", SPECIFICATION + CHECK, count),
    ]
    missed = [
        one["what"]
        for one in found
        if one["overhead_ms"] > (PROMISED_SMALL * one["bare_slot_ms"] if small else PROMISED_MS)
    ]
    promised = {"times_bare_slot": PROMISED_SMALL} if small else {"overhead_ms": PROMISED_MS}
    print(json.dumps({"promised": promised, "missed": missed, "found": found}, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
