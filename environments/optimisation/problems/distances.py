"""mmd: 16 points in the plane whose smallest distance is to be large beside their largest.

The score is (smallest / largest)^2 * 12.889266112. There is no constraint that could be broken by
rounding, so the strict score is the tolerant one.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from environments.optimisation import points
from environments.optimisation.exact import on_a_scale, squared_distances
from environments.optimisation.problems.problem import Best, Problem, Score
from environments.optimisation.reading import rows

COUNT = 16
UNIT = Fraction("12.889266112")

# Points of a normal distribution that score what the public task's start is reported to: 0.007841.
NORMAL = """\
def solve():
    rng = np.random.default_rng(42)
    return rng.normal(size=(16, 2)).tolist()
"""

GRID = """\
def solve():
    points = []
    for i in range(4):
        for j in range(4):
            points.append([i, j])
    return points
"""

RINGS = """\
def solve():
    points = []
    for count, radius in [(1, 0.0), (5, 0.9), (10, 1.8)]:
        for i in range(count):
            angle = 2 * math.pi * i / count
            points.append([radius * math.cos(angle), radius * math.sin(angle)])
    return points
"""


def _score(solution: Any) -> Score:
    places, scale = on_a_scale(rows(solution, "point", COUNT, "x y"))
    squares = squared_distances(places)
    if min(squares) == 0:
        raise ValueError("two points are the same")
    ratio = Fraction(min(squares), max(squares))
    score = float(ratio * UNIT)
    return Score(
        strict=score,
        tolerant=score,
        value=float(1 / ratio),
        exact=True,
        descriptor=points.descriptor(places, scale),
    )


def _random_program(rng: random.Random) -> str:
    places = ",\n        ".join(
        f"[{rng.uniform(0, 1):.4f}, {rng.uniform(0, 1):.4f}]" for _ in range(COUNT)
    )
    return f"def solve():\n    return [\n        {places},\n    ]\n"


MMD = Problem(
    statement=(
        "solve() returns 16 different points of the plane as rows [x, y]. The smaller the ratio "
        "of the largest to the smallest distance between two of them, the better."
    ),
    score=_score,
    axes=points.axes(COUNT),
    seeds={"normal": NORMAL, "grid": GRID, "rings": RINGS},
    random_program=_random_program,
    bests=(Best(12.889266112, "AlphaEvolve (Novikov et al., 2025): squared ratio"),),
    shape="points",
)
