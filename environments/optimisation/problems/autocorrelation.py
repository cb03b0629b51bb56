"""autocorrelation1, 2, 3: step functions that bound the constants of three inequalities.

A solution is the heights of a step function f on [-1/4, 1/4], of 1 to 2,000 steps as wide as each
other. f*f is its convolution with itself.

    autocorrelation1  f >= 0; max f*f / (integral of f)^2 is to be small
    autocorrelation2  f >= 0; |f*f|_2^2 / (|f*f|_1 |f*f|_inf) is to be large
    autocorrelation3  f of any sign; max f*f / (integral of f)^2 is to be small

f*f is linear between multiples of a step's width, so each value is a rational number, and is
computed as one. The score is the value over the best of AlphaEvolve (2025), or the other way round
where it is to be small. Repair, where f must not be negative: heights below 0, by no more than 1e-6
of the largest, count as 0.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from math import log2
from typing import Any

from environments.optimisation.exact import on_a_scale
from environments.optimisation.problems.problem import TOLERANCE, Best, Dimension, Problem, Score
from environments.optimisation.reading import numbers

MOST = 2000  # steps

CONSTANT = """\
def solve():
    return [1.0] * 50
"""

EDGES = """\
def solve():
    heights = []
    for i in range(50):
        x = (i + 0.5) / 50
        heights.append(1 / math.sqrt(x))
    return heights
"""


def convolution(heights: Sequence[int]) -> list[int]:
    """Of a sequence of n integers with itself: 2n - 1 integers."""
    above = [max(h, 0) for h in heights]
    below = [max(-h, 0) for h in heights]
    if not any(below):
        return _product(above, above)
    terms = zip(_product(above, above), _product(below, below), _product(above, below), strict=True)
    return [a + b - 2 * mixed for a, b, mixed in terms]


def _product(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Product of two polynomials without negative numbers, as one product of long integers."""
    largest = len(a) * max(a) * max(b)
    width = largest.bit_length() // 8 + 1  # bytes that no coefficient of the product outgrows

    def packed(values: Sequence[int]) -> int:
        return int.from_bytes(b"".join(v.to_bytes(width, "little") for v in values), "little")

    count = len(a) + len(b) - 1
    data = (packed(a) * packed(b)).to_bytes(width * (count + 1), "little")
    return [int.from_bytes(data[i * width : (i + 1) * width], "little") for i in range(count)]


def _peak(heights: Sequence[int]) -> Fraction:
    """max f*f / (integral of f)^2, whatever the scale of the heights."""
    total = sum(heights)
    if total == 0:
        raise ValueError("the integral of the step function is 0")
    return Fraction(2 * len(heights) * max(convolution(heights)), total * total)


def _norms(heights: Sequence[int]) -> Fraction:
    """|f*f|_2^2 / (|f*f|_1 |f*f|_inf), whatever the scale and the width of the steps."""
    if not any(heights):
        raise ValueError("the integral of the step function is 0")
    knots = [0, *convolution(heights), 0]
    squares = sum(a * a + a * b + b * b for a, b in pairwise(knots))
    return Fraction(squares, 3 * sum(abs(y) for y in knots) * max(abs(y) for y in knots))


def _score(
    solution: Any,
    measure: Callable[[Sequence[int]], Fraction],
    best: str,
    signed: bool,
    small: bool,
) -> Score:
    given = numbers(solution, "height", least=1, most=MOST)
    (heights,), _ = on_a_scale([given])
    largest = max(abs(h) for h in heights)
    repaired: Sequence[int] = heights
    if not signed:
        for i, height in enumerate(heights):
            if -height > largest * Fraction(TOLERANCE):
                raise ValueError(f"height {i} is below 0: {given[i]}")
        repaired = [max(h, 0) for h in heights]
    exact = list(repaired) == list(heights)
    strict = measure(repaired)
    tolerant = strict if exact else measure(heights)
    unit = Fraction(best)

    def share(value: Fraction) -> float:
        return float(unit / value if small else value / unit)

    return Score(
        strict=share(strict),
        tolerant=share(tolerant),
        value=float(tolerant),
        exact=exact,
        descriptor=(
            log2(len(heights)),
            float(Fraction(sum(abs(h) for h in heights), len(heights) * largest)),
        ),
        metrics={"strict_value": float(strict)},
    )


def _random_program(rng: random.Random) -> str:
    heights = [f"{rng.random() ** 2:.4f}" for _ in range(rng.randint(4, 60))]
    # Never all 0: the first is not.
    heights[0] = f"{rng.uniform(0.5, 2.0):.4f}"
    lines = [", ".join(heights[i : i + 10]) for i in range(0, len(heights), 10)]
    body = ",\n        ".join(lines)
    return f"def solve():\n    return [\n        {body},\n    ]\n"


_RETURNS = "solve() returns the heights of a step function f on [-1/4, 1/4], a list of 1 to 2000 "


def _problem(
    statement: str,
    measure: Callable[[Sequence[int]], Fraction],
    best: str,
    *,
    signed: bool = False,
    small: bool = True,
    others: tuple[Best, ...] = (),
) -> Problem:
    return Problem(
        statement=_RETURNS + statement,
        score=partial(_score, measure=measure, best=best, signed=signed, small=small),
        axes=(
            Dimension("steps, log2", 0.0, 11.0, 11),
            Dimension("mean over largest height", 0.0, 1.0, 20),
        ),
        seeds={"constant": CONSTANT, "edge": EDGES},
        random_program=_random_program,
        bests=(Best(float(best), "AlphaEvolve (Novikov et al., 2025)"), *others),
        shape="steps",
    )


FIRST = _problem(
    "numbers, none below 0. The smaller the largest value of f*f, divided by the square of the "
    "integral of f, the better.",
    _peak,
    "1.5052939684",
    others=(Best(1.5032, "AlphaEvolve, second version (Georgiev et al., 2025)"),),
)
SECOND = _problem(
    "numbers, none below 0. The larger the integral of (f*f)^2, divided by the integral of f*f "
    "and by the largest value of f*f, the better.",
    _norms,
    "0.8962799441",
    small=False,
    others=(Best(0.961, "AlphaEvolve, second version (Georgiev et al., 2025), 50,000 steps"),),
)
THIRD = _problem(
    "numbers of any sign. The smaller the largest value of f*f, divided by the square of the "
    "integral of f, the better.",
    _peak,
    "1.4556427953",
    signed=True,
)
