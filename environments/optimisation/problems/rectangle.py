"""rectangle: 21 circles in a rectangle of perimeter 4, the sum of whose radii is to be large.

The rectangle is the smallest around the circles, with sides along the axes, wherever it lies. The
score is the sum over 2.3658321334. Repair: all radii are multiplied by the largest factor, rounded
down to a multiple of 2^-60, with which no two circles overlap; if the perimeter is then still above
4, the whole figure is scaled down to 4.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
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

COUNT = 21
UNIT = Fraction("2.3658321334")

FIT = """\
    width = max(x + r for x, y, r in circles) - min(x - r for x, y, r in circles)
    height = max(y + r for x, y, r in circles) - min(y - r for x, y, r in circles)
    factor = 2 / (width + height) * (1 - 1e-12)
    return [[x * factor, y * factor, r * factor] for x, y, r in circles]
"""

GRID = f"""\
def solve():
    circles = []
    for row in range(3):
        for column in range(7):
            circles.append([2 * column, 2 * row, 1 - 1e-12])
{FIT}"""

ROWS = f"""\
def solve():
    circles = []
    for row, count in enumerate([4, 5, 4, 4, 4]):
        for column in range(count):
            circles.append([2 * column + row % 2, row * math.sqrt(3), 1 - 1e-12])
{FIT}"""


def _sides(circles: Sequence[Circle], factor: int) -> tuple[int, int]:
    """Width and height of the smallest rectangle, times `ONE`, radii multiplied by the factor."""
    spans = []
    for k in (0, 1):
        high = max(c[k] * ONE + c[2] * factor for c in circles)
        low = min(c[k] * ONE - c[2] * factor for c in circles)
        spans.append(high - low)
    return spans[0], spans[1]


def _score(solution: Any) -> Score:
    given = rows(solution, "circle", COUNT, "x y r")
    for i, (_, _, r) in enumerate(given):
        if not r > 0:
            raise ValueError(f"circle {i} has no radius above 0: {r}")
    circles, scale = on_a_scale(given)
    slack = int(scale * Fraction(TOLERANCE))
    if (pair := overlap(circles, slack)) is not None:
        a, b = (circles[k] for k in pair)
        depth = (a[2] + b[2]) / scale - distance(a, b, scale)
        raise ValueError(f"circles {pair[0]} and {pair[1]} overlap by {depth:.3g}")
    width, height = _sides(circles, ONE)
    limit = 2 * scale * ONE
    if 2 * (width + height - limit) > slack * ONE:
        perimeter = 2 * (width + height) / (scale * ONE)
        raise ValueError(f"the perimeter of the rectangle is {perimeter:.9g}, more than 4")
    factor = largest_factor(circles)
    narrowed = sum(_sides(circles, factor))
    kept = Fraction(factor, ONE)
    if narrowed > limit:
        kept *= Fraction(limit, narrowed)
    total = Fraction(sum(c[2] for c in circles), scale)
    return Score(
        strict=float(total * kept / UNIT),
        tolerant=float(total / UNIT),
        value=float(total),
        exact=kept == 1,
        descriptor=(min(width, height) / max(width, height), evenness(circles)),
        metrics={"strict_value": float(total * kept)},
    )


def _random_program(rng: random.Random) -> str:
    columns = rng.randint(3, 11)
    lines = []
    for i in range(COUNT):
        x = 2 * (i % columns) + rng.uniform(-0.5, 0.5)
        y = 2 * (i // columns) + rng.uniform(-0.5, 0.5)
        lines.append(f"[{x:.4f}, {y:.4f}, {rng.uniform(0.2, 0.49):.4f}]")
    places = ",\n        ".join(lines)
    return f"def solve():\n    circles = [\n        {places},\n    ]\n{FIT}"


RECTANGLE = Problem(
    statement=(
        "solve() returns 21 circles as rows [x, y, r], none overlapping another, in a rectangle "
        "with sides along the axes and a perimeter of at most 4. The larger the sum of the radii, "
        "the better."
    ),
    score=_score,
    axes=(
        Dimension("short over long side", 0.0, 1.0, 15),
        Dimension("mean over largest radius", 0.0, 1.0, 20),
    ),
    seeds={"grid": GRID, "rows": ROWS},
    random_program=_random_program,
    bests=(Best(2.3658321334, "AlphaEvolve (Novikov et al., 2025)"),),
    shape="circles",
)
