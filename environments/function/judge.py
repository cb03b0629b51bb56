"""Scores a vector on a test function.

Fitness is normalised as in Fontaine et al. (2020): 100 at the optimum, 0 at the worst value of the
domain. The descriptor is theirs too: the means of the vector's two halves, in which a coordinate v
outside [-1, 1] counts as 1/v, so that the archive's far cells cannot be had by walking out of the
domain. The function itself sees such a coordinate at the domain's edge.
"""

from __future__ import annotations

import math
from typing import Any

from environments.artifact import BadArtifact
from environments.function.functions import evaluate
from environments.function.genome import read_vector


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness in [0, 100], descriptor (two means in [-1, 1]) and the function's value.

    Raises:
        BadArtifact: if it is no vector of the right length.
    """
    try:
        vector = read_vector(artifact, settings["dimensions"])
    except ValueError as error:
        raise BadArtifact(str(error)) from None
    value, regret = evaluate(settings["function"], [max(-1.0, min(1.0, v)) for v in vector])
    folded = [v if abs(v) <= 1.0 else 1.0 / v for v in vector]
    half = len(folded) // 2
    return {
        "fitness": 100.0 * (1.0 - regret),
        "descriptor": [_mean(folded[:half]), _mean(folded[half:])],
        "metrics": {"value": value},
    }


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
