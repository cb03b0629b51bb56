"""Single insertions into the archive, against `ribs.GridArchive.add_single`.

    python -m benchmarks.archive [--small]

Both archives take the same programs in the same order, fitness and descriptor, 12 x 12 x 12
cells, programs of 1 KB, all validation included; both begin empty in each round and take turns
within it. Prints JSON; the exit code is 1 where the ratio of the median rates falls short.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from ribs.archives import GridArchive

from elm.archive import Archive, GridSpace
from elm.candidate import Candidate, Elite, Evaluation, Program, Status
from environments.base import Axis

CELLS = 12
LIMITS = (0.0, 1.0)
PROGRAM_BYTES = 1024


def _elites(count: int, seed: int) -> list[Elite]:
    rng = random.Random(seed)
    elites = []
    for number in range(count):
        text = f"# {number}\n".ljust(PROGRAM_BYTES, "x")
        candidate = Candidate(id=number, block=0, program=Program({"program.py": text}))
        evaluation = Evaluation(
            candidate=number,
            status=Status.OK,
            fitness=rng.random(),
            descriptor=(rng.random(), rng.random(), rng.random()),
        )
        elites.append(Elite(candidate, evaluation))
    return elites


def _ours(elites: list[Elite]) -> tuple[float, int, float]:
    axes = [Axis(name, *LIMITS, CELLS) for name in ("height", "width", "mass")]
    archive = Archive(GridSpace(axes), f_min=0.0)
    start = time.perf_counter()
    for elite in elites:
        archive.add(elite)
    return time.perf_counter() - start, archive.filled, archive.qd_score


def _theirs(elites: list[Elite]) -> tuple[float, int, float]:
    archive = GridArchive(
        solution_dim=(),
        solution_dtype=object,
        dims=[CELLS] * 3,
        ranges=[LIMITS] * 3,
        objective_dtype=np.float64,
        measures_dtype=np.float64,
    )
    plain = [
        (elite.candidate.program, elite.evaluation.fitness, elite.evaluation.descriptor)
        for elite in elites
    ]
    start = time.perf_counter()
    for program, fitness, descriptor in plain:
        archive.add_single(program, fitness, descriptor)  # type: ignore[arg-type]
    elapsed = time.perf_counter() - start
    return elapsed, int(archive.stats.num_elites), float(archive.stats.qd_score)


def measure(count: int, rounds: int) -> dict[str, float | int]:
    """Median rates over rounds in which both take turns, and their ratio.

    Raises:
        RuntimeError: if the two archives end up different.
    """
    times: dict[Callable[[list[Elite]], tuple[float, int, float]], list[float]] = {
        _ours: [],
        _theirs: [],
    }
    for turn in range(rounds):
        elites = _elites(count, seed=turn)
        results = {}
        for side in (_ours, _theirs) if turn % 2 else (_theirs, _ours):
            elapsed, *results[side] = side(elites)
            times[side].append(elapsed)
        (filled, score), (their_filled, their_score) = results[_ours], results[_theirs]
        if filled != their_filled or abs(score - their_score) > 1e-6 * their_score:
            raise RuntimeError(f"archives differ: {results[_ours]} and {results[_theirs]}")
    ours, theirs = (statistics.median(times[side]) for side in (_ours, _theirs))
    return {
        "insertions": count,
        "rounds": rounds,
        "cells": CELLS**3,
        "program_bytes": PROGRAM_BYTES,
        "ours_per_second": round(count / ours),
        "ours_microseconds": round(ours / count * 1e6, 3),
        "ribs_per_second": round(count / theirs),
        "ribs_microseconds": round(theirs / count * 1e6, 3),
        "ratio": round(theirs / ours, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds; asks for ratio 5")
    small = parser.parse_args().small
    result = measure(1_000, 3) if small else measure(10_000, 9)
    required = 5.0 if small else 10.0
    print(json.dumps({"benchmark": "archive", **result, "required": required}))
    return 0 if result["ratio"] >= required else 1


if __name__ == "__main__":
    sys.exit(main())
