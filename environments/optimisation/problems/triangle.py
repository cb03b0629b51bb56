"""ht: 11 points in the unit equilateral triangle, whose smallest triangle is to be large.

The triangle's corners are (0, 0), (1, 0) and (1/2, sqrt(3)/2). The score is the area of the
smallest triangle of three points, over the area of the unit triangle, over 0.0365298899; where
three points lie on a line, or two are the same, it is 0. Repair: all points move towards the
triangle's middle, by the largest factor, a multiple of 2^-60, with which they lie in it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from environments.optimisation import points
from environments.optimisation.circles import ONE
from environments.optimisation.exact import least_triangle, on_a_scale, root3_times_reaches
from environments.optimisation.problems.problem import TOLERANCE, Best, Problem, Score
from environments.optimisation.reading import rows

COUNT = 11
UNIT = 0.0365298899
MIDDLE = (0.5, math.sqrt(3.0) / 6)  # as floats, which are taken for exact

# All on one line: the start scores 0.
BASE = """\
def solve():
    return [[i / 10, 0.0] for i in range(11)]
"""

RINGS = """\
def solve():
    points = []
    for count, radius, start in [(3, 0.5, 0.25), (3, 0.26, 0.1), (5, 0.12, 0.0)]:
        for i in range(count):
            angle = 2 * math.pi * (i / count + start)
            points.append(
                [0.5 + radius * math.cos(angle), math.sqrt(3) / 6 + radius * math.sin(angle)]
            )
    return points
"""


def _within(point: Sequence[int], scale: int, slack: int) -> bool:
    """Whether a point lies in the triangle, or not further from it than the slack."""
    x, y = point
    return (
        y >= -slack
        and root3_times_reaches(x, y - 2 * slack)
        and root3_times_reaches(scale - x, y - 2 * slack)
    )


def _largest_factor(places: list[tuple[int, ...]], middle: tuple[int, ...], scale: int) -> int:
    def fits(factor: int) -> bool:
        moved = (
            tuple(m * ONE + factor * (v - m) for v, m in zip(place, middle, strict=True))
            for place in places
        )
        return all(_within(place, scale * ONE, 0) for place in moved)

    if fits(ONE):
        return ONE
    low, high = 0, ONE  # low fits: the middle lies in the triangle
    while high - low > 1:
        half = (low + high) // 2
        low, high = (half, high) if fits(half) else (low, half)
    return low


def _score(solution: Any) -> Score:
    given = rows(solution, "point", COUNT, "x y")
    (*places, middle), scale = on_a_scale([*given, MIDDLE])
    slack = int(scale * Fraction(TOLERANCE))
    for i, place in enumerate(places):
        if not _within(place, scale, slack):
            raise ValueError(f"point {i} lies outside the triangle: {given[i]}")
    kept = Fraction(_largest_factor(places, middle, scale), ONE)
    area = Fraction(least_triangle(places), 2 * scale * scale)
    share = 4.0 / math.sqrt(3.0)  # one over the area of the unit triangle
    return Score(
        strict=float(area * kept * kept) * share / UNIT,
        tolerant=float(area) * share / UNIT,
        value=float(area) * share,
        exact=kept == 1,
        descriptor=points.descriptor(places, scale),
        metrics={"strict_value": float(area * kept * kept) * share},
    )


def _random_program(rng: random.Random) -> str:
    lines = []
    for _ in range(COUNT):
        u, v = sorted((rng.uniform(0.01, 0.99), rng.uniform(0.01, 0.99)))
        # Weights u, v - u and 1 - v of the corners; rounding down keeps clear of the border.
        lines.append(f"[{(v - u) + (1 - v) / 2:.4f}, {(1 - v) * 0.866:.4f}]")
    places = ",\n        ".join(lines)
    return f"def solve():\n    points = [\n        {places},\n    ]\n{_PULL}"


_PULL = """\
    return [[0.5 + (x - 0.5) * 0.99, 0.2886 + (y - 0.2886) * 0.99] for x, y in points]
"""

HT = Problem(
    statement=(
        "solve() returns 11 points as rows [x, y] in the equilateral triangle with corners (0, 0), "
        "(1, 0) and (0.5, sqrt(3)/2). The larger the smallest triangle that any three of the "
        "points make, the better."
    ),
    score=_score,
    axes=points.axes(COUNT),
    seeds={"base": BASE, "rings": RINGS},
    random_program=_random_program,
    bests=(Best(0.0365298899, "AlphaEvolve (Novikov et al., 2025): share of the area"),),
    shape="points",
)
