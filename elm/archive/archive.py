"""The archive: the best programs of every cell of behaviour."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Literal

from elm.archive.insertion import Counters, Insertion, Outcome
from elm.archive.space import Space
from elm.candidate import Elite
from sandbox.protocol import Status

OutOfRange = Literal["reject", "clip"]
Behaviours = Literal["any", "once"]


class Archive:
    """Sparse cells of at most `depth` elites each, ranked best first. Fitness is maximised.

    A cell that has room takes every elite; a full one takes only an elite that is strictly better
    than its last, which then falls out: ties keep the incumbent. Within a cell elites are ordered
    by fitness, then by candidate id. With `depth=1` this is MAP-Elites (Mouret & Clune 2015).

    The archive is a fold: the same elites and offspring records in the same order give the same
    archive, and nothing else (clock, hash seed, platform) enters it. It belongs to one thread.

    Args:
        space: where a descriptor's cell is.
        f_min: the fixed offset of the QD score; should bound fitness from below.
        depth: elites a cell can hold.
        out_of_range: "reject" refuses a descriptor outside of the limits; "clip" files it under
            the nearest cell and keeps its descriptor as it was measured. Both count it.
        behaviours: "once" refuses an elite whose behaviour (the environment's hash of what a
            program did) is that of one that has entered before, wherever its cell is; an elite
            without such a hash is never refused. "any" does not look at it.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        space: Space,
        *,
        f_min: float,
        depth: int = 1,
        out_of_range: OutOfRange = "reject",
        behaviours: Behaviours = "any",
    ) -> None:
        if not math.isfinite(f_min):
            raise ValueError(f"f_min: expected a finite number, got {f_min}")
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, got {depth}")
        if out_of_range not in ("reject", "clip"):
            raise ValueError(f"out_of_range: expected reject or clip, got {out_of_range!r}")
        if behaviours not in ("any", "once"):
            raise ValueError(f"behaviours: expected any or once, got {behaviours!r}")
        self.space = space
        self.f_min = float(f_min)
        self.depth = depth
        self.policy: OutOfRange = out_of_range
        self.out_of_range = 0  # elites whose descriptor was outside of the limits
        self.outside: dict[str, int] = {}  # the same by side, "height high" say
        self.same_behaviour = 0  # elites that did what another had done
        self._behaviours: set[str] | None = set() if behaviours == "once" else None
        self._cells: dict[int, list[Elite]] = {}
        self._counters: dict[int, Counters] = {}  # of every living elite, by candidate id
        self._dimensions = space.dimensions
        self._best: Elite | None = None
        self._elites: tuple[Elite, ...] | None = None  # caches, None after every change
        self._qd_score: float | None = None

    # --- insertion

    def add(self, elite: Elite) -> Insertion:
        """Offers an elite to its cell.

        Raises:
            ValueError: if the elite is not fit for an archive (failed, no program, a fitness or
                descriptor that is missing, of the wrong length or not finite, an id that lives
                here already). Nothing has changed then.
        """
        evaluation = elite.evaluation
        fitness = evaluation.fitness
        descriptor = evaluation.descriptor
        # One expression for the common case; what is wrong is worked out only when it is asked.
        if not (
            evaluation.status is Status.OK
            and type(fitness) is float
            and -math.inf < fitness < math.inf
            and type(descriptor) is tuple
            and len(descriptor) == self._dimensions
            and elite.candidate.id == evaluation.candidate
            and elite.candidate.id not in self._counters
            and elite.candidate.program is not None
        ):
            self._check(elite)
        assert fitness is not None and descriptor is not None
        try:
            cell = self.space.cell_of(descriptor)
        except TypeError:
            self._check(elite)  # says which of the numbers is none
            raise
        if cell is None:
            self._check(elite)  # not finite is an error, outside of the limits is a fact
            self._count_outside(descriptor)
            if self.policy == "reject":
                return Insertion(Outcome.OUT_OF_RANGE)
            cell = self.space.cell_of(self.space.clip(descriptor))
            assert cell is not None
        if self._behaviours is None or evaluation.behaviour is None:
            return self._insert(elite, fitness, cell)
        if evaluation.behaviour in self._behaviours:
            self.same_behaviour += 1
            return Insertion(Outcome.SAME_BEHAVIOUR, cell)
        insertion = self._insert(elite, fitness, cell)
        if insertion.entered:
            self._behaviours.add(evaluation.behaviour)
        return insertion

    def add_all(self, elites: Iterable[Elite]) -> list[Insertion]:
        """Offers elites one after the other; the same as calling `add` for each.

        Raises:
            ValueError: if one of them is not fit for an archive. Nothing has changed then.
        """
        batch = list(elites)
        ids: set[int] = set()
        for position, elite in enumerate(batch):
            self._check(elite, f"elites[{position}]: ")
            if elite.candidate.id in ids:
                raise ValueError(
                    f"elites[{position}]: candidate {elite.candidate.id} is in the batch twice"
                )
            ids.add(elite.candidate.id)
        return [self.add(elite) for elite in batch]

    def _insert(self, elite: Elite, fitness: float, cell: int) -> Insertion:
        identity = elite.candidate.id
        replaced = None
        rank = 0
        ranked = self._cells.get(cell)
        if ranked is None:
            self._cells[cell] = [elite]
            outcome = Outcome.NEW
        else:
            if len(ranked) >= self.depth:
                last = ranked[-1]
                if not fitness > last.evaluation.fitness:  # type: ignore[operator]
                    return Insertion(Outcome.REJECTED, cell)
                replaced = last.candidate.id
                del ranked[-1], self._counters[replaced]
            while rank < len(ranked) and _precedes(ranked[rank], fitness, identity):
                rank += 1
            ranked.insert(rank, elite)
            outcome = Outcome.IMPROVED
        self._counters[identity] = Counters()
        if self._best is None or not _precedes(self._best, fitness, identity):
            self._best = elite
        self._elites = self._qd_score = None
        return Insertion(outcome, cell, rank, replaced)

    def _check(self, elite: Elite, where: str = "") -> None:
        candidate, evaluation = elite.candidate, elite.evaluation
        if evaluation.candidate != candidate.id:
            raise ValueError(
                f"{where}evaluation: expected that of candidate {candidate.id}, "
                f"got that of {evaluation.candidate}"
            )
        who = f"{where}candidate {candidate.id}: "
        if evaluation.status != Status.OK:
            raise ValueError(f"{who}expected status ok, got {evaluation.status}")
        if candidate.program is None:
            raise ValueError(f"{who}expected a program, got none")
        if not _is_finite(evaluation.fitness):
            raise ValueError(f"{who}fitness: expected a finite number, got {evaluation.fitness!r}")
        descriptor = evaluation.descriptor
        if not isinstance(descriptor, tuple | list) or len(descriptor) != self._dimensions:
            raise ValueError(
                f"{who}descriptor: expected {self._dimensions} numbers, got {descriptor!r}"
            )
        for axis, x in zip(self.space.axes, descriptor, strict=True):
            if not _is_finite(x):
                raise ValueError(
                    f"{who}descriptor {axis.name!r}: expected a finite number, got {x!r}"
                )
        if candidate.id in self._counters:
            raise ValueError(f"{who}lives in the archive already")

    def _count_outside(self, descriptor: Iterable[float]) -> None:
        self.out_of_range += 1
        for axis, x in zip(self.space.axes, descriptor, strict=True):
            if not axis.low <= x <= axis.high:
                side = f"{axis.name} {'low' if x < axis.low else 'high'}"
                self.outside[side] = self.outside.get(side, 0) + 1

    # --- offspring

    def record_offspring(self, parents: Iterable[int], entered: bool) -> None:
        """Notes how a child fared with each of its parents that still lives here."""
        for parent in dict.fromkeys(parents):
            counters = self._counters.get(parent)
            if counters is not None:
                self._counters[parent] = Counters(counters.tried + 1, counters.entered + entered)

    def counters(self, candidate: int) -> Counters:
        """The offspring counters of a living elite.

        Raises:
            KeyError: if no such candidate lives here.
        """
        return self._counters[candidate]

    # --- contents

    def __len__(self) -> int:
        """How many elites live here; above the number of filled cells where depth is above 1."""
        return len(self._counters)

    def __iter__(self) -> Iterator[Elite]:
        return iter(self.elites())

    def __contains__(self, candidate: int) -> bool:
        return candidate in self._counters

    def elites(self) -> tuple[Elite, ...]:
        """All elites by cell, then by rank."""
        if self._elites is None:
            self._elites = tuple(elite for _, _, elite in self.ranked())
        return self._elites

    def ranked(self) -> Iterator[tuple[int, int, Elite]]:
        """Cell, rank and elite, in the order of `elites`."""
        for cell in sorted(self._cells):
            for rank, elite in enumerate(self._cells[cell]):
                yield cell, rank, elite

    def cell(self, cell: int) -> tuple[Elite, ...]:
        """The elites of one cell, best first; empty where nobody holds it."""
        return tuple(self._cells.get(cell, ()))

    # --- metrics

    @property
    def best(self) -> Elite | None:
        """The fittest elite, the one with the lowest id among equals."""
        return self._best

    @property
    def filled(self) -> int:
        """Cells that somebody holds."""
        return len(self._cells)

    @property
    def coverage(self) -> float:
        """Share of the cells that somebody holds, 0 to 1."""
        return len(self._cells) / self.space.cells

    @property
    def qd_score(self) -> float:
        """Sum over filled cells of (best fitness - f_min), correctly rounded, so never drifting."""
        if self._qd_score is None:
            self._qd_score = math.fsum(fitness - self.f_min for fitness in self._fitnesses())
        return self._qd_score

    @property
    def mean_fitness(self) -> float | None:
        """Mean over filled cells of the best fitness; None for an empty archive."""
        return math.fsum(self._fitnesses()) / len(self._cells) if self._cells else None

    def profile(self) -> list[tuple[float, float]]:
        """The archive profile (complementary cumulative distribution of fitness over cells).

        Pairs of a fitness and the share of *all* cells whose best has at least that fitness, by
        rising fitness. It compares archives at every quality at once; coverage and the best
        fitness are its two ends.
        """
        ordered = sorted(self._fitnesses())
        filled = len(ordered)
        return [
            (fitness, (filled - position) / self.space.cells)
            for position, fitness in enumerate(ordered)
            if position == 0 or fitness != ordered[position - 1]
        ]

    def _fitnesses(self) -> Iterator[float]:
        for ranked in self._cells.values():
            yield ranked[0].evaluation.fitness  # type: ignore[misc]

    def sha256(self) -> str:
        """Hash of cells, ranks, candidate ids, program texts, exact fitness and descriptors."""
        digest = hashlib.sha256()
        for cell, rank, elite in self.ranked():
            candidate, evaluation = elite.candidate, elite.evaluation
            assert candidate.program is not None
            assert evaluation.fitness is not None and evaluation.descriptor is not None
            line = [
                cell,
                rank,
                candidate.id,
                sorted(candidate.program.files.items()),
                float(evaluation.fitness).hex(),
                [float(x).hex() for x in evaluation.descriptor],
            ]
            digest.update(json.dumps(line).encode("ascii") + b"\n")
        return digest.hexdigest()


def _precedes(elite: Elite, fitness: float, identity: int) -> bool:
    """Whether `elite` ranks before one of this fitness and candidate id."""
    own: float = elite.evaluation.fitness  # type: ignore[assignment]
    return own > fitness or (own == fitness and elite.candidate.id < identity)


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False
