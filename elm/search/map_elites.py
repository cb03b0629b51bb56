"""MAP-Elites: parents are drawn from all over the archive."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from elm.archive import Archive
from elm.candidate import Elite
from elm.search.base import Result
from elm.search.selection import SELECTIONS


class MapElites:
    """Illuminates the whole space: every elite can become a parent (Mouret & Clune 2015).

    Remembers nothing: offspring counters live in the archive.

    Args:
        parents: how many the operator wants for each child; distinct elites, as far as there are
            enough of them.
        selection: how likely an elite is to be drawn (`elm.search.selection`).
        siblings: how many consecutive candidates of a block share one draw. Above 1 it lets a
            language model read the same prompt once for several children.
    """

    name: ClassVar[str] = "map_elites"

    def __init__(
        self,
        parents: Annotated[int, Meta(ge=0)],
        selection: Literal["uniform", "offspring", "curiosity", "fitness_rank"] = "uniform",
        siblings: Annotated[int, Meta(ge=1)] = 1,
    ) -> None:
        if parents < 0:
            raise ValueError(f"parents: expected 0 or more, got {parents}")
        if selection not in SELECTIONS:
            raise ValueError(
                f"selection: unknown {selection!r}, known: {', '.join(sorted(SELECTIONS))}"
            )
        if siblings < 1:
            raise ValueError(f"siblings: expected at least 1, got {siblings}")
        self.parents = parents
        self.siblings = siblings
        self._weights = SELECTIONS[selection]

    def ask(self, archive: Archive, count: int, rng: random.Random) -> list[tuple[Elite, ...]]:
        if self.parents == 0:
            return [()] * count
        elites = archive.elites()
        if not elites:
            raise LookupError("the archive is empty: there is no elite to take as a parent")
        weights = self._weights(archive)
        cumulative = list(accumulate(weights))
        drawn: list[tuple[Elite, ...]] = []
        while len(drawn) < count:
            positions = self._draw(weights, cumulative, rng)
            parents = tuple(elites[position] for position in positions)
            drawn.extend([parents] * min(self.siblings, count - len(drawn)))
        return drawn

    def tell(self, result: Result) -> None:
        """Nothing to remember."""

    def _draw(
        self, weights: Sequence[float], cumulative: list[float], rng: random.Random
    ) -> list[int]:
        """Distinct positions, each drawn in proportion to the weights that are left."""
        positions = [_choose(cumulative, rng)]
        left = list(weights) if self.parents > 1 else []
        for _ in range(min(self.parents, len(weights)) - 1):
            left[positions[-1]] = 0.0
            positions.append(_choose(list(accumulate(left)), rng))
        return positions


def _choose(cumulative: list[float], rng: random.Random) -> int:
    return rng.choices(range(len(cumulative)), cum_weights=cumulative)[0]
