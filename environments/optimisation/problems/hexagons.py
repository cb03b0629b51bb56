"""hexagons11, hexagons12: unit hexagons in a regular hexagon whose side is to be short.

A solution is {"hexagons": [[x, y, degrees], ...], "outer": [x, y, degrees, side]}; degrees say
where a hexagon's first corner points to. Two hexagons are apart if, along a normal of a side of
one of them, their middles are further apart than both reach together.

Sines have no exact values: all is computed with 60 digits. Hexagons shrunk around their middles to
the largest factor f with which they are apart and inside are a packing of unit hexagons into one of
side / f. Where f, less 1e-40 for rounding, is at least 1, the solution is valid as it stands. Else
side / f is the repair, and the strict score is that of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from functools import partial
from itertools import combinations
from typing import Any

from environments.optimisation.problems.problem import TOLERANCE, Best, Dimension, Problem, Score
from environments.optimisation.reading import numbers, rows

FOUND = {
    1: (1.0, "itself"),
    7: (2.886751345948129, "the honeycomb: 5 / sqrt(3)"),
    11: (3.930092, "AlphaEvolve (Novikov et al., 2025)"),
    12: (3.9419123, "AlphaEvolve (Novikov et al., 2025)"),
}
DIGITS = 60
GUARD = Decimal("1e-40")  # more than all rounding errors together
SLACK = Decimal(TOLERANCE)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628")

Vector = tuple[Decimal, Decimal]

HONEYCOMB = """\
def solve():
    cells = []
    for i in range(-3, 4):
        for j in range(-3, 4):
            x, y = 1.5 * i, math.sqrt(3) * (j + i / 2)
            cells.append([x * x + y * y, x, y])
    cells.sort()
    hexagons = [[x * 1.000001, y * 1.000001, 0.0] for _, x, y in cells[:{n}]]
    reach = 0.0
    for x, y, _ in hexagons:
        for k in range(6):
            angle = math.pi * ({turn} / 180 + k / 3 + 1 / 6)
            reach = max(reach, x * math.cos(angle) + y * math.sin(angle) + {half})
    side = reach * 2 / math.sqrt(3) + 0.000001
    return {{"hexagons": hexagons, "outer": [0.0, 0.0, {turn}, side]}}
"""

SCATTERED = """\
def solve():
    hexagons = [
        {rows},
    ]
    reach = max(math.hypot(x, y) for x, y, _ in hexagons) + 1
    return {{"hexagons": hexagons, "outer": [0.0, 0.0, {turn}, reach * 1.1548]}}
"""


def _score(solution: Any, count: int) -> Score:
    if type(solution) is not dict or set(solution) != {"hexagons", "outer"}:
        raise ValueError('a solution must be {"hexagons": [...], "outer": [x, y, degrees, side]}')
    given = rows(solution["hexagons"], "hexagon", count, "x y degrees")
    outer = numbers(solution["outer"], "number of the outer hexagon", least=4, most=4)
    if not outer[3] > 0:
        raise ValueError(f"the side of the outer hexagon must be above 0, got {outer[3]}")
    with localcontext() as context:
        context.prec = DIGITS
        factor = min(Decimal(1), _largest_factor(given, outer) - GUARD)
        kept = float(factor)
        exact = factor >= 1
    side = float(outer[3])
    turns = [min((row[2] - outer[2]) % 60, (outer[2] - row[2]) % 60) / 30 for row in given]
    away = [((row[0] - outer[0]) ** 2 + (row[1] - outer[1]) ** 2) ** 0.5 / side for row in given]
    return Score(
        strict=FOUND[count][0] * kept / side,
        tolerant=FOUND[count][0] / side,
        value=side,
        exact=exact,
        descriptor=(sum(turns) / count, min(1.0, sum(away) / count)),
        metrics={"strict_value": side / kept},
    )


def _largest_factor(
    given: Sequence[Sequence[float | int]], outer: Sequence[float | int]
) -> Decimal:
    """The largest factor by which unit hexagons may be scaled around their middles.

    Raises:
        ValueError: if unit hexagons overlap, or are outside, by more than the tolerance.
    """
    half = Decimal(3).sqrt() / 2  # from the middle of a unit hexagon to its sides
    middles = [(Decimal(x), Decimal(y)) for x, y, _ in given]
    corners = [list(_directions(row[2], 0)) for row in given]
    normals = [list(_directions(row[2], 30)) for row in given]
    factor = Decimal(2)
    home = (Decimal(outer[0]), Decimal(outer[1]))
    wall = Decimal(outer[3]) * half
    for i, middle in enumerate(middles):
        away = _minus(middle, home)
        for normal in _directions(outer[2], 30):
            room = wall - abs(_dot(away, normal))
            reach = _reach(corners[i], normal)
            if reach - room > SLACK:
                raise ValueError(f"hexagon {i} is outside by {reach - room:.3g}")
            factor = min(factor, room / reach)
    for i, j in combinations(range(len(given)), 2):
        away = _minus(middles[i], middles[j])
        gap, share = Decimal("-Infinity"), Decimal(0)
        for normal in (*normals[i], *normals[j]):
            apart = abs(_dot(away, normal))
            reach = _reach(corners[i], normal) + _reach(corners[j], normal)
            gap, share = max(gap, apart - reach), max(share, apart / reach)
        if -gap > SLACK:
            raise ValueError(f"hexagons {i} and {j} overlap by {-gap:.3g}")
        factor = min(factor, share)
    return factor


def _directions(degrees: float | int, offset: int) -> Iterator[Vector]:
    """Three unit vectors 60 degrees apart; a hexagon's others are opposite to them."""
    for k in range(3):
        yield _unit((Decimal(degrees) + offset + 60 * k) % 360)


def _unit(degrees: Decimal) -> Vector:
    """Cosine and sine, from their series."""
    x = degrees * PI / 180
    sums = [Decimal(1), Decimal(0)]
    term, k = Decimal(1), 0
    while k < 12 or abs(term) > Decimal(10) ** -DIGITS:
        k += 1
        term = term * x / k
        sums[k % 2] += -term if k % 4 >= 2 else term
    return sums[0], sums[1]


def _reach(corners: Sequence[Vector], normal: Vector) -> Decimal:
    return max(abs(_dot(corner, normal)) for corner in corners)


def _dot(a: Vector, b: Vector) -> Decimal:
    return a[0] * b[0] + a[1] * b[1]


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1]


def _random_program(rng: random.Random, count: int) -> str:
    step = rng.uniform(2.01, 2.6)
    x0, y0 = rng.uniform(-1.0, 1.0), rng.uniform(-1.0, 1.0)
    places = [
        (step * (i + (j % 2) / 2) - x0, step * 0.8661 * j - y0)
        for i in range(-4, 5)
        for j in range(-4, 5)
    ]
    places.sort(key=lambda place: place[0] ** 2 + place[1] ** 2)
    lines = [f"[{x:.4f}, {y:.4f}, {rng.uniform(0.0, 60.0):.2f}]" for x, y in places[:count]]
    return SCATTERED.format(rows=",\n        ".join(lines), turn=round(rng.uniform(0.0, 60.0), 2))


def hexagons(count: int) -> Problem:
    """The problem for 11 or 12 hexagons; 1 and 7 are there to be checked against."""
    best, credit = FOUND[count]
    return Problem(
        statement=(
            f"solve() packs {count} regular hexagons of side 1 into a regular hexagon, none "
            'overlapping another, and returns {"hexagons": [[x, y, degrees], ...], '
            '"outer": [x, y, degrees, side]}. The shorter the outer side, the better.'
        ),
        score=partial(_score, count=count),
        axes=(
            Dimension("mean turn against the outer hexagon", 0.0, 1.0, 10),
            Dimension("mean distance from the middle, in sides", 0.0, 1.0, 20),
        ),
        seeds={
            "honeycomb": HONEYCOMB.format(n=count, turn=0.0, half="math.sqrt(3) / 2"),
            "turned": HONEYCOMB.format(n=count, turn=30.0, half="1.0"),
        },
        random_program=partial(_random_program, count=count),
        bests=(Best(best, credit),),
        shape="hexagons",
    )
