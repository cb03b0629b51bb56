"""A small search for the benchmarks of models and prompts: one slot, no journal, no fleet."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from elm.build import build_bundle
from elm.candidate import Candidate, Elite, Evaluation, Program, Proposal, Status, canonical_hash
from elm.variation.base import Operator, Order
from environments.base import Environment
from sandbox.protocol import Task
from sandbox.slot import Slot


class Bench:
    """One jailed slot, which executes programs of one environment."""

    def __init__(self, environment: Environment) -> None:
        self._axes = environment.axes
        bundle = build_bundle(environment)
        self._digest = bundle.digest
        self._slot = Slot(bundle)
        self._slot.start()

    def evaluate(self, number: int, program: Program, mark: str) -> Evaluation:
        """What came of a program; `bad_result` also for a descriptor outside of the limits."""
        task = Task(number, self._digest, program.files, int(mark[:15], 16))
        found = self._slot.evaluate(task)
        if found.descriptor is not None and not self._in_range(found.descriptor):
            return msgspec.structs.replace(found, status=Status.BAD_RESULT, detail="out of range")
        return found

    def _in_range(self, descriptor: Sequence[float]) -> bool:
        pairs = zip(descriptor, self._axes, strict=True)
        return all(axis.low <= value <= axis.high for value, axis in pairs)

    def close(self) -> None:
        self._slot.close()


class Search:
    """MAP-Elites over an operator, one block after the other."""

    def __init__(self, environment: Environment, bench: Bench, seed: int) -> None:
        self.environment, self.bench, self.seed = environment, bench, seed
        self.cells: dict[tuple[int, ...], Elite] = {}
        self.written: set[tuple[int, ...]] = set()  # cells that some child of ours was good for
        self.known: set[str] = set()
        self.failures: list[str] = []
        self.children: list[tuple[Proposal, Status | None]] = []
        self.valid = self.runnable = self.distinct = 0
        self.entered = 0  # children that the archive took
        self._next = 0
        for start in environment.seeds():
            self._take(start.program, canonical_hash(start.program))

    def _cell(self, descriptor: Sequence[float]) -> tuple[int, ...]:
        return tuple(
            min(int((value - axis.low) / (axis.high - axis.low) * axis.cells), axis.cells - 1)
            for value, axis in zip(descriptor, self.environment.axes, strict=True)
        )

    def _take(self, program: Program, mark: str) -> Status:
        number, self._next = self._next, self._next + 1
        evaluation = self.bench.evaluate(number, program, mark)
        if evaluation.status is not Status.OK:
            self.failures.append(evaluation.detail)
            return evaluation.status
        if mark in self.known:
            return Status.DUPLICATE
        self.known.add(mark)
        assert evaluation.descriptor is not None and evaluation.fitness is not None
        cell = self._cell(evaluation.descriptor)
        if number >= len(self.environment.seeds()):
            self.written.add(cell)
        holder = self.cells.get(cell)
        if holder is None or evaluation.fitness > (holder.evaluation.fitness or 0.0):
            candidate = Candidate(id=number, block=0, program=program, hash=mark)
            self.cells[cell] = Elite(candidate, evaluation)
            self.entered += number >= len(self.environment.seeds())
        return Status.OK

    def orders(self, block: int, size: int, operator: Any) -> list[Order]:
        """A block's orders: groups of siblings with the same parents, drawn evenly.

        Of the operator it asks `parents` and `siblings`.
        """
        rng = random.Random(f"{self.seed} {block}")
        elites = [self.cells[cell] for cell in sorted(self.cells)]
        orders = []
        siblings = operator.siblings
        for start in range(0, size, siblings):
            parents = tuple(rng.sample(elites, min(operator.parents, len(elites))))
            orders += [
                Order(parents, rng.getrandbits(63)) for _ in range(min(siblings, size - start))
            ]
        return orders

    def commit(self, proposals: Sequence[Proposal]) -> None:
        """Executes the children and lets them into the archive."""
        for proposal in proposals:
            status, program = proposal.status, proposal.program
            if status is None and program is not None:
                self.valid += 1
                status = self._take(program, canonical_hash(program))
                self.runnable += status in (Status.OK, Status.DUPLICATE)
                self.distinct += status is Status.OK
            elif status is Status.NO_CHANGE:
                self.valid += 1
                self.runnable += 1
            self.children.append((proposal, status))


def run(
    search: Search, operator: Operator, blocks: int, size: int, tick: Callable[[float], None]
) -> None:
    """`blocks` blocks of `size` candidates; `tick` is given the seconds of each generation."""
    import time

    for block in range(blocks):
        orders = search.orders(block, size, operator)
        began = time.perf_counter()
        proposals = operator.propose(orders)
        tick(time.perf_counter() - began)
        search.commit(proposals)
