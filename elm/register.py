"""What a proposal becomes, and what an evaluation is worth, before the archive sees either.

Shared by all who run a search: the pipeline, and loops of somebody else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from elm.archive import Archive, Insertion
from elm.candidate import (
    Attempt,
    Candidate,
    Elite,
    Evaluation,
    Proposal,
    Status,
    canonical_hash,
)
from elm.search.base import Result, Strategy
from elm.shares import Shares
from elm.variation.base import Operator, Order


class Register:
    """Gives candidates their ids, and their verdict where no sandbox is needed for it.

    The lowest candidate id owns a canonical hash; whoever proposes the program again is a
    duplicate of it.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._owners: dict[str, int] = {}  # canonical hash to the lowest candidate id

    def recall(self, candidate: Candidate) -> None:
        """Takes over what an earlier part of the run had registered."""
        if candidate.status is None:
            self._owners.setdefault(candidate.hash, candidate.id)

    def enter(self, identity: int, block: int, order: Order, proposal: Proposal) -> Candidate:
        """The candidate of one proposal; block 0 holds the seeds."""
        program, status, detail = proposal.program, proposal.status, proposal.detail
        digest, duplicate_of = "", None
        if status is None and program is None:
            raise RuntimeError(f"operator {self._operator.name!r} gave neither program nor status")
        if program is not None:
            try:
                digest = canonical_hash(program)
            except SyntaxError as error:
                status, detail = status or Status.SYNTAX_ERROR, detail or str(error.msg)
        if status is None:
            if any(digest == parent.candidate.hash for parent in order.parents):
                status = Status.NO_CHANGE
            elif digest in self._owners:
                status, duplicate_of = Status.DUPLICATE, self._owners[digest]
            else:
                self._owners[digest] = identity
        return Candidate(
            id=identity,
            block=block,
            program=program,
            hash=digest,
            parents=tuple(parent.candidate.id for parent in order.parents),
            operator=(proposal.operator or self._operator.name) if block else "seed",
            model=self._author(proposal) if block else "",
            seed=order.seed,
            status=status,
            duplicate_of=duplicate_of,
            detail=detail,
        )

    def _author(self, proposal: Proposal) -> str:
        """The model that wrote it; "" where an operator asked none."""
        if proposal.model or not proposal.operator:
            return proposal.model or self._operator.model_name
        return self._operator.model_name if proposal.attempts else ""


def task_seed(candidate: Candidate) -> int:
    """What `random` and numpy start from in the program's process: a function of the program."""
    return int(candidate.hash[:15], 16)


def sound(evaluation: Evaluation, dimensions: int) -> Evaluation:
    """An evaluation that an archive can take. A judge that gives no fitness, or a descriptor of the
    wrong length, is a defect of the environment, which must not end the run.
    """
    if evaluation.status is not Status.OK:
        return evaluation
    found = evaluation.descriptor
    if evaluation.fitness is None or not math.isfinite(evaluation.fitness):
        detail = f"fitness: the judge gave {evaluation.fitness}, expected a finite number"
    elif found is None or len(found) != dimensions or not all(map(math.isfinite, found)):
        detail = f"descriptor: the judge gave {found}, expected {dimensions} finite numbers"
    else:
        return evaluation
    return msgspec.structs.replace(
        evaluation, status=Status.JUDGE_ERROR, detail=detail, fitness=None, descriptor=None
    )


def commit(
    candidate: Candidate,
    evaluation: Evaluation | None,
    attempts: Sequence[Attempt],
    archive: Archive,
    strategy: Strategy,
    shares: Shares,
) -> Insertion | None:
    """Offers a finished candidate to the archive, and tells those who learn from it."""
    insertion = None
    if evaluation is not None and evaluation.status is Status.OK:
        insertion = archive.add(Elite(candidate, evaluation))
    entered = insertion is not None and insertion.entered
    archive.record_offspring(candidate.parents, entered)
    strategy.tell(Result(candidate, evaluation, insertion))
    shares.tell(candidate, evaluation, attempts, entered=entered)
    return insertion
