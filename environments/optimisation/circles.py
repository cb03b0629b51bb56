"""What both circle packings need: exact overlaps, and the factor that shrinks radii to valid ones.

Circles come as integers (x, y, r) on a common scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import isqrt

Circle = Sequence[int]

ONE = 2**60  # factors are integers worth factor / ONE


def overlap(circles: Sequence[Circle], slack: int) -> tuple[int, int] | None:
    """The first two circles that overlap by more than `slack`, if any do."""
    for (i, a), (j, b) in combinations(enumerate(circles), 2):
        reach = a[2] + b[2] - slack
        if reach > 0 and _squared_distance(a, b) < reach * reach:
            return i, j
    return None


def largest_factor(circles: Sequence[Circle]) -> int:
    """The largest factor, at most `ONE`, with which all radii make circles that do not overlap."""
    factor = ONE
    for a, b in combinations(circles, 2):
        reach = a[2] + b[2]
        if reach > 0:
            # (reach * factor / ONE)^2 <= distance^2, solved for factor and rounded down.
            share = isqrt(_squared_distance(a, b) * ONE * ONE // (reach * reach))
            factor = min(factor, share)
    return factor


def distance(a: Circle, b: Circle, scale: int) -> float:
    """Between two centres, in the solution's own units."""
    return isqrt(_squared_distance(a, b)) / scale


def evenness(circles: Sequence[Circle]) -> float:
    """Mean radius over the largest, in [0, 1]; 0 where all radii are 0."""
    radii = [circle[2] for circle in circles]
    return sum(radii) / (len(radii) * max(radii)) if max(radii) else 0.0


def _squared_distance(a: Circle, b: Circle) -> int:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
