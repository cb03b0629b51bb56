"""Who is to make which child: the parts of a mixed operator and the members of an ensemble share
the children of a run, by what became of earlier ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from elm.allocation.base import Allocation, Outcome
from elm.archive import Archive
from elm.candidate import Attempt, Candidate, Elite, Evaluation, Status
from elm.models.base import LanguageModel
from elm.seeding import derive
from elm.variation.base import Operator, Order, Sketch


class Shares:
    """Turns drawn parents into orders, and tells allocations what came of them.

    Like a strategy it is the fold of the committed candidates: a resumed run tells it the journal.
    """

    def __init__(self, operator: Operator, model: LanguageModel | None) -> None:
        self._operators = operator.allocation
        self._models = model.allocation if model is not None and operator.calls else None
        self._novelty = operator.novelty
        self._sketches: dict[int, Sketch] = {}  # of elites, by candidate
        self._fitness: dict[int, float] = {}  # by candidate
        self._counts: dict[tuple[str, str], Counter[str]] = {}

    def orders(
        self,
        archive: Archive,
        parents: Sequence[tuple[Elite, ...]],
        seeds: Sequence[int],
        block_seed: int,
    ) -> tuple[Order, ...]:
        """One order for each child of a block.

        Args:
            parents, seeds: of each child.
            block_seed: decides what the block draws as a whole.
        """
        operators = _arms(self._operators, len(seeds), derive(block_seed, "operators"))
        models = _arms(self._models, len(seeds), derive(block_seed, "models"))
        crowd = self._crowd(archive)
        return tuple(
            Order(chosen, seed, operator, model, crowd)
            for chosen, seed, operator, model in zip(parents, seeds, operators, models, strict=True)
        )

    def tell(
        self,
        candidate: Candidate,
        evaluation: Evaluation | None,
        attempts: Iterable[Attempt],
        *,
        entered: bool,
    ) -> None:
        """Notes what became of one committed candidate."""
        fitness = evaluation.fitness if evaluation is not None else None
        if fitness is not None:
            self._fitness[candidate.id] = fitness
        if candidate.block == 0:
            return
        tokens, cost = 0, 0.0
        for attempt in attempts:
            tokens += attempt.prompt_tokens + attempt.completion_tokens
            cost += attempt.cost
        parent = self._fitness.get(candidate.parents[0]) if candidate.parents else None
        runnable = evaluation is not None and evaluation.status is Status.OK
        for kind, arm, allocation in (
            ("operators", candidate.operator, self._operators),
            ("models", candidate.model, self._models),
        ):
            if arm:
                count = self._counts.setdefault((kind, arm), Counter())
                count.update(children=1, runnable=int(runnable), entered=int(entered))
            if allocation is not None and arm in allocation.arms:
                allocation.tell(
                    Outcome(
                        arm=arm,
                        entered=entered,
                        fitness=fitness,
                        parent=parent,
                        tokens=tokens,
                        cost=cost,
                    )
                )

    def summary(self) -> dict[str, Any]:
        """Children, runnable ones and those that entered, by operator and by model."""
        table: dict[str, Any] = {"operators": {}, "models": {}}
        for (kind, arm), count in sorted(self._counts.items()):
            table[kind][arm] = dict(count)
        return table

    def _crowd(self, archive: Archive) -> tuple[Sketch, ...]:
        if self._novelty is None:
            return ()
        crowd = []
        for elite in archive.elites():
            candidate = elite.candidate
            if candidate.id not in self._sketches and candidate.program is not None:
                self._sketches[candidate.id] = self._novelty.sketch(candidate.program)
            crowd.append(self._sketches[candidate.id])
        return tuple(crowd)


def _arms(allocation: Allocation | None, count: int, seed: int) -> list[str]:
    return allocation.ask(count, random.Random(seed)) if allocation is not None else [""] * count
