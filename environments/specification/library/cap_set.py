"""Finds large cap sets.

A cap set is a set of vectors of length n over {0, 1, 2} of which no three different ones add up to
zero modulo 3. Vectors are added one after the other, the highest priority first; each one that is
added rules out those that would complete such a sum. Find a `priority` that makes the set large.
"""

import hashlib
import itertools
from typing import Any

import numpy as np

import funsearch

INPUTS = [4, 5, 6]  # n


@funsearch.run
def evaluate(n: int) -> dict:
    """The size of the cap set that `priority` leads to in dimension `n`, and the set itself."""
    vectors = np.array(list(itertools.product((0, 1, 2), repeat=n)))  # (3**n, n)
    powers = 3 ** np.arange(n - 1, -1, -1)  # vectors @ powers is the index of each
    values = np.array([float(priority(tuple(v), n)) for v in vectors.tolist()])
    if np.isnan(values).any():
        raise ValueError("priority returned a number that is none (NaN)")
    allowed = np.ones(len(vectors), dtype=bool)
    chosen: list[int] = []
    # Of equal priorities the first in lexicographic order comes first.
    for index in np.argsort(-values, kind="stable").tolist():
        if allowed[index]:
            allowed[-(vectors[chosen] + vectors[index]) % 3 @ powers] = False
            chosen.append(index)
    solution = vectors[chosen].tolist()
    mark = hashlib.sha256(repr(sorted(chosen)).encode()).hexdigest()[:16]
    return {"score": len(solution), "hash": mark, "solution": solution}


@funsearch.evolve
def priority(el: tuple[int, ...], n: int) -> float:
    """Returns the priority with which the vector `el` of length `n` is added to the cap set."""
    score = 0.0
    for i in range(n):
        if el[i] == 0:
            score += 0.0
        if el[i] == el[i - 1]:
            score += 0.0
    return score


def check(n: int, solution: Any) -> int:
    """The size of a cap set.

    Raises:
        ValueError: if it is none.
    """
    if type(solution) is not list:
        raise ValueError("expected a list of vectors")
    for vector in solution:
        if type(vector) is not list or len(vector) != n:
            raise ValueError(f"expected vectors of {n} numbers")
        if any(type(x) is not int or x not in (0, 1, 2) for x in vector):
            raise ValueError("expected the numbers 0, 1 and 2")
    table = np.array(solution, dtype=np.int64).reshape(-1, n)
    places = 3 ** np.arange(n)
    member = np.zeros(3**n, dtype=bool)
    member[table @ places] = True
    if member.sum() != len(table):
        raise ValueError("a vector occurs twice")
    for row, vector in enumerate(table):
        third = (6 - table[:row] - vector) % 3  # which completes each sum
        found = np.flatnonzero(member[third @ places])
        if len(found):
            three = table[found[0]].tolist(), vector.tolist(), third[found[0]].tolist()
            raise ValueError(f"{three[0]}, {three[1]} and {three[2]} add up to zero")
    return len(solution)
