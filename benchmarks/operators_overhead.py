"""What the operators themselves cost: prompts, reading of answers, verdicts, near copies.

    python -m benchmarks.operators_overhead [--small]

A model that answers at once writes what a good one would (the parent with one number changed, in
the form that is asked for) about Sodarace walkers, so that nothing is measured but the operator.
Times are processor time, each candidate in the best of some rounds, and beside them what it takes
to parse one walker once. Prints JSON; exit code 1 where an operator that asks a model takes more
than 2 ms (never with --small).
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from elm import candidate
from elm.candidate import Candidate, Elite, Evaluation, Program, Status, canonical_hash
from elm.models import Completion, LanguageModel, Request
from elm.variation import Operator, Order, build, novelty, parsing
from elm.variation.base import Sketch
from elm.variation.novelty import Shingles
from elm.variation.syntax_tree import SyntaxTree
from environments.sodarace.environment import Sodarace

LIMIT_MS = 2.0
CROWD = 500
BATCH = 32  # orders that are made together
SIBLINGS = 8  # children that share their parents, as in a run
KEPT = (candidate._hash, parsing.parsed, novelty._shingles)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_PROGRAM = re.compile(r"```python\n(.*?)\n```", re.DOTALL)


class Ready(LanguageModel):
    """Has its answers ready before the clock starts."""

    name, active_parameters = "ready", {"ready": 0}

    def __init__(self, continues: bool) -> None:
        self.continues = continues
        self._answers: dict[int, Completion] = {}
        self.missed = 0

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        for request in requests:
            if request.seed not in self._answers:
                self.missed += 1
                self._answers[request.seed] = self._answer(request)
        return [self._answers[request.seed] for request in requests]

    def _answer(self, request: Request) -> Completion:
        text = self._text(request)
        end = request.stop(text) if request.stop else None
        return Completion(text=text[:end], prompt_tokens=1, completion_tokens=1)

    def _text(self, request: Request) -> str:
        rng = random.Random(request.seed)
        if not request.messages:
            if request.prompt.endswith("<DFF>"):
                raise RuntimeError("the layout of the diff models is not measured here")
            return _changed(request.avoid, rng, 3) + "\n"
        program = _PROGRAM.findall(request.messages[-1].content)[-1]
        program = program[program.rfind("def make_walker(") :]
        if "<<<<<<< SEARCH" in request.messages[0].content:
            lines = [line for line in program.split("\n") if _NUMBER.search(line)]
            line = rng.choice([line for line in lines if program.count(line) == 1])
            block = f"<<<<<<< SEARCH\n{line}\n=======\n{_changed(line, rng)}\n>>>>>>> REPLACE\n"
            return block.removeprefix(request.prefill)
        code = f"{_changed(program, rng)}\n```\n"
        return code if request.prefill else f"Here is the program:\n\n```python\n{code}"

    def close(self) -> None:
        pass


def _changed(text: str, rng: random.Random, most: int | None = None) -> str:
    """A text with one of its first numbers changed."""
    numbers = list(_NUMBER.finditer(text))[:most]
    if not numbers:
        return text
    chosen = rng.choice(numbers)
    value = f"{float(chosen.group()) + rng.uniform(-3.0, 3.0):.3f}"
    return text[: chosen.start()] + value + text[chosen.end() :]


def population(count: int) -> list[Elite]:
    """Walkers, all different, that mutations made of the seeds."""
    environment = Sodarace()
    mutate, rng = SyntaxTree(environment), random.Random(1)
    elites: list[Elite] = []
    hashes: set[str] = set()
    programs = [seed.program for seed in environment.seeds()]
    while len(elites) < count:
        if not programs:
            order = Order((rng.choice(elites), rng.choice(elites)), rng.getrandbits(60))
            made = mutate.propose([order])[0].program
            programs = [made] if made is not None else []
            continue
        program = programs.pop()
        digest = canonical_hash(program)
        if digest not in hashes:
            hashes.add(digest)
            elites.append(_elite(program, digest, len(elites)))
    return elites


def _elite(program: Program, digest: str, number: int) -> Elite:
    made = Candidate(id=number, block=0, program=program, hash=digest)
    evaluation = Evaluation(
        candidate=number, status=Status.OK, fitness=float(number), descriptor=(1.0, 2.0, 3.0)
    )
    return Elite(made, evaluation)


def _orders(
    operator: Operator, elites: Sequence[Elite], crowd: tuple[Sketch, ...], blocks: int
) -> list[list[Order]]:
    rng, made = random.Random(3), []
    for _ in range(blocks):
        orders: list[Order] = []
        crowd = (
            *crowd[1:],
            *crowd[:1],
        )  # each block comes with another, though most of it is known
        while len(orders) < BATCH:
            parents = tuple(rng.sample(elites, operator.parents))
            seeds = [rng.getrandbits(60) for _ in range(SIBLINGS)]
            orders += [Order(parents, seed, crowd=crowd) for seed in seeds]
        made.append(orders)
    return made


def measure(
    settings: dict[str, Any],
    continues: bool,
    elites: Sequence[Elite],
    crowd: tuple[Sketch, ...],
    blocks: int,
    rounds: int,
) -> dict[str, Any]:
    """One operator, with its answers made before they are timed."""
    model = Ready(continues)
    operator = build(settings, Sodarace(), model)
    asked = _orders(operator, elites, crowd if operator.novelty else (), blocks)
    statuses: Counter[str] = Counter()
    for orders in asked:
        statuses.update(str(made.status or "new") for made in operator.propose(orders))
    every = [order for orders in asked for order in orders]
    missed, best = model.missed, [float("inf")] * len(every)
    for _ in range(rounds):
        for place, order in enumerate(every):
            for known in KEPT:
                known.cache_clear()
            for parent in order.parents:  # which a run has sketched for the crowd
                if operator.novelty and parent.candidate.program:
                    operator.novelty.sketch(parent.candidate.program)
            start = time.process_time()
            operator.propose([order])
            best[place] = min(best[place], time.process_time() - start)
    assert model.missed == missed, "an answer was not ready"
    count = blocks * BATCH
    return {
        "ms_per_candidate": round(1e3 * sum(best) / count, 3),
        "candidates": count,
        "statuses": dict(statuses),
    }


def parse_ms(program: Program) -> float:
    """What it takes to parse a program, where nothing disturbs it."""
    text, best = program.source, float("inf")
    for _ in range(200):
        start = time.process_time()
        ast.parse(text)
        best = min(best, time.process_time() - start)
    return round(1e3 * best, 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a few candidates, no verdict")
    options = parser.parse_args()
    blocks, rounds = (1, 1) if options.small else (1, 12)
    elites = population(64 if options.small else CROWD)
    shingles = Shingles()
    crowd = tuple(shingles.sketch(e.candidate.program) for e in elites if e.candidate.program)
    parts = {"prompt": {}, "diff": {}, "rewrite": {}, "syntax_tree": {}}
    cases: dict[str, tuple[dict[str, Any], bool]] = {}
    for name in ("prompt", "diff", "crossover", "rewrite"):
        cases[name] = ({"name": name}, True)
        cases[f"{name}, conversation"] = ({"name": name}, False)
        cases[f"{name}, novelty"] = ({"name": name, "novelty": 0.999}, True)
    cases["mixed"] = ({"name": "mixed", "operators": parts}, True)
    cases["syntax_tree"] = ({"name": "syntax_tree"}, True)
    results = {
        case: measure(settings, continues, elites, crowd, blocks, rounds)
        for case, (settings, continues) in cases.items()
    }
    asking = {case: r for case, r in results.items() if case not in ("mixed", "syntax_tree")}
    slow = [case for case, r in asking.items() if r["ms_per_candidate"] > LIMIT_MS]
    report = {
        "benchmark": "operators_overhead",
        "crowd": len(crowd),
        "limit_ms": LIMIT_MS,
        "parse_ms": parse_ms(Sodarace().seeds()[0].program),
        "results": results,
        "above_the_limit": slow,
    }
    print(msgspec.json.format(json.dumps(report), indent=1))
    return 1 if slow and not options.small else 0


if __name__ == "__main__":
    sys.exit(main())
