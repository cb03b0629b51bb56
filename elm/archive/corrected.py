"""The corrected archive: what is left of an archive once its luck is taken out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from elm.archive.archive import Archive
from elm.candidate import Elite
from sandbox.protocol import Evaluation, Status

Reevaluate = Callable[[Elite], Sequence[Evaluation]]


def corrected(archive: Archive, fresh: Reevaluate | Mapping[int, Sequence[Evaluation]]) -> Archive:
    """Re-inserts re-evaluated elites into an empty archive of the same shape.

    Where fitness or descriptor are noisy, an archive keeps the programs that were lucky once.
    Here each elite returns with the mean of its fresh evaluations, in the order of candidate ids;
    some cells empty, since their elites move or lose them. An elite that failed even once is left
    out: a program that sometimes fails has no mean fitness.

    Args:
        archive: stays as it is.
        fresh: the new evaluations of an elite, or a mapping of them by candidate id. None of them
            should be the one that earned the elite its place.

    Raises:
        ValueError: if an elite has no fresh evaluation, or one that says ok lacks its numbers.
    """
    result = Archive(
        archive.space, f_min=archive.f_min, depth=archive.depth, out_of_range=archive.policy
    )
    for elite in sorted(archive, key=lambda elite: elite.candidate.id):
        number = elite.candidate.id
        evaluations = fresh.get(number, ()) if isinstance(fresh, Mapping) else fresh(elite)
        if not evaluations:
            raise ValueError(f"candidate {number}: expected fresh evaluations, got none")
        if all(evaluation.status is Status.OK for evaluation in evaluations):
            result.add(msgspec.structs.replace(elite, evaluation=_mean(evaluations)))
    return result


def _mean(evaluations: Sequence[Evaluation]) -> Evaluation:
    fitnesses, descriptors = [], []
    for evaluation in evaluations:
        if evaluation.fitness is None or evaluation.descriptor is None:
            raise ValueError(
                f"candidate {evaluation.candidate}: a fresh evaluation lacks fitness or descriptor"
            )
        fitnesses.append(evaluation.fitness)
        descriptors.append(evaluation.descriptor)
    count = len(evaluations)
    return msgspec.structs.replace(
        evaluations[0],
        fitness=math.fsum(fitnesses) / count,
        descriptor=tuple(math.fsum(axis) / count for axis in zip(*descriptors, strict=True)),
    )
