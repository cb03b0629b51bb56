"""Scores a truth table of four bits against their parity, which it works out by itself."""

from __future__ import annotations

import itertools
from typing import Any

from environments.artifact import BadArtifact

BITS = 4
INPUTS = tuple(itertools.product((0, 1), repeat=BITS))


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness in [0, 1] and descriptor (ones answered, bits that matter) of a truth table.

    Fitness is the share of the 16 answers that are right, and no answer is not right. A bit
    matters if some answer changes with it alone.

    Raises:
        BadArtifact: if it is no list of 16 answers, each 0, 1 or null.
    """
    if type(artifact) is not list or len(artifact) != len(INPUTS):
        raise BadArtifact(f"expected a list of {len(INPUTS)} answers")
    for answer in artifact:
        if answer is not None and (type(answer) is not int or answer not in (0, 1)):
            raise BadArtifact(f"an answer must be 0, 1 or null, got {type(answer).__name__}")
    right = sum(answer == sum(bits) % 2 for bits, answer in zip(INPUTS, artifact, strict=True))
    return {
        "fitness": right / len(INPUTS),
        "descriptor": [float(artifact.count(1)), float(_sensitive(artifact))],
        "metrics": {"answered": float(len(INPUTS) - artifact.count(None))},
    }


def _sensitive(answers: list[int | None]) -> int:
    """How many of the four bits change some answer."""
    return sum(
        any(answers[i] != answers[i ^ (1 << bit)] for i in range(len(INPUTS)))
        for bit in range(BITS)
    )
