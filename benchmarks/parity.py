"""How many bugs one mutation repairs: the 4-parity test of the ELM paper.

The program `parity` has the first 1 to 5 of the five bugs of `environments.parity.bugs`. Each
mutation starts from it anew, and counts as a repair if the child answers all 16 inputs right.
`valid` is the share of children that parse. Children run in a jailed slot; copies of one child
run once.

    python -m benchmarks.parity [--bugs 1 2 3 4 5] [--operators NAME ...] [--model NAME]
                                [--mutations N] [--edits N] [--seed N] [--small]
                                [--max-new-tokens N]

`--mutations` is per number of bugs and operator that asks the model, `--edits` per one that asks
none. Prints a table to stderr, and JSON, with the standard error of each share.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.generation import model_settings, settings
from benchmarks.search import Bench
from elm.candidate import Candidate, Elite, Program, Status, canonical_hash
from elm.models import build as build_model
from elm.models.base import LanguageModel
from elm.variation import build as build_operator
from elm.variation.base import Operator, Order
from environments.parity.bugs import MOST, with_bugs
from environments.parity.environment import FILE, Parity

EDITS: dict[str, dict[str, Any]] = {
    "syntax_tree": {},
    "one_edit": {"name": "syntax_tree", "more": 0.0, "novelty": 0.0, "crossover": False},
}
"""Operators that ask no model, by what differs from their default settings."""

ASKING: dict[str, dict[str, Any]] = {
    "few_shot": {"name": "prompt", "shape": "few_shot", "parents": 1},
    "chat": {"name": "prompt", "shape": "chat", "parents": 1},
    "prompt": {"parents": 1},
    "rewrite": {},
    "diff": {},
    "diff_elm": {"name": "diff", "layout": "elm"},
}
"""Operators that ask the model."""

PAPER = {
    "source": "Lehman et al., Evolution through Large Models (2022), shares read off its chart",
    "genetic programming": {"1": 0.0046, "2": 0.00066, "3": 0.00015, "4": 0.00004, "5": 0.0},
    "diff model, 300M": {"1": 0.086, "2": 0.15, "3": 0.12, "4": 0.29, "5": 0.0073},
}


class Trial:
    """One number of bugs: the broken program as a parent, and what children of it were worth."""

    def __init__(self, bench: Bench, bugs: int) -> None:
        self._bench, self.bugs = bench, bugs
        self._known: dict[str, bool] = {}
        program = Program({FILE: with_bugs(bugs)})
        mark = canonical_hash(program)
        evaluation = bench.evaluate(0, program, mark)
        assert evaluation.status is Status.OK and (evaluation.fitness == 1.0) == (bugs == 0)
        self.parent = Elite(Candidate(id=0, block=0, program=program, hash=mark), evaluation)

    def is_fixed(self, program: Program) -> bool:
        """Whether a child is right on all inputs."""
        mark = canonical_hash(program)
        if mark not in self._known:
            found = self._bench.evaluate(len(self._known) + 1, program, mark)
            self._known[mark] = found.status is Status.OK and found.fitness == 1.0
        return self._known[mark]

    def measure(self, operator: Operator, count: int, seed: int, batch: int) -> dict[str, Any]:
        """Makes `count` children and looks at each."""
        rng = random.Random(f"{seed} {self.bugs}")
        fixed = valid = tokens = 0
        statuses: dict[str, int] = {}
        seconds = 0.0
        for start in range(0, count, batch):
            size = min(batch, count - start)
            orders = [Order((self.parent,), rng.getrandbits(63)) for _ in range(size)]
            began = time.perf_counter()
            proposals = operator.propose(orders)
            seconds += time.perf_counter() - began
            for proposal in proposals:
                tokens += sum(attempt.completion_tokens for attempt in proposal.attempts)
                if proposal.status is None and proposal.program is not None:
                    valid += 1
                    fixed += self.is_fixed(proposal.program)
                else:
                    valid += proposal.status is Status.NO_CHANGE
                    status = str(proposal.status)
                    statuses[status] = statuses.get(status, 0) + 1
        share = fixed / count
        return {
            "bugs": self.bugs,
            "mutations": count,
            "fixed": fixed,
            "share": round(share, 6),
            "standard_error": round(math.sqrt(share * (1 - share) / count), 6),
            "valid": round(valid / count, 3),
            "different": len(self._known),
            "statuses": statuses,
            "tokens": tokens,
            "seconds": round(seconds, 1),
        }


def measure(
    names: Sequence[str], bugs: Sequence[int], model: LanguageModel | None, counts: tuple[int, int],
    seed: int,
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """By operator, a row for each number of bugs. `counts`: mutations with and without a model."""
    environment = Parity()
    bench = Bench(environment)
    table: dict[str, list[dict[str, Any]]] = {}
    try:
        assert not Trial(bench, 0).bugs  # the right program is right, or nothing below means much
        for name in names:
            change = (EDITS | ASKING)[name]
            chosen = settings("variation", change.get("name", name)) | change
            operator = build_operator(chosen, environment, model if name in ASKING else None)
            count, batch = (counts[0], 32) if name in ASKING else (counts[1], 1000)
            for number in bugs:
                row = Trial(bench, number).measure(operator, count, seed, batch)
                table.setdefault(name, []).append(row)
                print(line(name, row), file=sys.stderr, flush=True)
    finally:
        bench.close()
    return table


def line(name: str, row: dict[str, Any]) -> str:
    """A row of the table as text."""
    return (
        f"{name:12} {row['bugs']} bugs: {100 * row['share']:7.3f} % fixed "
        f"+- {100 * row['standard_error']:.3f}, {100 * row['valid']:5.1f} % valid, "
        f"{row['mutations']} mutations in {row['seconds']} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few edits, the stub model, for CI")
    parser.add_argument("--mutations", type=int, default=256, help="of operators that ask a model")
    parser.add_argument("--edits", type=int, default=10_000, help="of operators that ask none")
    parser.add_argument("--bugs", type=int, nargs="+", choices=range(1, MOST + 1))
    parser.add_argument("--operators", nargs="+", choices=[*EDITS, *ASKING])
    parser.add_argument("--model", default="smollm2", help="a configuration, a hub id or a folder")
    parser.add_argument("--max-new-tokens", type=int, help="if not what the model's file says")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.small:
        given.model = "stub"
    chosen = model_settings(given.model)
    if given.max_new_tokens:
        chosen["max_new_tokens"] = given.max_new_tokens
    names = given.operators or (["one_edit", "few_shot"] if given.small else [*EDITS, *ASKING])
    bugs = given.bugs or ([1] if given.small else list(range(1, MOST + 1)))
    counts = (32, 1500) if given.small else (given.mutations, given.edits)
    asks = any(name in ASKING for name in names)
    model = build_model(chosen) if asks else None
    try:
        table = measure(names, bugs, model, counts, given.seed)
    finally:
        if model is not None:
            model.close()
    result = {
        "benchmark": "parity",
        "model": given.model if asks else None,
        "seed": given.seed,
        "table": table,
        "paper": PAPER,
    }
    print(json.dumps(result, indent=1))
    if given.small:
        shares = [row["share"] for row in table.get("one_edit", [])]
        assert all(share > 0 for share in shares), "no edit of very many repairs one bug"


if __name__ == "__main__":
    main()
