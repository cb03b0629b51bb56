"""Elites made to measure."""

from __future__ import annotations

from collections.abc import Sequence

from elm.candidate import Candidate, Elite, Evaluation, Program, Status


def make_elite(
    number: int,
    fitness: float | None,
    descriptor: Sequence[float] | None,
    text: str | None = None,
    status: Status = Status.OK,
) -> Elite:
    program = Program({"program.py": f"x = {number}\n" if text is None else text})
    return Elite(
        Candidate(id=number, block=0, program=program),
        Evaluation(
            candidate=number,
            status=status,
            fitness=fitness,
            descriptor=None if descriptor is None else tuple(descriptor),
        ),
    )
