"""How long the conflict graph of deletion codes takes, against comparing all pairs of words.

    python -m benchmarks.deletion_graph            # n = 12, s = 2: some ten seconds
    python -m benchmarks.deletion_graph --small    # n = 9, s = 2

The specification `deletion_codes` joins words by what they can shrink to: pairs which share nothing
are never looked at. The definition compares the deletion balls of every two words. Both sides must
find the same conflicts. Seconds are of CPU time. Prints JSON; exit code 1 where the two differ, or
the graph takes longer than is promised.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from environments.specification.library.deletion_codes import conflict_graph

PROMISED = 20.0
PROMISED_SMALL = 5.0  # parts of seconds
MOST_SECONDS = 1.0  # of n = 12, s = 2
FULL, SMALL = (12, 2), (9, 2)
REPEATS = 3


def by_definition(n: int, s: int) -> set[tuple[int, int]]:
    """Pairs of binary words, as positions in lexicographic order, of which some deletions agree."""
    balls = [
        set(itertools.combinations(word, n - s)) for word in itertools.product((0, 1), repeat=n)
    ]
    pairs = itertools.combinations(range(len(balls)), 2)
    return {(a, b) for a, b in pairs if not balls[a].isdisjoint(balls[b])}


def by_shared_balls(n: int, s: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The graph of the specification, built anew."""
    conflict_graph.cache_clear()
    return conflict_graph(n, s, 2)


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - began


def measure(n: int, s: int) -> dict[str, Any]:
    """Seconds of both sides, the best of a few for the fast one, and whether they agree."""
    seconds = min(timed(by_shared_balls, n, s)[1] for _ in range(REPEATS))
    _, starts, neighbours = conflict_graph(n, s, 2)
    expected, slow = timed(by_definition, n, s)
    rows = np.repeat(np.arange(2**n), np.diff(starts))
    upper = rows < neighbours
    found = set(zip(rows[upper].tolist(), neighbours[upper].tolist(), strict=True))
    return {
        "n": n,
        "s": s,
        "edges": len(expected),
        "megabytes": round((starts.nbytes + neighbours.nbytes) / 1e6, 1),
        "seconds": round(seconds, 4),
        "seconds_by_definition": round(slow, 3),
        "ratio": round(slow / seconds, 1),
        "same": found == expected and len(neighbours) == 2 * len(expected),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the conflict graph of deletion codes.")
    parser.add_argument("--small", action="store_true", help="n = 9 instead of 12")
    small = parser.parse_args().small
    promised = PROMISED_SMALL if small else PROMISED
    result = {**measure(*(SMALL if small else FULL)), "promised": promised}
    fast = result["ratio"] >= promised and result["seconds"] < MOST_SECONDS
    result["kept"] = result["same"] and fast
    print(json.dumps(result, indent=2))
    return 0 if result["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
