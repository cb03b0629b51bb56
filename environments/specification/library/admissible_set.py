"""Finds large admissible sets of constant weight.

An admissible set I(n, w) is a set of vectors of length n over {0, 1, 2} with w entries that are
not 0. The places of the zeros of two different ones differ, and any three different ones have a
coordinate where they are, in some order, 0, 0, 1 or 0, 0, 2 or 0, 1, 2. Large ones lead to large
cap sets. Vectors are added one after the other, the highest priority first. Find a `priority` that
makes the set large; it can have n! / (w! (n-w)!) vectors at most.

With the input (n, w, 3) a vector brings all those with it that its blocks of three rotate to.
"""

import hashlib
import itertools
from typing import Any

import numpy as np

import funsearch

INPUTS = [(9, 6, 3), (12, 7, 3)]  # (n, w) or (n, w, 3)

# Blocks of three, one for each way to rotate, that lead to no conflict with their own rotations.
BLOCKS = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 2), (0, 2, 1), (1, 1, 1), (2, 2, 2)]


@funsearch.run
def evaluate(params: tuple[int, ...]) -> dict:
    """The size of the set that `priority` leads to for the input (n, w) or (n, w, 3)."""
    n, w = params[:2]
    rows = in_blocks(n, w) if len(params) == 3 else one_by_one(n, w)
    mark = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()[:16]
    return {"score": len(rows), "hash": mark, "solution": rows}


def ranked(vectors: list, n: int, w: int) -> np.ndarray:
    """The priorities of vectors. A NaN would stand nowhere in their order."""
    values = np.array([float(priority(tuple(vector), n, w)) for vector in vectors])
    if np.isnan(values).any():
        raise ValueError("priority returned a number that is none (NaN)")
    return values


def one_by_one(n: int, w: int) -> list[list[int]]:
    """Adds vectors by themselves. What is left of each support is one row of a table of signs."""
    bits = 1 << np.arange(n - 1, -1, -1)
    places = list(itertools.combinations(range(n), w))[::-1]
    supports = np.array([bits[list(place)].sum() for place in places])  # lexicographic, as masks
    signs = np.array(list(itertools.product((0, 1), repeat=w)))
    twos = np.array([signs @ bits[list(place)] for place in places])  # (supports, 2**w): masks
    whole = supports[:, None] + twos * 0
    vectors = np.where(whole[..., None] & bits, 1 + ((twos[..., None] & bits) > 0), 0)
    vectors = vectors.reshape(-1, n)
    # Of equal priorities the first in lexicographic order comes first.
    order = np.lexsort(vectors.T[::-1])
    values = ranked(vectors[order].tolist(), n, w)
    allowed = np.ones(twos.shape, dtype=bool)
    had: list[int] = []
    had_twos: list[int] = []
    chosen: list[int] = []
    for index in order[np.argsort(-values, kind="stable")].tolist():
        row, column = divmod(index, twos.shape[1])
        if not allowed[row, column]:
            continue
        allowed[row] = False
        one, one_twos = supports[row], twos[row, column]
        two, two_twos = np.array(had, dtype=int)[:, None], np.array(had_twos, dtype=int)[:, None]
        # A third vector is ruled out where each coordinate of the three has no number but 0 that
        # stands alone, and the two numbers of a coordinate with one 0 are equal.
        both = one & two
        alone = (one ^ two ^ supports) & ~(both & supports)
        unequal = both & ~supports & (one_twos ^ two_twos)
        pair, third = np.nonzero((alone | unequal) == 0)
        fixed = (one ^ two[pair, 0])[:, None]
        wanted = (one_twos | two_twos[pair, 0])[:, None] & fixed
        hit, sign = np.nonzero(twos[third] & fixed == wanted)
        allowed[third[hit], sign] = False
        had.append(one)
        had_twos.append(one_twos)
        chosen.append(index)
    return vectors[chosen].tolist()


def in_blocks(n: int, w: int) -> list[list[int]]:
    """Adds vectors together with all rotations of their blocks."""
    if n % 3:
        raise ValueError(f"blocks of three need n divisible by 3, got {n}")
    kinds = np.array(
        [
            kinds
            for kinds in itertools.product(range(len(BLOCKS)), repeat=n // 3)
            if sum(np.count_nonzero(BLOCKS[kind]) for kind in kinds) == w
        ]
    )  # (orbits, n / 3)
    values = ranked([sum((BLOCKS[kind] for kind in row), ()) for row in kinds.tolist()], n, w)
    bad = bad_blocks()
    allowed = np.ones(len(kinds), dtype=bool)
    chosen: list[int] = []
    for index in np.argsort(-values, kind="stable").tolist():
        if not allowed[index]:
            continue
        allowed[index] = False
        chosen.append(index)
        left = np.flatnonzero(allowed)
        had = kinds[chosen]
        conflict = np.ones((len(chosen), len(left)), dtype=bool)
        twice = np.ones(len(left), dtype=bool)  # with two vectors of the new orbit
        for block in range(n // 3):
            new, third = kinds[index, block], kinds[left, block]
            conflict &= bad[new, had[:, block][:, None], third]
            twice &= bad[new, third, third]
        allowed[left[conflict.any(axis=0) | twice]] = False
    return [
        [number for block in blocks for number in block]
        for row in kinds[chosen].tolist()
        for blocks in itertools.product(*(rotations(BLOCKS[kind]) for kind in row))
    ]


def rotations(block: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The different rotations of a block."""
    a, b, c = block
    return sorted({(a, b, c), (c, a, b), (b, c, a)})


def bad_blocks() -> np.ndarray:
    """Which three kinds of blocks some rotation leaves without a coordinate that tells them apart.

    An array of shape (7, 7, 7).
    """
    telling = {(0, 0, 1), (0, 0, 2), (0, 1, 2)}
    return np.array(
        [
            any(
                all(tuple(sorted(column)) not in telling for column in zip(*three, strict=True))
                for three in itertools.product(*map(rotations, blocks))
            )
            for blocks in itertools.product(BLOCKS, repeat=3)
        ]
    ).reshape(7, 7, 7)


@funsearch.evolve
def priority(el: tuple[int, ...], n: int, w: int) -> float:
    """Returns the priority with which the vector `el` is added to the admissible set I(n, w)."""
    score = 0.0
    for i in range(n):
        if el[i] == el[i - 3]:
            score += 0.0
        if el[i] < el[i - 1]:
            score += 0.0
    return score


def check(params: tuple[int, ...], solution: Any) -> int:
    """The size of an admissible set.

    Raises:
        ValueError: if it is none.
    """
    n, w = params[:2]
    if type(solution) is not list:
        raise ValueError("expected a list of vectors")
    for vector in solution:
        if type(vector) is not list or len(vector) != n:
            raise ValueError(f"expected vectors of {n} numbers")
        if any(type(x) is not int or x not in (0, 1, 2) for x in vector):
            raise ValueError("expected the numbers 0, 1 and 2")
        if n - vector.count(0) != w:
            raise ValueError(f"expected vectors with {w} numbers that are not 0")
    table = np.array(solution, dtype=np.int64).reshape(-1, n)
    bits = 1 << np.arange(n)
    full, twos = (table > 0) @ bits, (table == 2) @ bits  # as masks of coordinates
    owner = np.full(1 << n, -1)
    owner[full] = np.arange(len(full))
    if len(set(full.tolist())) != len(full):
        raise ValueError("two vectors have their zeros at the same places")
    # Three have no coordinate with one number that is not 0 only if the third is not 0 wherever
    # one of the first two is, but for as many places of both as the second has beyond the first.
    for i in range(len(full)):
        places = bits[table[i] > 0]
        beyond = ((table > 0) & (table[i] == 0)).sum(axis=1)
        beyond[: i + 1] = 0
        for count in range(1, w // 2 + 1):
            j = np.flatnonzero(beyond == count)[:, None]
            left = np.array([sum(some) for some in itertools.combinations(places, count)])
            third = owner[(full[i] | full[j]) & ~left]
            row, column = np.nonzero((left & ~full[j] == 0) & (third >= 0))
            j, k = j[row, 0], third[row, column]
            unequal = (
                (full[i] & full[j] & ~full[k] & (twos[i] ^ twos[j]))
                | (full[i] & full[k] & ~full[j] & (twos[i] ^ twos[k]))
                | (full[j] & full[k] & ~full[i] & (twos[j] ^ twos[k]))
            )
            if not unequal.all():
                at = np.argmin(unequal != 0)
                three = f"{solution[i]}, {solution[j[at]]} and {solution[k[at]]}"
                raise ValueError(
                    f"{three} have no coordinate that is 0, 0, 1 or 0, 0, 2 or 0, 1, 2"
                )
    return len(solution)
