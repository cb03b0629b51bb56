"""Scores what a program produced. Runs in a process that no program enters."""

from __future__ import annotations

import itertools
import math
from typing import Any

from environments.artifact import BadArtifact


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness, the least distance of two points, and descriptor, the mean point.

    Believes nothing: the artifact comes from a program that may be hostile.

    Raises:
        BadArtifact: if it is no list of points in the unit square, of the length asked for.
    """
    count = settings["count"]
    if not isinstance(artifact, list) or len(artifact) != count:
        raise BadArtifact(f"expected a list of {count} points")
    for point in artifact:
        if not isinstance(point, list) or len(point) != 2:
            raise BadArtifact("expected points of two numbers")
        for value in point:
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise BadArtifact("expected coordinates from 0 to 1")
    distances = [math.dist(a, b) for a, b in itertools.combinations(artifact, 2)]
    return {
        "fitness": min(distances),
        "descriptor": [math.fsum(xs) / count for xs in zip(*artifact, strict=True)],
        "metrics": {"mean distance": math.fsum(distances) / len(distances)},
    }
