"""Genomes that are vectors of numbers: one JSON list in one file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from elm.candidate import Elite, Program, Proposal, Status
from environments.base import Environment

FILE = "vector.json"


def bounds_of(environment: Environment) -> tuple[float, float] | None:
    """The limits of every coordinate, where an environment has the attribute `bounds`.

    Raises:
        ValueError: if they are not two finite numbers, the lower first.
    """
    bounds = getattr(environment, "bounds", None)
    if bounds is None:
        return None
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"environment {environment.name!r}: expected finite bounds, low first, got {bounds}"
        )
    return float(low), float(high)


def read(elite: Elite) -> list[float]:
    """The vector of an elite.

    Raises:
        ValueError: if it has none, with the reason in one line.
    """
    program = elite.candidate.program
    if program is None or FILE not in program.files:
        raise ValueError(f"the parent has no {FILE}")
    try:
        vector = json.loads(program.files[FILE])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"parent's {FILE}: {error}") from None
    if not isinstance(vector, list) or not vector or not all(map(_is_number, vector)):
        raise ValueError(f"parent's {FILE}: expected a list of finite numbers")
    return [float(x) for x in vector]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def vary(
    parents: Sequence[Elite],
    change: Callable[[list[list[float]]], list[float]],
    bounds: tuple[float, float] | None,
) -> Proposal:
    """The proposal that `change` makes of the parents' vectors, clipped to the bounds.

    Parents after the first that are no vectors of its length are left out.
    """
    if not parents:
        return Proposal(program=None, status=Status.NO_CHANGE, detail="there is no parent")
    try:
        vectors = [read(parents[0])]
    except ValueError as error:
        return Proposal(program=None, status=Status.SYNTAX_ERROR, detail=str(error))
    for other in parents[1:]:
        try:
            vector = read(other)
        except ValueError:
            continue
        if len(vector) == len(vectors[0]):
            vectors.append(vector)
    child = change(vectors)
    if bounds is not None:
        child = [min(max(x, bounds[0]), bounds[1]) for x in child]
    if not all(map(math.isfinite, child)):
        return Proposal(
            program=None, status=Status.NO_CHANGE, detail="the step left the range of numbers"
        )
    if child == vectors[0]:
        return Proposal(program=None, status=Status.NO_CHANGE, detail="the step was too small")
    return Proposal(program=Program({FILE: json.dumps(child) + "\n"}))
