"""Ask and tell: the search without its loop, for people who have one of their own."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import elm.archive
import elm.models
import elm.search
import elm.variation
from elm.api.defaults import complete
from elm.archive import Archive
from elm.build import build_environment
from elm.candidate import Attempt, Candidate, Elite, Evaluation, Proposal, Status
from elm.config import ConfigError
from elm.dispatch.batch import Batch
from elm.pipeline import RunError
from elm.register import Register, commit, sound
from elm.seeding import derive
from elm.shares import Shares
from elm.variation.base import Order
from environments.base import Environment

Section = str | Mapping[str, Any]
Told = Evaluation | tuple[float, Sequence[float]]


class Loop:
    """Archive, strategy, operator and model, moved on by `ask` and `tell`. No journal, no folder.

        with elm.Loop("string", variation="syntax_tree", seed=1) as loop:
            for _ in range(20):
                loop.tell(loop.evaluate(loop.ask(32)))
            print(loop.best)

    The first `ask` gives the environment's seeds. What needs no evaluation is never handed out: a
    child that does not parse, is the same as its parent (`no_change`) or as an earlier candidate
    (`duplicate`, comments and formatting aside) is finished at once; `statuses` knows it.
    The same calls with the same `seed` give the same archive. Used by one thread.

    Args:
        environment: the name of a file in configs/environment, a mapping, or an `Environment`.
        variation, model, search, archive, dispatch: the same for the other groups; what is left
            out has the defaults of the command line.
        seed: decides all that is drawn.

    Raises:
        ConfigError, ModelError: for a setting that is wrong, in one line.
    """

    def __init__(
        self,
        environment: Section | Environment,
        variation: Section | None = None,
        *,
        model: Section | None = None,
        search: Section | None = None,
        archive: Section | None = None,
        dispatch: Section | None = None,
        seed: int = 0,
    ) -> None:
        limits = None
        built = environment if isinstance(environment, Environment) else None
        sections = complete(
            {
                "environment": {"name": built.name} if built is not None else environment,
                "variation": variation,
                "model": model,
                "search": search,
                "archive": archive,
                "dispatch": dispatch,
            }
        )
        if built is None:
            built = build_environment(sections["environment"])
            limits = sections["environment"].get("limits")
        self.environment = built
        self._seed = seed
        self._model = None
        try:
            self.archive: Archive = elm.archive.build(
                sections["archive"], built.axes, built.objective.f_min
            )
            self._batch = Batch(built, sections["dispatch"], limits)
            self._model = elm.models.build(sections["model"])
            self._operator = elm.variation.build(sections["variation"], built, self._model)
            self._strategy = elm.search.build(
                sections["search"],
                parents=self._operator.parents,
                siblings=self._operator.siblings,
            )
        except ValueError as error:
            self._close_model()
            raise ConfigError(str(error)) from error
        self._shares = Shares(self._operator, self._model)
        self._register = Register(self._operator)
        self._block = 0
        self._next_id = 0
        self._asked: dict[int, tuple[Candidate, tuple[Attempt, ...]]] = {}  # not told yet
        self._statuses: dict[int, Status] = {}

    @property
    def best(self) -> Elite | None:
        """The fittest elite; None while the archive is empty."""
        return self.archive.best

    @property
    def statuses(self) -> Mapping[int, Status]:
        """How each finished candidate ended, by id; also of those that were never handed out."""
        return dict(self._statuses)

    @property
    def pending(self) -> tuple[Candidate, ...]:
        """Candidates that were asked for and not told yet."""
        return tuple(candidate for candidate, _ in self._asked.values())

    def ask(self, count: int) -> list[Candidate]:
        """Candidates to be evaluated: all seeds at first, then at most `count` children.

        Raises:
            ValueError: if `count` is not above 0.
            RunError: if there is no elite to take as a parent.
            ModelError: if the model cannot go on.
        """
        if count < 1:
            raise ValueError(f"count: expected at least 1, got {count}")
        block = self._block
        orders, proposals = self._seeds() if block == 0 else self._children(block, count)
        self._block += 1
        wanted = []
        for order, proposal in zip(orders, proposals, strict=True):
            candidate = self._register.enter(self._next_id, block, order, proposal)
            self._next_id += 1
            if candidate.status is None:
                self._asked[candidate.id] = (candidate, proposal.attempts)
                wanted.append(candidate)
            else:
                self._commit(candidate, None, proposal.attempts)
        return wanted

    def tell(self, results: Iterable[Evaluation] | Mapping[int, Told]) -> None:
        """Takes evaluations of candidates that were asked for, in the order of their ids.

        Args:
            results: `Evaluation`s; or by candidate id an `Evaluation` or a pair of fitness and
                descriptor.

        Raises:
            ValueError: for a candidate that was never handed out, or was told before, or a fitness
                or descriptor that no archive takes. Nothing has changed then.
        """
        if isinstance(results, Mapping):
            evaluations = [self._read(identity, told) for identity, told in results.items()]
        else:
            evaluations = list(results)
        seen: set[int] = set()
        for evaluation in evaluations:
            self._check(evaluation, seen)
        for evaluation in sorted(evaluations, key=lambda e: e.candidate):
            candidate, attempts = self._asked.pop(evaluation.candidate)
            self._commit(candidate, evaluation, attempts)

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Evaluation]:
        """Executes candidates in jailed sandboxes, which the first call starts.

        Raises:
            FleetError: if no sandbox can be had.
        """
        return self._batch.evaluate(candidates)

    def close(self) -> None:
        """Stops sandboxes and model. The archive stays."""
        self._batch.close()
        self._close_model()

    def __enter__(self) -> Loop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _close_model(self) -> None:
        if self._model is not None:
            self._model.close()

    def _seeds(self) -> tuple[list[Order], list[Proposal]]:
        programs = [seed.program for seed in self.environment.seeds()]
        return [Order((), 0)] * len(programs), [Proposal(program=p) for p in programs]

    def _children(self, block: int, count: int) -> tuple[list[Order], list[Proposal]]:
        rng = random.Random(derive(self._seed, block))
        try:
            parents = self._strategy.ask(self.archive, count, rng)
        except LookupError:
            raise RunError(
                "the archive is empty, so there are no parents to ask children of; tell the "
                "evaluations of the first candidates, of which one at least must be ok"
            ) from None
        seeds = [derive(self._seed, block, index) for index in range(count)]
        orders = list(self._shares.orders(self.archive, parents, seeds, derive(self._seed, block)))
        unit = (self._model.unit if self._model is not None else None) or count
        lanes = self._model.lanes if self._model is not None else 1
        parts = [orders[start : start + unit] for start in range(0, count, unit)]
        with ThreadPoolExecutor(lanes) as pool:
            made = [
                proposal for part in pool.map(self._operator.propose, parts) for proposal in part
            ]
        return orders, made

    def _read(self, identity: int, told: Told) -> Evaluation:
        if isinstance(told, Evaluation):
            if told.candidate != identity:
                raise ValueError(
                    f"candidate {identity}: the evaluation is that of candidate {told.candidate}"
                )
            return told
        try:
            fitness, descriptor = told
            return Evaluation(
                candidate=identity,
                status=Status.OK,
                fitness=float(fitness),
                descriptor=tuple(float(value) for value in descriptor),
            )
        except (TypeError, ValueError):
            raise ValueError(
                f"candidate {identity}: expected an Evaluation or (fitness, descriptor), got "
                f"{str(told)[:60]}"
            ) from None

    def _check(self, evaluation: Evaluation, seen: set[int]) -> None:
        identity = evaluation.candidate
        if identity in self._statuses or identity in seen:
            raise ValueError(f"candidate {identity}: was told already")
        if identity not in self._asked:
            raise ValueError(f"candidate {identity}: was never asked for")
        seen.add(identity)
        if not evaluation.status.is_final:
            raise ValueError(
                f"candidate {identity}: {evaluation.status} says nothing of it; evaluate it again"
            )
        checked = sound(evaluation, self.archive.space.dimensions)
        if checked.status is not evaluation.status:
            detail = checked.detail.replace("the judge gave", "got")
            raise ValueError(f"candidate {identity}: {detail}")

    def _commit(
        self, candidate: Candidate, evaluation: Evaluation | None, attempts: tuple[Attempt, ...]
    ) -> None:
        commit(candidate, evaluation, attempts, self.archive, self._strategy, self._shares)
        status = evaluation.status if evaluation is not None else candidate.status
        assert status is not None  # a candidate without an evaluation has one of its own
        self._statuses[candidate.id] = status
