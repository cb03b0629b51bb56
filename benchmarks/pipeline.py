"""How fast the loop is when neither model nor program costs anything.

A stub model answers at once, programs are trivial, and everything else is real: prompts, local
node with its jailed slots, judge, ZeroMQ, journal, archive.

    python -m benchmarks.pipeline            # 200, 1,000, 3,000 and 10,000 evaluated candidates
    python -m benchmarks.pipeline --small    # a check of ratios for continuous integration

Prints JSON. Exit code 1 where the rate falls with the length of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from typing import Any

import elm


def measure(
    candidates: int, batch_size: int = 32, lookahead: int = 2, **dispatch: Any
) -> dict[str, Any]:
    """One run of so many evaluations; seconds count from the first block to the last commit."""
    with tempfile.TemporaryDirectory() as folder:
        summary = elm.run(
            environment={
                "name": "trivial",
                "_target_": "benchmarks.trivial.environment.Trivial",
            },
            model={"kind": "stub", "name": "stub"},
            variation={"name": "prompt"},
            dispatch={"name": "local", **dispatch},
            budget={"evaluations": candidates},
            batch_size=batch_size,
            lookahead=lookahead,
            run_dir=folder,
            report=False,
            view="none",
        )
    return {
        "evaluations": summary["evaluations"],
        "candidates": summary["candidates"],
        "seconds": summary["wall_seconds"],
        "evaluations_per_second": round(summary["evaluations"] / summary["wall_seconds"], 1),
        "sandbox_level": summary["sandbox_level"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lookahead", type=int, default=2)
    options = parser.parse_args()
    lengths = (300, 1500) if options.small else (200, 1000, 3000, 10000)
    runs = [
        measure(length, options.batch_size, options.lookahead, slots=options.slots)
        for length in lengths
    ]
    short, long = (runs[0], runs[-1]) if options.small else (runs[1], runs[-1])
    ratio = long["evaluations_per_second"] / short["evaluations_per_second"]
    print(
        json.dumps(
            {
                "cpus": len(os.sched_getaffinity(0)),
                "slots": options.slots,
                "runs": runs,
                "rate_of_long_over_short": round(ratio, 3),
            },
            indent=2,
        )
    )
    return 0 if ratio >= (0.6 if options.small else 0.8) else 1


if __name__ == "__main__":
    sys.exit(main())
