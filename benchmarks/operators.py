"""What each operator's children are worth: shares that parse, run, are new, and enter the archive.

Each operator gets a small search of its own on Sodarace, from the same seeds and with the same
number of candidates, one block after the other. Shares are of all candidates:

    valid      there is a program, and it parses
    runnable   it ran with status ok (copies of a parent and of earlier programs: as those did)
    novel      its canonical hash is that of no seed and no child before it
    entered    the archive took it: the first of its cell, or better than the one there

    python -m benchmarks.operators [--only NAME ...] [--candidates N] [--model NAME] [--seed N]
                                   [--max-new-tokens N] [--into FILE] [--small]

Prints a table to stderr and JSON. With `--into` each finished operator is kept in that file, and
the same command goes on with those that are missing. After its first block each operator says how
long it will take. Whole walkers take more than the 96 tokens that smollm2 is given by default:
`--max-new-tokens 320` is fair to operators that write whole programs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.generation import model_settings, settings
from benchmarks.search import Bench, Search
from elm.candidate import Program, canonical_hash
from elm.models import build as build_model
from elm.models.base import LanguageModel
from elm.variation import build as build_operator
from environments.sodarace.environment import Sodarace

PLAIN: dict[str, dict[str, Any]] = {"syntax_tree": {}, "random": {}}
"""Operators that ask no model, by what differs from their default settings."""

ASKING: dict[str, dict[str, Any]] = {
    "prompt": {},
    "few_shot": {"name": "prompt", "shape": "few_shot"},
    "chat": {"name": "prompt", "shape": "chat"},
    "crossover": {},
    "rewrite": {},
    "diff": {},
    "diff_elm": {"name": "diff", "layout": "elm"},
}
"""Operators that ask the model."""

COLUMNS = ("valid", "runnable", "novel", "entered")


def parsed(program: Program | None) -> str | None:
    """The canonical hash of a program, None if there is none that parses."""
    if program is None:
        return None
    try:
        return canonical_hash(program)
    except SyntaxError:
        return None


def measure(
    name: str, model: LanguageModel | None, candidates: int, batch: int, seed: int
) -> dict[str, Any]:
    """One operator's search."""
    environment = Sodarace()
    change = (PLAIN | ASKING)[name]
    chosen = settings("variation", change.get("name", name)) | change
    operator = build_operator(chosen, environment, model if name in ASKING else None)
    bench = Bench(environment)
    try:
        search = Search(environment, bench, seed)
        known = {canonical_hash(start.program) for start in environment.seeds()}
        valid = novel = 0
        seconds = 0.0
        for block, start in enumerate(range(0, candidates, batch)):
            orders = search.orders(block, min(batch, candidates - start), operator)
            began = time.perf_counter()
            proposals = operator.propose(orders)
            seconds += time.perf_counter() - began
            search.commit(proposals)
            if block == 0:
                left = seconds * (candidates / len(orders) - 1)
                print(f"{name}: about {left:.0f} s more", file=sys.stderr, flush=True)
            for proposal in proposals:
                mark = parsed(proposal.program)
                valid += mark is not None
                if mark is not None and mark not in known:
                    known.add(mark)
                    novel += 1
    finally:
        bench.close()
    attempts = [attempt for proposal, _ in search.children for attempt in proposal.attempts]
    counts = (valid, search.runnable, novel, search.entered)
    return {
        "candidates": candidates,
        **{key: round(count / candidates, 3) for key, count in zip(COLUMNS, counts, strict=True)},
        "cells": len(search.cells),
        "best_fitness": round(
            max(elite.evaluation.fitness or 0.0 for elite in search.cells.values()), 2
        ),
        "model_calls": len(attempts),
        "tokens_per_candidate": round(sum(a.completion_tokens for a in attempts) / candidates, 1),
        "seconds": round(seconds, 1),
        "statuses": dict(Counter(str(status) for _, status in search.children)),
    }


def table(results: dict[str, Any]) -> str:
    """Results as a table in Markdown."""
    heads = ("operator", *COLUMNS, "cells", "tokens", "seconds")
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for name, row in results.items():
        shares = [f"{100 * row[key]:.1f} %" for key in COLUMNS]
        rest = [str(row[key]) for key in ("cells", "tokens_per_candidate", "seconds")]
        lines.append("| " + " | ".join((name, *shares, *rest)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="32 of each, the stub model, for CI")
    parser.add_argument("--only", nargs="+", choices=[*PLAIN, *ASKING])
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--model", default="smollm2", help="a configuration, a hub id or a folder")
    parser.add_argument("--max-new-tokens", type=int, help="if not what the model's file says")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, help="a JSON file to keep finished operators in")
    given = parser.parse_args()
    if given.small:
        given.model, given.candidates = "stub", 32
    names = given.only or (["syntax_tree", "few_shot"] if given.small else [*PLAIN, *ASKING])
    chosen = model_settings(given.model)
    if given.max_new_tokens:
        chosen["max_new_tokens"] = given.max_new_tokens
    keys = ("model", "max_new_tokens", "candidates", "batch", "seed")
    same = {key: getattr(given, key) for key in keys}
    results: dict[str, Any] = {}
    if given.into is not None and given.into.exists():
        kept = json.loads(given.into.read_text())
        if {key: kept.get(key) for key in same} != same:
            parser.error(f"{given.into} holds results of other settings; choose another file")
        results = kept["results"]
    model = None
    for name in names:
        if name in results:
            continue
        if model is None and name in ASKING:
            model = build_model(chosen)
        results[name] = measure(name, model, given.candidates, given.batch, given.seed)
        if given.into is not None:
            given.into.write_text(json.dumps(same | {"results": results}, indent=1))
    if model is not None:
        model.close()
    results = {name: results[name] for name in names}
    print(table(results), file=sys.stderr)
    print(json.dumps({"benchmark": "operators", **same, "results": results}, indent=1))
    if given.small and "syntax_tree" in results:
        assert results["syntax_tree"]["valid"] == 1.0, "a syntax-tree edit that does not parse"
        assert results["syntax_tree"]["runnable"] >= 0.4, "about every second edit should run"


if __name__ == "__main__":
    main()
