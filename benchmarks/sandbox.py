"""What it costs to execute one program in a jail, against a fresh interpreter.

    python -m benchmarks.sandbox                  # some minutes; 100,000 evaluations for the growth
    python -m benchmarks.sandbox --small          # a check of ratios for continuous integration

Both sides of a comparison do the same program with the same parallelism, in alternating turns of
one run. Prints JSON. Exit code 1 where a figure misses what the project promises.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.affinity import settle
from sandbox.protocol import Bundle, Code, Scoring, Task
from sandbox.slot import Slot

PRODUCER = """
def produce(files, settings):
    namespace = {}
    exec(files["main.py"], namespace)
    return namespace["main"]()
"""
JUDGE = """
def judge(artifact, settings):
    return {"fitness": artifact, "descriptor": [artifact]}
"""
HEURISTIC = """
def produce(files, settings):
    namespace = {}
    exec(files["main.py"], namespace)
    return namespace["main"]
"""
CALLER = """
def judge(ask, settings):
    total = 0
    for _ in range(settings["batches"]):
        total += sum(ask([[n] for n in range(settings["width"])]))
    return {"fitness": total, "descriptor": [0.0]}
"""

TRIVIAL = "def main():\n    return 6 * 7\n"
WITH_NUMPY = "import numpy\ndef main():\n    return float(numpy.arange(100).sum())\n"
FRESH = "\nimport json\nprint(json.dumps(main()))\n"

PROMISED = {"trivial": 6.0, "numpy": 20.0}  # times a fresh interpreter
PROMISED_SMALL = {"trivial": 2.0, "numpy": 6.0}  # on a machine that does other things as well
PROMISED_P95_MS = 8.0
PROMISED_MEMORY_MB = 40.0
PROMISED_GROWTH_MB = 4.0


def make_slot(level: str, index: int, preload: tuple[str, ...] = ("numpy",)) -> Slot:
    """A started slot."""
    bundle = Bundle(
        environment="benchmark",
        producer=Code("b.producer", {"b.producer": PRODUCER}),
        judge=Code("b.judge", {"b.judge": JUDGE}),
        preload=preload,
    )
    slot = Slot(bundle, level=level, index=index)
    slot.start()
    settle(slot.pids.values(), index)  # as a worker does
    return slot


def in_slot(slot: Slot, source: str) -> float:
    """Seconds of one evaluation.

    Raises:
        RuntimeError: if the program did not end well.
    """
    task = Task(0, slot.bundle.digest, {"main.py": source}, 0)
    begun = time.perf_counter()
    found = slot.evaluate(task)
    seconds = time.perf_counter() - begun
    if found.status != "ok":
        raise RuntimeError(f"{found.status}: {found.detail}")
    return seconds


def in_fresh_interpreter(source: str) -> float:
    """Seconds of one `python -I`."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", source + FRESH], check=True, capture_output=True)
    return time.perf_counter() - begun


def side_by_side(works: list[Callable[[], float]], each: int) -> tuple[float, array[float]]:
    """Repeats each piece of work so many times, all at once: seconds in all, and of each."""
    # Not lists: of so many evaluations those would be what grows.
    found = [array("d") for _ in works]
    broken: list[BaseException] = []

    def repeat(index: int) -> None:
        try:
            for _ in range(each):
                found[index].append(works[index]())
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=repeat, args=(index,)) for index in range(len(works))]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    seconds = time.perf_counter() - begun
    for more in found[1:]:
        found[0].extend(more)
    return seconds, found[0]


def direct(slots: int, each: int) -> float:
    """Evaluations of the trivial program a second, in so many slots of this process."""
    made = [make_slot("auto", index, ()) for index in range(slots)]
    try:
        works = [lambda s=slot: in_slot(s, TRIVIAL) for slot in made]
        side_by_side(works, 20)
        seconds, found = side_by_side(works, each)
    finally:
        for slot in made:
            slot.close()
    return len(found) / seconds


def compare(slots: list[Slot], source: str, rounds: int, each: int, fresh: int) -> dict[str, Any]:
    """The same program in slots and in fresh interpreters, in turns."""
    ours, theirs, seconds = [], [], []
    for _ in range(rounds):
        total, some = side_by_side([lambda s=slot: in_slot(s, source) for slot in slots], each)
        ours.append(len(some) / total)
        seconds += some
        total, some = side_by_side([lambda: in_fresh_interpreter(source)] * len(slots), fresh)
        theirs.append(len(some) / total)
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "per_second": round(statistics.median(ours), 1),
        "p50_ms": round(1000 * cuts[49], 2),
        "p95_ms": round(1000 * cuts[94], 2),
        "fresh_interpreter_per_second": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 1),
    }


def private_mb(pid: int) -> float:
    """What a process holds for itself alone, shared pages left out."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean", "Private_Dirty")):
            total += int(line.split()[1])
    return total / 1024


def private_of(slot: Slot) -> float:
    return sum(private_mb(pid) for pid in slot.pids.values())


def growth(slots: list[Slot], evaluations: int) -> dict[str, Any]:
    """Memory and open files at a tenth of so many evaluations and at their end."""

    def reading() -> dict[str, float]:
        return {
            "slot_mb": round(max(map(private_of, slots)), 2),
            "worker_mb": round(private_mb(os.getpid()), 2),
            "open_files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        }

    works = [lambda s=slot: in_slot(s, TRIVIAL) for slot in slots]
    side_by_side(works, evaluations // 10 // len(slots))
    early = reading()
    seconds = side_by_side(works, (evaluations - evaluations // 10) // len(slots))[0]
    late = reading()
    return {
        "evaluations": evaluations,
        "seconds": round(seconds, 1),
        "early": early,
        "late": late,
        "growth_mb": round(
            max(late["slot_mb"] - early["slot_mb"], late["worker_mb"] - early["worker_mb"]), 2
        ),
    }


def calls(level: str) -> dict[str, float]:
    """Microseconds of one call that a judge makes to a program, alone and in batches of 1,000."""
    found = {}
    for name, batches, width in (("single", 2000, 1), ("batched", 50, 1000)):
        bundle = Bundle(
            environment="benchmark",
            producer=Code("b.producer", {"b.producer": HEURISTIC}),
            judge=Code("b.judge", {"b.judge": CALLER}),
            scoring=Scoring.CALLS,
            judge_settings={"batches": batches, "width": width},
        )
        slot = Slot(bundle, level=level)
        slot.start()
        try:
            source = "def main(n):\n    return n + 1\n"
            in_slot(slot, source)
            seconds = statistics.median(in_slot(slot, source) for _ in range(3))
        finally:
            slot.close()
        found[name] = round(1e6 * seconds / (batches * width), 2)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--level", default="auto")
    parser.add_argument("--evaluations", type=int, help="for the growth (default 100,000)")
    options = parser.parse_args()
    rounds, each, fresh = (3, 60, 4) if options.small else (7, 400, 12)
    evaluations = options.evaluations or (3000 if options.small else 100_000)
    slots = [make_slot(options.level, index) for index in range(options.slots)]
    try:
        for slot in slots:
            for source in (TRIVIAL, WITH_NUMPY):
                in_slot(slot, source)
        report: dict[str, Any] = {
            "benchmark": "sandbox",
            "cpus": len(os.sched_getaffinity(0)),
            "slots": len(slots),
            "level": slots[0].level,
            "trivial": compare(slots, TRIVIAL, rounds, each, fresh),
            "numpy": compare(slots, WITH_NUMPY, rounds, each, fresh),
            "memory_mb_per_slot": round(max(map(private_of, slots)), 1),
            "growth": growth(slots, evaluations),
        }
    finally:
        for slot in slots:
            slot.close()
    report["call_microseconds"] = calls(options.level)
    promised = PROMISED_SMALL if options.small else PROMISED
    missed = [name for name, ratio in promised.items() if report[name]["ratio"] < ratio]
    if report["memory_mb_per_slot"] > PROMISED_MEMORY_MB:
        missed.append("memory_mb_per_slot")
    if report["growth"]["growth_mb"] > PROMISED_GROWTH_MB:
        missed.append("growth")
    if report["growth"]["late"]["open_files"] > report["growth"]["early"]["open_files"]:
        missed.append("open_files")
    if not options.small:
        missed += [n for n in ("trivial", "numpy") if report[n]["p95_ms"] > PROMISED_P95_MS]
    report["missed"] = missed
    print(json.dumps(report, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
