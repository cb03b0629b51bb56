"""The loop that joins archive, search, operator, sandboxes and journal.

Work comes in blocks. The parents of a block are drawn from the archive as it stands after a fixed
number of earlier blocks, and results enter the archive in the order of candidates, so that the
archive is a function of the seed alone: not of the number of sandboxes, not of who was faster, not
of interruptions. A resumed run is the same loop, with the journal answering for what it knows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from elm.archive import Archive
from elm.assembly import Assembly, Made, Plan
from elm.budget import Budget, Spent
from elm.candidate import (
    Attempt,
    Candidate,
    Evaluation,
    Program,
    Proposal,
)
from elm.dispatch.base import Dispatcher
from elm.journal import Block, Commit, Journal
from elm.models.base import LanguageModel
from elm.progress import Observer, Progress
from elm.register import Register, commit, sound, task_seed
from elm.sampler.base import Samplers
from elm.sampler.local import LocalSampler
from elm.search.base import Strategy
from elm.seeding import derive
from elm.shares import Shares
from elm.variation.base import Operator, Order
from sandbox.protocol import Task

_POLL_SECONDS = 0.01  # how long a block that was just made may wait to be noticed


class RunError(Exception):
    """The run cannot start or go on; the message says why and what to do, in one line."""


class Ending(StrEnum):
    """Why a run ended."""

    EVALUATIONS = "budget.evaluations"
    MODEL_CALLS = "budget.model_calls"
    TOKENS = "budget.tokens"
    SECONDS = "budget.seconds"
    COST = "budget.cost"
    FITNESS = "budget.fitness"
    STALLED = "budget.stall_blocks"
    INTERRUPTED = "interrupted"


class _OpenBlock:
    """A block that is in the journal and not yet in the archive."""

    def __init__(
        self,
        block: Block,
        candidates: Sequence[Candidate],
        attempts: Mapping[int, Sequence[Attempt]],
    ) -> None:
        self.block = block
        self.candidates = candidates
        self.attempts = attempts
        self.evaluations: dict[int, Evaluation] = {}
        self.waiting = {c.id for c in candidates if c.status is None}


class Pipeline:
    """One run, from its first block or from where its journal ends. Used once, by one thread."""

    def __init__(
        self,
        *,
        seeds: Sequence[Program],
        archive: Archive,
        strategy: Strategy,
        operator: Operator,
        dispatcher: Dispatcher,
        journal: Journal,
        bundle: str,
        budget: Budget,
        seed: int,
        batch_size: int,
        lookahead: int,
        order: Literal["committed", "arrival"] = "committed",
        model: LanguageModel | None = None,
        samplers: Callable[[Callable[[], float]], Samplers] | None = None,
        observer: Observer | None = None,
    ) -> None:
        """
        Args:
            seeds: the programs of block 0.
            archive: empty; it becomes the fold of the journal.
            dispatcher: started.
            journal: new, or of an earlier part of the same run.
            bundle: digest of the environment's bundle.
            batch_size: candidates in a block.
            lookahead: blocks that may be under way while the next one's parents are drawn; 0 is
                the classic synchronous loop.
            order: "committed" takes blocks in the order of their numbers, "arrival" as they are
                complete, which nobody can repeat.
            model: the operator's, if it asks one.
            samplers: makes those who make the blocks, given the run's clock; None: threads here.
        """
        self.archive = archive
        self.spent = Spent(model.active_parameters if model is not None else {})
        self._seeds = seeds
        self._strategy = strategy
        self._operator = operator
        self._dispatcher = dispatcher
        self._journal = journal
        self._bundle = bundle
        self._budget = budget
        self._seed = seed
        self._in_order = order == "committed"
        self._unit = model.unit if model is not None else None
        lanes = model.lanes if model is not None else 1
        self._open_samplers = samplers or (lambda clock: LocalSampler(operator, clock, lanes))
        self._shares = Shares(operator, model)
        self._register = Register(operator)
        self._batch_size = batch_size
        self._lookahead = lookahead
        self._observer = observer
        self._known_commits = {commit.block: commit for commit in journal.commits()}
        self._elapsed_before = max(
            [c.elapsed for c in self._known_commits.values()] + [b.ended for b in journal.blocks()],
            default=0.0,
        )
        self._began = time.monotonic()
        self._planned: dict[int, int] = {}  # candidates by block, until it is committed
        self._next_block = 0
        self._next_id = 0
        self._committed = 0
        self._to_repeat = list(self._known_commits)  # in the order in which they were written
        self._open: dict[int, _OpenBlock] = {}
        self._block_of: dict[int, int] = {}  # of candidates whose evaluation is awaited
        self._stalled = 0
        self._generation: tuple[float, float] | None = None  # first start, last end
        self._generated = 0.0  # seconds within it in which at least one block was being made
        self._stopping = False
        self._ending: Ending | None = None
        self._samplers: Samplers | None = None
        self._assembly: Assembly | None = None
        self._last_update = 0.0

    def clock(self) -> float:
        """Seconds that the run has taken, stops between resumes left out."""
        return self._elapsed_before + time.monotonic() - self._began

    def stop(self) -> None:
        """Asks the run to end when the blocks that are being made are in the archive."""
        self._stopping = True

    @property
    def busy_fraction(self) -> float:
        """Time in which a block was being made over wall time, from the first to the last."""
        if self._generation is None:
            return 0.0
        first, last = self._generation
        return min(1.0, self._generated / (last - first)) if last > first else 0.0

    @property
    def makers(self) -> dict[str, int]:
        """How many parts of blocks each sampler has made in this life of the run."""
        return dict(self._assembly.makers) if self._assembly is not None else {}

    @property
    def shares(self) -> dict[str, Any]:
        """What became of the children of each operator and model."""
        return self._shares.summary()

    def run(self) -> Ending:
        """Runs until the budget ends or `stop` was called.

        Raises:
            RunError: if no seed can be evaluated.
            JournalError: if the journal cannot be written. What it holds stays good.
        """
        self._samplers = self._open_samplers(self.clock)
        self._assembly = Assembly(
            self._samplers, self._journal, self._unit, in_order=self._in_order
        )
        try:
            self._plan()
            while self._planned:
                if self._stopping:
                    self._withdraw()
                for made in self._assembly.made():
                    self._planned_to_open(made)
                self._note(self._samplers.notices(), "samplers")
                self._receive()
                while self._commit_next():
                    self._plan()
                self._report()
            self._report(force=True)
            if self._ending is None or (self._stopping and self._affordable()[0]):
                return Ending.INTERRUPTED
            return self._ending
        finally:
            self._samplers.close()

    # -- planning ----------------------------------------------------------------------------

    def _plan(self) -> None:
        """Plans every block that may be planned in this state of the archive.

        Called after each commit, so that when a block is planned depends on nothing but the
        archive and the sizes of the blocks under way.
        """
        while not self._stopping or self._journal.block(self._next_block) is not None:
            number = self._next_block
            if self._committed < min(number, max(1, number - self._lookahead)):
                return
            known = self._journal.block(number)
            if known is not None:
                self._reopen(known)
                continue
            size, ending = self._affordable()
            if number == 0:
                size = min(size, len(self._seeds))
            later = self._journal.first_id_after(number)
            if later is not None:  # written before this one, which was under way then
                size = later - self._next_id
            if size == 0:
                self._ending = ending
                return
            self._begin(number, min(size, self._batch_size) if number else size)

    def _affordable(self) -> tuple[int, Ending | None]:
        """How many more candidates the budget surely pays for, and what limits them."""
        budget, spent = self._budget, self.spent
        under_way = sum(self._planned.values())
        if budget.tokens is not None and spent.tokens >= budget.tokens:
            return 0, Ending.TOKENS
        if budget.cost is not None and spent.cost >= budget.cost:
            return 0, Ending.COST
        if budget.seconds is not None and self.clock() >= budget.seconds:
            return 0, Ending.SECONDS
        best = self.archive.best
        if budget.fitness is not None and best is not None:
            assert best.evaluation.fitness is not None
            if best.evaluation.fitness >= budget.fitness:
                return 0, Ending.FITNESS
        if self._stalled >= budget.stall_blocks:
            return 0, Ending.STALLED
        size, ending = max(self._batch_size, len(self._seeds)), None
        if budget.evaluations is not None:
            left = budget.evaluations - spent.evaluations - under_way
            if left < size:
                size, ending = max(left, 0), Ending.EVALUATIONS
        if budget.model_calls is not None and self._operator.calls:
            # Each child under way may still take as many calls as a child can.
            left = (budget.model_calls - spent.model_calls) // self._operator.calls - under_way
            if left < size:
                size, ending = max(left, 0), Ending.MODEL_CALLS
        return size, ending

    def _begin(self, number: int, size: int) -> None:
        first_id = self._next_id
        self._next_block += 1
        self._next_id += size
        self._planned[number] = size
        if number == 0:
            now = self.clock()
            orders = (Order((), 0),) * size
            proposals = tuple(Proposal(program=program) for program in self._seeds[:size])
            self._planned_to_open(Made(Plan(0, 0, 0, orders), proposals, now, now))
            return
        if self._operator.parents and not self.archive:
            raise RunError(self._why_no_seed_worked())
        rng = random.Random(derive(self._seed, number))
        parents = self._strategy.ask(self.archive, size, rng)
        seeds = [derive(self._seed, number, index) for index in range(size)]
        orders = self._shares.orders(self.archive, parents, seeds, derive(self._seed, number))
        assert self._assembly is not None
        self._assembly.submit(Plan(number, self._committed, first_id, orders))

    def _why_no_seed_worked(self) -> str:
        reasons = [
            f"{e.status}: {e.detail}" if e.detail else str(e.status)
            for e in self._journal.evaluations(0)
        ]
        refused = f"{self.archive.out_of_range} out of the archive's range"
        return (
            f"no seed of the environment could enter the archive ({'; '.join([*reasons, refused])})"
        )

    def _withdraw(self) -> None:
        """Forgets plans that nobody has begun: a resumed run plans them again, the same way."""
        assert self._assembly is not None
        for plan in self._assembly.withdraw():
            del self._planned[plan.number]
            self._next_block = min(self._next_block, plan.number)

    # -- from plan to evaluation -------------------------------------------------------------

    def _planned_to_open(self, made: Made) -> None:
        """Writes a block that was made, then hands its programs to the sandboxes."""
        plan = made.plan
        block = Block(plan.number, plan.seen, made.started, made.ended)
        candidates = [
            self._register.enter(plan.first_id + index, plan.number, order, proposal)
            for index, (order, proposal) in enumerate(zip(plan.orders, made.proposals, strict=True))
        ]
        attempts = {
            plan.first_id + index: proposal.attempts
            for index, proposal in enumerate(made.proposals)
            if proposal.attempts
        }
        self._journal.write_block(block, candidates, attempts)
        self._open_block(_OpenBlock(block, candidates, attempts))

    def _reopen(self, block: Block) -> None:
        """Takes a block from the journal, instead of making it again."""
        candidates = list(self._journal.candidates(block.number))
        attempts: dict[int, list[Attempt]] = {}
        for identity, attempt in self._journal.attempts(block.number):
            attempts.setdefault(identity, []).append(attempt)
        self._next_block = block.number + 1
        self._next_id = candidates[-1].id + 1
        self._planned[block.number] = len(candidates)
        for candidate in candidates:
            self._register.recall(candidate)
        opened = _OpenBlock(block, candidates, attempts)
        for evaluation in self._journal.evaluations(block.number):
            opened.evaluations[evaluation.candidate] = evaluation
            opened.waiting.discard(evaluation.candidate)
        self._open_block(opened)

    def _open_block(self, opened: _OpenBlock) -> None:
        self._open[opened.block.number] = opened
        tasks = []
        for candidate in opened.candidates:
            if candidate.id in opened.waiting:
                assert candidate.program is not None
                self._block_of[candidate.id] = opened.block.number
                seed = task_seed(candidate)
                tasks.append(Task(candidate.id, self._bundle, candidate.program.files, seed))
        self._dispatcher.submit(tasks)

    def _receive(self) -> None:
        """Writes what sandboxes report; only then may they forget it."""
        wait = 0.0 if self._next_complete() is not None else _POLL_SECONDS
        dimensions = self.archive.space.dimensions
        evaluations = [sound(e, dimensions) for e in self._dispatcher.results(wait)]
        if evaluations:
            self._journal.write_evaluations(evaluations)
            self._dispatcher.acknowledge(e.candidate for e in evaluations)
        for evaluation in evaluations:
            opened = self._open[self._block_of.pop(evaluation.candidate)]
            opened.evaluations[evaluation.candidate] = evaluation
            opened.waiting.discard(evaluation.candidate)
        self._note(self._dispatcher.notices(), "fleet")

    def _note(self, messages: Sequence[str], kind: str) -> None:
        for message in messages:
            self._journal.write_event(kind, message)
            if self._observer is not None:
                self._observer.notice(message)

    # -- from evaluation to archive ----------------------------------------------------------

    def _next_complete(self) -> int | None:
        """The block that the archive takes next, if all of it is there."""
        if self._in_order or self._to_repeat:
            number = self._committed if self._in_order else self._to_repeat[0]
            opened = self._open.get(number)
            return number if opened is not None and not opened.waiting else None
        complete = [number for number, opened in self._open.items() if not opened.waiting]
        return min(complete, default=None)

    def _commit_next(self) -> bool:
        """Takes the next block into the archive, if all of it is there."""
        number = self._next_complete()
        if number is None:
            return False
        opened = self._open.pop(number)
        if self._to_repeat and self._to_repeat[0] == number:
            del self._to_repeat[0]
        for candidate in opened.candidates:
            evaluation = opened.evaluations.get(candidate.id)
            attempts = opened.attempts.get(candidate.id, ())
            self.spent.add(candidate, evaluation, attempts)
            commit(candidate, evaluation, attempts, self.archive, self._strategy, self._shares)
        self._count_generation(opened)
        self._stalled = 0 if opened.evaluations or number == 0 else self._stalled + 1
        self._committed += 1
        del self._planned[number]
        if number not in self._known_commits:
            self._journal.write_commit(Commit(number, self.clock(), self.metrics()))
        return True

    def _count_generation(self, opened: _OpenBlock) -> None:
        if not opened.attempts:
            return
        block = opened.block
        self.spent.generation_seconds += block.ended - block.started
        first, last = self._generation or (block.started, block.started)
        self._generated += max(0.0, block.ended - max(block.started, last))
        self._generation = (first, max(last, block.ended))

    # -- what others see ---------------------------------------------------------------------

    def metrics(self) -> dict[str, Any]:
        """Counters and archive metrics as of the last committed block."""
        best = self.archive.best
        return {
            **self.spent.metrics(),
            "cells": self.archive.filled,
            "coverage": self.archive.coverage,
            "qd_score": self.archive.qd_score,
            "out_of_range": self.archive.out_of_range,
            "same_behaviour": self.archive.same_behaviour,
            "best_fitness": None if best is None else best.evaluation.fitness,
            "best_candidate": None if best is None else best.candidate.id,
        }

    def _report(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._observer is None or (now - self._last_update < 0.25 and not force):
            return
        self._last_update = now
        self._observer.update(
            Progress(
                elapsed=self.clock(),
                metrics=self.metrics(),
                budget=self._budget,
                level=self._dispatcher.level,
                slots=self._dispatcher.slots,
                busy_fraction=self.busy_fraction,
                in_flight=sum(self._planned.values()),
                stopping=self._stopping,
            )
        )
