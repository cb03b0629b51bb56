"""What a problem of the environment is made of. Standard library only: judges load it too.

Every score is a share of a best known value, so that 1 means "as good as that". It may be above 1
and is never capped. A solution gets two scores:

    tolerant  as it stands, where no constraint is broken by more than `TOLERANCE`, as the public
              evaluators of these tasks do it
    strict    of an exactly valid solution: the one given, where it is valid in exact arithmetic,
              else the one that its problem's repair makes of it. A repair is deterministic, and
              what it makes is valid, so that breaking a constraint a little never pays.

A solution that breaks a constraint by more than `TOLERANCE` has no score at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Dimension:
    """One axis of behaviour; the fields are those of `environments.base.Axis`."""

    name: str
    low: float
    high: float
    cells: int


@dataclass(frozen=True)
class Best:
    """A value that somebody reached, in the problem's own units."""

    value: float
    credit: str


@dataclass(frozen=True)
class Score:
    """What a solution is worth."""

    strict: float
    tolerant: float
    value: float  # the tolerant one in the problem's own units
    exact: bool  # whether the solution is valid as it stands
    descriptor: tuple[float, ...]
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """One task: what is asked, how an answer is scored, and where a search starts.

    `score` raises ValueError, in one line, for what is no solution. `random_program` writes a
    program whose solution is valid. `seeds` are programs by name; all define `solve()`.
    """

    statement: str
    score: Callable[[Any], Score]
    axes: tuple[Dimension, ...]
    seeds: dict[str, str]
    random_program: Callable[[random.Random], str]
    bests: tuple[Best, ...]
    shape: str  # how a solution is drawn: circles, points, steps, hexagons or vectors
    proven: bool = False  # whether no score above 1 is possible
