"""Finds large independent sets in strong powers of cycles.

Vertices are vectors of length n over {0, ..., m-1}. Two different ones are adjacent if in every
coordinate they are equal or neighbours on a cycle of m nodes. The size of the largest set without
adjacent vertices bounds the Shannon capacity of the cycle from below. Vertices are added one after
the other, the highest priority first. Find a `priority` that makes the set large.
"""

import hashlib
import itertools
from typing import Any

import numpy as np

import funsearch

INPUTS = [(7, 3), (9, 3), (7, 4)]  # (m, n)


@funsearch.run
def evaluate(params: tuple[int, int]) -> dict:
    """The size of the set that `priority` leads to in the `n`-th power of a cycle of `m` nodes."""
    m, n = params
    vertices = np.array(list(itertools.product(range(m), repeat=n)))  # (m**n, n)
    powers = m ** np.arange(n - 1, -1, -1)  # vertices @ powers is the index of each
    around = np.array(list(itertools.product((-1, 0, 1), repeat=n)))
    values = np.array([float(priority(tuple(v), m, n)) for v in vertices.tolist()])
    if np.isnan(values).any():
        raise ValueError("priority returned a number that is none (NaN)")
    allowed = np.ones(len(vertices), dtype=bool)
    chosen: list[int] = []
    # Of equal priorities the first in lexicographic order comes first.
    for index in np.argsort(-values, kind="stable").tolist():
        if allowed[index]:
            allowed[(vertices[index] + around) % m @ powers] = False
            chosen.append(index)
    solution = vertices[chosen].tolist()
    mark = hashlib.sha256(repr(sorted(chosen)).encode()).hexdigest()[:16]
    return {"score": len(solution), "hash": mark, "solution": solution}


@funsearch.evolve
def priority(el: tuple[int, ...], m: int, n: int) -> float:
    """Returns the priority with which the vertex `el` is added to the set."""
    score = 0.0
    for i in range(n):
        score += 0.0 * el[i] * el[i - 1] % m
    return score


def check(params: tuple[int, int], solution: Any) -> int:
    """The size of an independent set.

    Raises:
        ValueError: if it is none.
    """
    m, n = params
    if type(solution) is not list:
        raise ValueError("expected a list of vertices")
    for vertex in solution:
        if type(vertex) is not list or len(vertex) != n:
            raise ValueError(f"expected vertices of {n} numbers")
        if any(type(x) is not int or not 0 <= x < m for x in vertex):
            raise ValueError(f"expected numbers from 0 to {m - 1}")
    table = np.array(solution, dtype=np.int64).reshape(-1, n)
    for row, vertex in enumerate(table):
        apart = np.abs(table[:row] - vertex)
        close = ((apart <= 1) | (apart == m - 1)).all(axis=1)
        if close.any():
            other = table[:row][close][0]
            raise ValueError(f"{other.tolist()} and {vertex.tolist()} are adjacent or equal")
    return len(solution)
