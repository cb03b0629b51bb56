"""kissing2, 3, 4, 8, 11: how many balls can touch one of their size in that dimension.

A solution is a list of integer vectors. If no two are nearer to each other than the longest of them
is long, then balls in their directions touch the middle one and do not overlap. The vectors may
have more coordinates than there are dimensions, as long as they span no more: the six of the plane
have no integer coordinates in it, but have three each in space. The score is their number over the
best known. All is exact; there is nothing to tolerate or repair.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations
from math import sqrt
from operator import mul
from typing import Any

from environments.optimisation.problems.problem import Best, Dimension, Problem, Score

KNOWN = {
    2: (6, "proven"),
    3: (12, "proven by Schuette and van der Waerden (1953)"),
    4: (24, "proven by Musin (2008)"),
    8: (240, "proven by Levenshtein, and by Odlyzko and Sloane (1979)"),
    11: (593, "AlphaEvolve (Novikov et al., 2025)"),
}
MOST = 1000  # vectors; no dimension up to 11 has room for more than 868
SPARE = 16  # coordinates beyond the dimension
LARGEST = 10**15  # of a coordinate

AXES = """\
def solve():
    vectors = []
    for i in range({n}):
        for sign in (-1, 1):
            vectors.append([sign if k == i else 0 for k in range({n})])
    return vectors
"""

ROOTS = """\
def solve():
    vectors = []
    for i in range({n}):
        for j in range(i):
            for a in (-1, 1):
                for b in (-1, 1):
                    vectors.append([a if k == i else b if k == j else 0 for k in range({n})])
    return vectors
"""

GREEDY = """\
def solve():
    rng = random.Random({seed})
    vectors = []
    for _ in range({tries}):
        vector = [0] * {n}
        for i in rng.sample(range({n}), {size}):
            vector[i] = rng.choice((-1, 1))
        if all(sum((a - b) ** 2 for a, b in zip(vector, v)) >= {size} for v in vectors):
            vectors.append(vector)
    return vectors
"""


def _read(solution: Any, dimension: int) -> list[list[int]]:
    if type(solution) is not list:
        raise ValueError(f"a solution must be a list of vectors, got {type(solution).__name__}")
    if not 1 <= len(solution) <= MOST:
        raise ValueError(f"there must be 1 to {MOST} vectors, got {len(solution)}")
    width = len(solution[0]) if type(solution[0]) is list else 0
    if not dimension <= width <= dimension + SPARE:
        raise ValueError(
            f"vectors must be lists of {dimension} to {dimension + SPARE} integers, all as long"
        )
    for i, vector in enumerate(solution):
        if type(vector) is not list or len(vector) != width:
            raise ValueError(f"vector {i} must be a list of {width} integers, as vector 0 is")
        for value in vector:
            if type(value) is not int or not -LARGEST <= value <= LARGEST:
                raise ValueError(f"vector {i} must hold integers between {-LARGEST} and {LARGEST}")
    return solution


def _spans_more(vectors: Sequence[Sequence[int]], dimension: int) -> bool:
    basis: list[tuple[int, list[Fraction]]] = []  # by the place of its first number, which is 1
    for vector in vectors:
        rest = [Fraction(value) for value in vector]
        for place, row in basis:
            if factor := rest[place]:
                rest = [a - factor * b for a, b in zip(rest, row, strict=True)]
        place = next((k for k, value in enumerate(rest) if value), -1)
        if place >= 0:
            basis.append((place, [value / rest[place] for value in rest]))
            if len(basis) > dimension:
                return True
    return False


def _score(solution: Any, dimension: int) -> Score:
    vectors = _read(solution, dimension)
    squares = [sum(map(mul, vector, vector)) for vector in vectors]
    if min(squares) == 0:
        raise ValueError(f"vector {squares.index(0)} is zero")
    longest = max(squares)
    lengths = [sqrt(square) for square in squares]
    cosines, touching = 0.0, 0
    for (i, a), (j, b) in combinations(enumerate(vectors), 2):
        product = sum(map(mul, a, b))
        apart = squares[i] + squares[j] - 2 * product
        if apart < longest:
            raise ValueError(
                f"vectors {i} and {j} are too near: squared distance {apart}, "
                f"below the largest squared length {longest}"
            )
        touching += apart == longest
        cosines += abs(product) / (lengths[i] * lengths[j])
    if len(vectors[0]) > dimension and _spans_more(vectors, dimension):
        raise ValueError(f"the vectors span more than {dimension} dimensions")
    every = {tuple(vector) for vector in vectors}
    opposite = sum(tuple(-value for value in vector) in every for vector in vectors)
    count, pairs = len(vectors), len(vectors) * (len(vectors) - 1) // 2
    score = count / KNOWN[dimension][0]
    return Score(
        strict=score,
        tolerant=score,
        value=float(count),
        exact=True,
        descriptor=(opposite / count, min(1.0, cosines / pairs) if pairs else 0.0),
        metrics={"touching_pairs": float(touching)},
    )


def _random_program(rng: random.Random, dimension: int) -> str:
    return GREEDY.format(
        n=dimension, seed=rng.randrange(10**9), tries=200, size=rng.randint(1, min(dimension, 6))
    )


def kissing(dimension: int) -> Problem:
    """The problem in 2, 3, 4, 8 or 11 dimensions."""
    best, credit = KNOWN[dimension]
    return Problem(
        statement=(
            f"solve() returns vectors of at least {dimension} integers each that span at most "
            f"{dimension} dimensions; none is zero, and no two are nearer to each other than the "
            "longest of all is long. The more vectors, the better."
        ),
        score=partial(_score, dimension=dimension),
        axes=(
            Dimension("share with their opposite", 0.0, 1.0, 10),
            Dimension("mean absolute cosine", 0.0, 1.0, 20),
        ),
        seeds={"axes": AXES.format(n=dimension), "roots": ROOTS.format(n=dimension)},
        random_program=partial(_random_program, dimension=dimension),
        bests=(Best(float(best), credit),),
        shape="vectors",
        proven=credit.startswith("proven"),
    )
