"""What a search strategy is.

A strategy decides which elites become parents, and nothing else: it never sees a model, a
sandbox or a file.

`ask` draws the parents of one block. It is a function of the archive, of what it was told, and of
`rng`, which the caller seeds from the run's seed and the block's number. It changes neither
archive nor strategy, so that asking twice with equal generators gives equal answers.

`tell` reports a candidate that has been committed. The caller tells each candidate exactly once,
seeds included, in the order of candidate ids, after the archive took or refused it and before it
asks for a block that may depend on it. Whatever a strategy remembers is the fold of these calls
and of its settings. Hence a run resumes by replay: tell a new strategy the journal's candidates in
their order, and it goes on as if nothing had happened. A strategy without memory ignores `tell`.

Archive and strategy belong to one thread; elites and results are frozen and may be shared.
"""

from __future__ import annotations

import random
from typing import ClassVar, Protocol

import msgspec

from elm.archive import Archive, Insertion
from elm.candidate import Candidate, Elite, Evaluation


class Result(msgspec.Struct, frozen=True):
    """One committed candidate and what became of it."""

    candidate: Candidate
    evaluation: Evaluation | None  # None: final without an evaluation
    insertion: Insertion | None  # None: never offered to the archive


class Strategy(Protocol):
    """Draws parents. See the module for the contract."""

    name: ClassVar[str]

    def ask(self, archive: Archive, count: int, rng: random.Random) -> list[tuple[Elite, ...]]:
        """The parents of each of `count` candidates; the first of a tuple is to be varied.

        A tuple is shorter than the operator wishes where the archive holds fewer elites.

        Raises:
            LookupError: if parents are wanted and the archive is empty.
        """

    def tell(self, result: Result) -> None:
        """Notes what became of one candidate."""
