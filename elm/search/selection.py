"""How likely each elite is to become a parent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from elm.archive import Archive

Weights = Callable[[Archive], Sequence[float]]
"""Given an archive, one positive weight for each of `archive.elites()`."""


def uniform(archive: Archive) -> Sequence[float]:
    """Every elite alike, as in MAP-Elites (Mouret & Clune 2015)."""
    return [1.0] * len(archive)


def offspring(archive: Archive) -> Sequence[float]:
    """The share of an elite's children that entered, (entered + 1) / (tried + 2).

    Laplace's rule of succession: an elite without children has weight 1/2.
    """
    weights = []
    for elite in archive.elites():
        counters = archive.counters(elite.candidate.id)
        weights.append((counters.entered + 1) / (counters.tried + 2))
    return weights


def curiosity(archive: Archive) -> Sequence[float]:
    """One more for each child that entered, half a point less for each that did not.

    The curiosity score of Cully & Demiris, "Quality and Diversity Optimization: A Unifying Modular
    Framework", 2018, started at 1 and never below 0.1, so that nobody is excluded for good.
    """
    weights = []
    for elite in archive.elites():
        counters = archive.counters(elite.candidate.id)
        failed = counters.tried - counters.entered
        weights.append(max(0.1, 1.0 + counters.entered - 0.5 * failed))
    return weights


def fitness_rank(archive: Archive) -> Sequence[float]:
    """Linear in the rank of fitness: 1 for the worst, n for the best; equals share a rank."""
    elites = archive.elites()
    fitnesses = sorted({elite.evaluation.fitness or 0.0 for elite in elites})
    rank = {fitness: position for position, fitness in enumerate(fitnesses, start=1)}
    return [float(rank[elite.evaluation.fitness or 0.0]) for elite in elites]


SELECTIONS: dict[str, Weights] = {
    "uniform": uniform,
    "offspring": offspring,
    "curiosity": curiosity,
    "fitness_rank": fitness_rank,
}
