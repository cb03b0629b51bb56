"""A result as it came over the wire, held against what a sandbox can send."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from elm.dispatch.quota import one_line
from sandbox.protocol import Evaluation, Result

LEVELS = ("L0", "L1", "L2", "L3")  # from no jail to the strongest


def read_result(result: Result, candidate: int, least_level: str) -> Evaluation:
    """The evaluation of a candidate with its artifact.

    Args:
        result: of a lease for that candidate.
        candidate: whose evaluation it must be.
        least_level: the weakest jail whose verdicts count; "" takes any.

    Raises:
        ValueError: if no sandbox can have sent it; the end of a sentence.
    """
    try:
        evaluation = result.unpack()
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ValueError(f"has an artifact that is not JSON: {error}") from None
    if evaluation.candidate != candidate:
        raise ValueError(f"names candidate {evaluation.candidate}")
    for name, number in _numbers(evaluation):
        if not math.isfinite(number):
            raise ValueError(f"has a {name} of {number}")
    # What comes back untried has been in no jail.
    if evaluation.status.is_final and (
        evaluation.level not in LEVELS or evaluation.level < least_level
    ):
        raise ValueError(
            f"is of level {one_line(evaluation.level, 20) or '?'}, but this run takes "
            f"{least_level} and above"
        )
    return msgspec.structs.replace(evaluation, detail=one_line(evaluation.detail, 300))


def _numbers(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """All of its numbers with their names: JSON has none that is not finite."""
    if evaluation.fitness is not None:
        yield "fitness", evaluation.fitness
    for value in evaluation.descriptor or ():
        yield "descriptor", value
    for values in (evaluation.metrics, evaluation.scores):
        yield from values.items()
    yield "cpu_seconds", evaluation.cpu_seconds
    yield "wall_seconds", evaluation.wall_seconds
    yield "peak_memory_mb", evaluation.peak_memory_mb
