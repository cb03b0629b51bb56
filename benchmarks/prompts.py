"""Which prompt makes the bundled model write programs that run.

A small search on Sodarace for each setting, from the same seeds, with as many completions.
`distinct_runnable` is the share of completions that are new programs with status ok.

    python -m benchmarks.prompts [--blocks N] [--seeds 1 2 3] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

from benchmarks.generation import settings
from benchmarks.search import Bench, Search, run
from elm.models import build
from elm.variation.prompt import PromptOperator
from environments.sodarace.environment import Sodarace

VARIANTS: dict[str, dict[str, Any]] = {
    "few_shot": {"shape": "few_shot"},
    "few_shot, fitness shown": {"shape": "few_shot", "show_fitness": True},
    "chat": {"shape": "chat"},
    "partial": {"shape": "partial"},
    "splice, copies allowed": {"shape": "splice", "copy_penalty": 0.0},
    "splice, not salvaged": {"shape": "splice", "salvage": False},
    "splice, one parent": {"shape": "splice", "parents": 1},
    "splice": {"shape": "splice"},
    "infill": {"shape": "infill"},
    "mixed": {"shape": "mixed"},
}


def measure(model: Any, change: dict[str, Any], blocks: int, size: int, seed: int) -> Any:
    """One search with the default settings and one change."""
    variation = settings("variation", "prompt") | change
    variation.pop("name")
    environment = Sodarace()
    bench = Bench(environment)
    search, seconds = Search(environment, bench, seed), []
    run(search, PromptOperator(environment, model, **variation), blocks, size, seconds.append)
    bench.close()
    count = len(search.children)
    tokens = sum(p.attempts[0].completion_tokens for p, _ in search.children)
    return {
        "seed": seed,
        "completions": count,
        "valid": round(search.valid / count, 3),
        "runnable": round(search.runnable / count, 3),
        "distinct_runnable": round(search.distinct / count, 3),
        "cells_of_children": len(search.written),
        "tokens_per_child": round(tokens / count, 1),
        "seconds": round(sum(seconds), 1),
        "statuses": dict(Counter(str(status) for _, status in search.children)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    chosen = settings("model", "smollm2")
    if given.threads:
        chosen["threads"] = given.threads
    model = build(chosen)
    results: dict[str, list[Any]] = {name: [] for name in given.only}
    for seed in given.seeds:
        for name, done in results.items():
            done.append(measure(model, VARIANTS[name], given.blocks, given.batch, seed))
            print(f"{name}: {json.dumps(done[-1])}", file=sys.stderr)
    best = max(results, key=lambda name: min(r["distinct_runnable"] for r in results[name]))
    print(json.dumps({"benchmark": "prompts", "results": results, "best": best}, indent=1))


if __name__ == "__main__":
    main()
