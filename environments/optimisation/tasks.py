"""The tasks of the environment by name."""

from __future__ import annotations

from collections.abc import Mapping

from environments.optimisation.problems.autocorrelation import FIRST, SECOND, THIRD
from environments.optimisation.problems.convex import convex
from environments.optimisation.problems.distances import MMD
from environments.optimisation.problems.hexagons import hexagons
from environments.optimisation.problems.kissing import kissing
from environments.optimisation.problems.problem import Problem
from environments.optimisation.problems.rectangle import RECTANGLE
from environments.optimisation.problems.square import CP
from environments.optimisation.problems.triangle import HT

TASKS: Mapping[str, Problem] = {
    "cp": CP,
    "mmd": MMD,
    "ht": HT,
    "rectangle": RECTANGLE,
    "convex13": convex(13),
    "convex14": convex(14),
    "kissing2": kissing(2),
    "kissing3": kissing(3),
    "kissing4": kissing(4),
    "kissing8": kissing(8),
    "kissing11": kissing(11),
    "autocorrelation1": FIRST,
    "autocorrelation2": SECOND,
    "autocorrelation3": THIRD,
    "hexagons11": hexagons(11),
    "hexagons12": hexagons(12),
}
