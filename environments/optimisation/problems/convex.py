"""convex13, convex14: points in any convex region, whose smallest triangle is to be large.

The region is the points' own hull, wherever it lies. The score is the area of the smallest triangle
of three points over the area of the hull, over what AlphaEvolve (2025) found. There is no
constraint that could be broken by rounding, so the strict score is the tolerant one.
"""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial
from typing import Any

from environments.optimisation import points
from environments.optimisation.exact import area, hull, least_triangle, on_a_scale
from environments.optimisation.problems.problem import Best, Problem, Score
from environments.optimisation.reading import rows

FOUND = {13: 0.03093688903489562, 14: 0.02783557145848212}

SPIRAL = """\
def solve():
    points = []
    for i in range({count}):
        angle = 2.399963 * i
        radius = math.sqrt(i + 0.5)
        points.append([radius * math.cos(angle), radius * math.sin(angle)])
    return points
"""

RING = """\
def solve():
    points = []
    for i in range({count}):
        angle = 2 * math.pi * i / {count}
        points.append([math.cos(angle), math.sin(angle)])
    return points
"""


def _score(solution: Any, count: int) -> Score:
    places, scale = on_a_scale(rows(solution, "point", count, "x y"))
    around = area(hull(places))
    if around == 0:
        raise ValueError("all points lie on one line")
    share = Fraction(least_triangle(places), around)
    score = float(share) / FOUND[count]
    return Score(
        strict=score,
        tolerant=score,
        value=float(share),
        exact=True,
        descriptor=points.descriptor(places, scale),
    )


def _random_program(rng: random.Random, count: int) -> str:
    places = ",\n        ".join(
        f"[{rng.uniform(0, 1):.4f}, {rng.uniform(0, 1):.4f}]" for _ in range(count)
    )
    return f"def solve():\n    return [\n        {places},\n    ]\n"


def convex(count: int) -> Problem:
    """The problem for 13 or 14 points."""
    return Problem(
        statement=(
            f"solve() returns {count} points of the plane as rows [x, y]. The larger the smallest "
            "triangle that any three of them make, as a share of the area of the convex hull of "
            "all, the better."
        ),
        score=partial(_score, count=count),
        axes=points.axes(count),
        seeds={"spiral": SPIRAL.format(count=count), "ring": RING.format(count=count)},
        random_program=partial(_random_program, count=count),
        bests=(Best(FOUND[count], "AlphaEvolve (Novikov et al., 2025): share of the area"),),
        shape="points",
    )
