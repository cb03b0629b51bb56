"""Finds heuristics for online bin packing.

Items come one by one, and each is put into a bin before the next is seen; bins hold items up to
a capacity. For an item, `priority` is given the room that is left in each bin that it fits into,
empty bins among them, and it is put into the one of highest priority. Find a `priority` that uses
few bins.
"""

import hashlib
import math
import random
from typing import Any

import numpy as np

import funsearch

# ("uniform" or "weibull", items, seed), or an instance itself: (capacity, (item, item, ...)).
INPUTS = [("uniform", 250, 1), ("uniform", 250, 2), ("uniform", 250, 3), ("uniform", 250, 4)]
F_MIN = -250  # a bin for each item


def instance(params: tuple) -> tuple[int, tuple[int, ...]]:
    """Capacity and items of an input."""
    if type(params[0]) is int:
        return params
    kind, count, seed = params
    chance = random.Random(seed)
    if kind == "uniform":  # like the instances u120 to u1000 of the OR library
        return 150, tuple(20 + int(81 * chance.random()) for _ in range(count))
    if kind == "weibull":  # shape 3 and scale 45, by the inverse of its distribution
        sizes = (45 * (-math.log(1 - chance.random())) ** (1 / 3) for _ in range(count))
        return 100, tuple(min(100, max(1, round(size))) for size in sizes)
    raise ValueError(f"there are uniform and weibull instances, got {kind!r}")


@funsearch.run
def evaluate(params: tuple) -> dict:
    """Minus the number of bins that `priority` needs for an input, and the bin of each item."""
    capacity, items = instance(params)
    bins = np.full(len(items), capacity)  # the room that is left in each
    places: list[int] = []
    for item in items:
        fitting = np.flatnonzero(bins >= item)
        values = np.asarray(priority(item, bins[fitting]), dtype=float)
        if values.shape != fitting.shape:
            raise ValueError(f"priority returned {values.shape} numbers for {len(fitting)} bins")
        if np.isnan(values).any():
            raise ValueError("priority returned a number that is none (NaN)")
        place = int(fitting[np.argmax(values)])
        bins[place] -= item
        places.append(place)
    mark = hashlib.sha256(repr(places).encode()).hexdigest()[:16]
    return {"score": -len(set(places)), "hash": mark, "solution": places}


@funsearch.evolve
def priority(item: int, bins: np.ndarray) -> np.ndarray:
    """Returns the priority of each bin for an item of size `item`, from the room left in each."""
    left = bins - item
    score = -1.0 * left
    score[left > item] += 0.0
    return score


def check(params: tuple, solution: Any) -> dict[str, float]:
    """Minus the number of bins, and their excess over a lower bound, of a bin for each item.

    That a packing is valid can be seen from it, and not that it was made online.

    Raises:
        ValueError: if a bin holds more than its capacity, or an item is in none.
    """
    capacity, items = instance(params)
    if type(solution) is not list or len(solution) != len(items):
        raise ValueError(f"expected the bins of {len(items)} items")
    load: dict[int, int] = {}
    for place, item in zip(solution, items, strict=True):
        if type(place) is not int or not 0 <= place < len(items):
            raise ValueError(f"expected bins from 0 to {len(items) - 1}")
        load[place] = load.get(place, 0) + item
    if max(load.values()) > capacity:
        raise ValueError(f"a bin of capacity {capacity} holds {max(load.values())}")
    bound = math.ceil(sum(items) / capacity)
    return {"score": -len(load), "excess": len(load) / bound - 1}
