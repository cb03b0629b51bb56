"""cp: 26 circles in the unit square, the sum of whose radii is to be large.

The score is the sum over 2.635. Valid circles lie in the square and do not overlap; touching is
allowed. Repair: all radii are multiplied by the largest factor, rounded down to a multiple of
2^-60, with which they are valid. The centres stay, and must lie in the square.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from environments.optimisation.circles import (
    ONE,
    Circle,
    distance,
    evenness,
    largest_factor,
    overlap,
)
from environments.optimisation.exact import on_a_scale
from environments.optimisation.problems.problem import TOLERANCE, Best, Dimension, Problem, Score
from environments.optimisation.reading import rows

COUNT = 26
UNIT = Fraction("2.635")  # what the public task divides by
NEAR = 0.01  # a circle closer to the border than this lies at it

GROW = """\
    radii = [min(x, y, 1 - x, 1 - y) for x, y in centres]
    for i in range(26):
        for j in range(i + 1, 26):
            distance = math.dist(centres[i], centres[j])
            if radii[i] + radii[j] > distance:
                factor = distance / (radii[i] + radii[j])
                radii[i] *= factor
                radii[j] *= factor
    return [[x, y, r] for (x, y), r in zip(centres, radii)]
"""

# Two rings around a circle in the middle, clipped to the square: the start of the public task.
RINGS = f"""\
def solve():
    centres = [[0.5, 0.5]]
    for i in range(8):
        angle = 2 * math.pi * i / 8
        centres.append([0.5 + 0.3 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)])
    for i in range(16):
        angle = 2 * math.pi * i / 16
        centres.append([0.5 + 0.7 * math.cos(angle), 0.5 + 0.7 * math.sin(angle)])
    centres.append([0.0, 0.0])
    centres = [[min(max(x, 0.01), 0.99), min(max(y, 0.01), 0.99)] for x, y in centres]
{GROW}"""

GRID = f"""\
def solve():
    centres = []
    for row in range(5):
        for column in range(5):
            centres.append([0.1 + 0.2 * column, 0.1 + 0.2 * row])
    centres.append([0.2, 0.2])
{GROW}"""


def _score(solution: Any) -> Score:
    given = rows(solution, "circle", COUNT, "x y r")
    for i, (x, y, r) in enumerate(given):
        if r < 0:
            raise ValueError(f"circle {i} has a radius below 0: {r}")
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"the centre of circle {i} lies outside the square: ({x}, {y})")
    circles, scale = on_a_scale(given)
    slack = int(scale * Fraction(TOLERANCE))
    for i, circle in enumerate(circles):
        if (beyond := circle[2] - _room(circle, scale)) > slack:
            raise ValueError(f"circle {i} is outside the square by {beyond / scale:.3g}")
    if (pair := overlap(circles, slack)) is not None:
        a, b = (circles[k] for k in pair)
        depth = (a[2] + b[2]) / scale - distance(a, b, scale)
        raise ValueError(f"circles {pair[0]} and {pair[1]} overlap by {depth:.3g}")
    factor = largest_factor(circles)
    for circle in circles:
        if circle[2] > 0:
            factor = min(factor, _room(circle, scale) * ONE // circle[2])
    total = Fraction(sum(circle[2] for circle in circles), scale)
    kept = Fraction(factor, ONE)
    near = [_room(c, scale) - c[2] < NEAR * scale for c in circles]
    return Score(
        strict=float(total * kept / UNIT),
        tolerant=float(total / UNIT),
        value=float(total),
        exact=factor == ONE,
        descriptor=(float(sum(near)), evenness(circles)),
        metrics={"strict_value": float(total * kept)},
    )


def _room(circle: Circle, scale: int) -> int:
    """From the centre to the nearest side of the square."""
    x, y = circle[0], circle[1]
    return min(x, y, scale - x, scale - y)


def _random_program(rng: random.Random) -> str:
    places = ",\n        ".join(
        f"[{rng.uniform(0.02, 0.98):.4f}, {rng.uniform(0.02, 0.98):.4f}]" for _ in range(COUNT)
    )
    return f"def solve():\n    centres = [\n        {places},\n    ]\n{GROW}"


CP = Problem(
    statement=(
        "solve() returns 26 circles as rows [x, y, r], in the unit square (0 to 1), none "
        "overlapping another. The larger the sum of the radii, the better."
    ),
    score=_score,
    axes=(
        Dimension("circles at the border", -0.5, 27.5, 14),
        Dimension("mean over largest radius", 0.0, 1.0, 20),
    ),
    seeds={"rings": RINGS, "grid": GRID},
    random_program=_random_program,
    bests=(
        Best(2.6358627564, "AlphaEvolve (Novikov et al., 2025)"),
        Best(2.6359830774, "ThetaEvolve (Wang et al., 2025), valid without tolerance"),
    ),
    shape="circles",
)
