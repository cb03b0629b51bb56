"""Exact arithmetic for planar solutions. A float is a rational; on a common scale, an integer.

Whatever decides whether a solution is valid is compared as integers, so that no rounding has a
say. Where the unit equilateral triangle needs the square root of 3, both sides are squared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import TypeAlias

Point: TypeAlias = tuple[int, int]

LEAST_SCALE = 2**64  # so that a tolerance of 1e-6 is hardly rounded


def on_a_scale(rows: Sequence[Sequence[float | int]]) -> tuple[list[tuple[int, ...]], int]:
    """Rows of numbers as integers n, each worth n / scale exactly.

    Returns:
        The rows, and the scale: a power of two.
    """
    ratios = [[value.as_integer_ratio() for value in row] for row in rows]
    # All denominators of floats are powers of two, so the largest is a multiple of the others.
    scale = max((bottom for row in ratios for _, bottom in row), default=1)
    scale = max(scale, LEAST_SCALE)
    return [tuple(top * (scale // bottom) for top, bottom in row) for row in ratios], scale


def squared_distances(points: Sequence[Sequence[int]]) -> list[int]:
    """Of every pair, in the order of `itertools.combinations`."""
    return [
        sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for p, q in combinations(points, 2)
    ]


def turn(a: Sequence[int], b: Sequence[int], c: Sequence[int]) -> int:
    """Twice the signed area of a triangle: above 0 where it turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def least_triangle(points: Sequence[Sequence[int]]) -> int:
    """Twice the area of the smallest triangle of any three points."""
    return min(abs(turn(*corners)) for corners in combinations(points, 3))


def hull(points: Iterable[Sequence[int]]) -> list[Point]:
    """Corners of the convex hull, counter-clockwise; two or one where all lie on a line."""
    ordered: list[Point] = sorted({(p[0], p[1]) for p in points})
    if len(ordered) < 3:
        return ordered
    return _chain(ordered)[:-1] + _chain(ordered[::-1])[:-1]


def _chain(ordered: list[Point]) -> list[Point]:
    chain: list[Point] = []
    for point in ordered:
        while len(chain) >= 2 and turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def area(polygon: Sequence[Point]) -> int:
    """Twice the area of a polygon whose corners come counter-clockwise."""
    return sum(turn(polygon[0], b, c) for b, c in pairwise(polygon))


def root3_times_reaches(a: int, b: int) -> bool:
    """Whether sqrt(3) * a >= b."""
    if b <= 0:
        return a >= 0 or 3 * a * a <= b * b
    return a >= 0 and 3 * a * a >= b * b
