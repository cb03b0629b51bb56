"""Behaviour of a set of points in the plane: how many lie on its hull, and how spread they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from environments.optimisation.exact import hull
from environments.optimisation.problems.problem import Dimension


def axes(count: int) -> tuple[Dimension, ...]:
    """The two axes for sets of `count` points."""
    return (
        Dimension("points on the hull", 0.5, count + 0.5, count),
        Dimension("mean over largest distance from the middle", 0.0, 1.0, 20),
    )


def descriptor(points: Sequence[tuple[int, ...]], scale: int) -> tuple[float, float]:
    """Corners of the hull, and mean over largest distance from the mean point, in [0, 1]."""
    places = [(x / scale, y / scale) for x, y in points]
    middle = tuple(math.fsum(values) / len(places) for values in zip(*places, strict=True))
    away = [math.dist(place, middle) for place in places]
    spread = min(1.0, math.fsum(away) / (len(away) * max(away))) if max(away) else 0.0
    return float(len(hull(points))), spread
