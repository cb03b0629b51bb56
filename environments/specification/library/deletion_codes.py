"""Finds large codes that correct deletions.

A code is a set of words of length n over {0, ..., q-1}. It corrects s deletions if no two of its
words can become equal when s symbols are deleted from each. Words are added one after the other,
the highest priority first, and each one that is added rules out those that conflict with it. Find
a `priority` that makes the code large.
"""

import functools
import hashlib
import itertools
from typing import Any

import numpy as np

INPUTS = [(6, 1), (7, 1), (8, 1), (9, 1), (10, 1), (7, 2), (8, 2), (9, 2), (10, 2)]  # (n, s)


def alphabet(params: tuple[int, ...]) -> tuple[int, int, int]:
    """(n, s, q) of an input, whose alphabet has two symbols unless it says otherwise."""
    n, s, q = params if len(params) == 3 else (*params, 2)
    return n, s, q


@functools.cache
def conflict_graph(n: int, s: int, q: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which words conflict: (words, starts, neighbours).

    Word i is `words[i]`, in lexicographic order; its neighbours are, ascending,
    `neighbours[starts[i]:starts[i + 1]]`. Two words conflict if their deletion balls share a word.
    All words of length n - s are a deletion of equally many words, so no pair is compared.
    """
    words = np.array(list(itertools.product(range(q), repeat=n)))  # (q**n, n)
    places = q ** np.arange(n - s - 1, -1, -1)
    kept = itertools.combinations(range(n), n - s)
    shorter = np.stack([words[:, list(keep)] @ places for keep in kept], axis=1)
    pairs = np.unique(shorter * len(words) + np.arange(len(words))[:, None])
    above = (pairs % len(words)).reshape(q ** (n - s), -1)  # the words that shrink to each
    neighbours = []
    for word, ball in enumerate(shorter):
        near = np.zeros(len(words), dtype=bool)
        near[above[ball]] = True
        near[word] = False
        neighbours.append(np.flatnonzero(near).astype(np.int32))
    starts = np.cumsum([0, *map(len, neighbours)])
    graph = words, starts, np.concatenate(neighbours)
    for array in graph:
        array.flags.writeable = False
    return graph


def prepare(params: tuple[int, ...]) -> None:
    """Builds the graph of an input once, for all programs."""
    conflict_graph(*alphabet(params))


def evaluate(params: tuple[int, ...]) -> dict:
    """The size of the code that `priority` leads to for the input (n, s) or (n, s, q)."""
    n, s, q = alphabet(params)
    words, starts, neighbours = conflict_graph(n, s, q)
    degrees = np.diff(starts).tolist()
    values = np.array(
        [
            float(priority(tuple(word), degree, n, s))
            for word, degree in zip(words.tolist(), degrees, strict=True)
        ]
    )
    if np.isnan(values).any():
        raise ValueError("priority returned a number that is none (NaN)")
    allowed = np.ones(len(words), dtype=bool)
    chosen: list[int] = []
    # Of equal priorities the first in lexicographic order comes first.
    for index in np.argsort(-values, kind="stable").tolist():
        if allowed[index]:
            allowed[neighbours[starts[index] : starts[index + 1]]] = False
            chosen.append(index)
    code = words[chosen].tolist()
    mark = hashlib.sha256(repr(sorted(chosen)).encode()).hexdigest()[:16]
    return {"score": len(code), "hash": mark, "solution": code}


def priority(word: tuple[int, ...], degree: int, n: int, s: int) -> float:
    """Returns the priority of a word of length `n` that is in conflict with `degree` others."""
    score = 0.0
    for i in range(n):
        if word[i] == word[i - 1]:
            score += 0.0
        score += 0.0 * word[i]
    return score


def check(params: tuple[int, ...], solution: Any) -> int:
    """The size of a code that corrects s deletions.

    Raises:
        ValueError: if it does not.
    """
    n, s, q = params if len(params) == 3 else (*params, 2)
    if type(solution) is not list:
        raise ValueError("expected a list of words")
    owner: dict[tuple[int, ...], list[int]] = {}
    for word in solution:
        if type(word) is not list or len(word) != n:
            raise ValueError(f"expected words of {n} symbols")
        if any(type(x) is not int or not 0 <= x < q for x in word):
            raise ValueError(f"expected symbols from 0 to {q - 1}")
        for short in set(itertools.combinations(word, n - s)):
            if short in owner:
                raise ValueError(f"{owner[short]} and {word} can both become {list(short)}")
            owner[short] = word
    return len(solution)
