"""Classic test functions of numeric optimisation, to be minimised; each is 0 at its optimum.

Vectors come scaled to [-1, 1]; `bound` maps them to the function's usual domain. As in Fontaine et
al. ("Covariance Matrix Adaptation for the Rapid Illumination of Behavior Space", 2020), optima
that would lie at the origin are moved to 0.4 of the bound, so that no search finds them by
starting in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SHIFT = 0.4  # of the bound, in every dimension


@dataclass(frozen=True)
class Landscape:
    """A function over [-bound, bound]^n.

    `value` takes a vector in those units, already moved; `worst(n)` is never exceeded in the
    domain, so that 0 is the least fitness.
    """

    bound: float
    shift: float  # where the optimum goes, as a share of the bound; 0 leaves it where it is
    value: Callable[[Sequence[float]], float]
    worst: Callable[[int], float]
    root: float = 1.0  # the power of value/worst that grows about as fast as the distance


def evaluate(name: str, vector: Sequence[float]) -> tuple[float, float]:
    """Value of a function at a vector in [-1, 1]^n, and its regret there.

    The regret is 0 at the optimum and 1 at the worst of the domain.

    Raises:
        KeyError: if there is no such function.
    """
    function = FUNCTIONS[name]
    point = [(v - function.shift) * function.bound for v in vector]
    value = function.value(point)
    # The optimum's own rounding may come out a hair below 0.
    share = max(0.0, min(1.0, value / function.worst(len(point))))
    return value, share**function.root


def _sphere(x: Sequence[float]) -> float:
    return math.fsum(v * v for v in x)


def _rastrigin(x: Sequence[float]) -> float:
    return math.fsum(v * v - 10.0 * math.cos(2.0 * math.pi * v) + 10.0 for v in x)


def _rosenbrock(x: Sequence[float]) -> float:
    return math.fsum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x))


def _ackley(x: Sequence[float]) -> float:
    spread = math.sqrt(_sphere(x) / len(x))
    ripple = math.fsum(math.cos(2.0 * math.pi * v) for v in x) / len(x)
    return -20.0 * math.exp(-0.2 * spread) - math.exp(ripple) + 20.0 + math.e


def _griewank(x: Sequence[float]) -> float:
    ripple = math.prod(math.cos(v / math.sqrt(i)) for i, v in enumerate(x, 1))
    return 1.0 + _sphere(x) / 4000.0 - ripple


def _schwefel(x: Sequence[float]) -> float:
    return math.fsum(418.9828872724338 - v * math.sin(math.sqrt(abs(v))) for v in x)


_FAR = 1.0 + SHIFT  # the furthest that the domain's edge is from a moved optimum

FUNCTIONS = {
    "sphere": Landscape(5.12, SHIFT, _sphere, lambda n: n * (_FAR * 5.12) ** 2),
    "rastrigin": Landscape(5.12, SHIFT, _rastrigin, lambda n: n * ((_FAR * 5.12) ** 2 + 20.0)),
    # At its worst in the corner where every coordinate is -2.048.
    # Of fourth degree: without the root everything but the corners would score above 99.
    "rosenbrock": Landscape(2.048, 0.0, _rosenbrock, lambda n: _rosenbrock([-2.048] * n), 0.25),
    "ackley": Landscape(32.768, SHIFT, _ackley, lambda n: 20.0 + math.e - 1.0 / math.e),
    "griewank": Landscape(
        600.0, SHIFT, _griewank, lambda n: 2.0 + n * (_FAR * 600.0) ** 2 / 4000.0
    ),
    "schwefel": Landscape(500.0, 0.0, _schwefel, lambda n: n * 2.0 * 418.9828872724338),
}
