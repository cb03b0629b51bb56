"""Sends programs to a fleet and waits for all their evaluations."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import msgspec

import elm.dispatch
from elm.build import build_bundle
from elm.candidate import Candidate, Evaluation, Program
from elm.config import ConfigError
from elm.register import sound, task_seed
from environments.base import Environment
from sandbox.protocol import Bundle, Task

_WAIT_SECONDS = 1.0  # for the next evaluation, before looking again


class Batch:
    """Sandboxes of one environment. A context manager; the fleet starts when it is first needed.

    Args:
        environment: of the programs.
        dispatch: section `dispatch` of a configuration.
        limits: of one execution, where they differ from the environment's.
        bundle: what sandboxes load, where it is not the environment's own; the environment then
            has no say in what comes back.
    """

    def __init__(
        self,
        environment: Environment,
        dispatch: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        bundle: Bundle | None = None,
    ) -> None:
        self._dimensions = len(environment.axes)
        self._bundle = bundle or build_bundle(environment, limits)
        try:
            self._dispatcher = elm.dispatch.build(
                dispatch or {"name": "local"}, environment if bundle is None else None
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._started = False
        self._next = 0

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Evaluation]:
        """Executes each program once; the answers are in the order of the candidates.

        Raises:
            FleetError: if no sandbox can be had.
            ValueError: for a candidate without a program that parses.
        """
        for candidate in candidates:
            if candidate.program is None or not candidate.hash:
                raise ValueError(f"candidate {candidate.id} has no program that could be executed")
        tasks = [(task_seed(c), c.program) for c in candidates]
        found = self.execute([(seed, program) for seed, program in tasks if program is not None])
        return [
            msgspec.structs.replace(sound(evaluation, self._dimensions), candidate=candidate.id)
            for candidate, evaluation in zip(candidates, found, strict=True)
        ]

    def execute(self, programs: Sequence[tuple[int, Program]]) -> list[Evaluation]:
        """Executes programs, each with the seed of its random numbers; answers in their order.

        Raises:
            FleetError: if no sandbox can be had.
        """
        if not self._started:
            self._dispatcher.start(self._bundle)
            self._started = True
        first, self._next = self._next, self._next + len(programs)
        digest = self._bundle.digest
        self._dispatcher.submit(
            [
                Task(first + index, digest, program.files, seed)
                for index, (seed, program) in enumerate(programs)
            ]
        )
        found: dict[int, Evaluation] = {}
        while len(found) < len(programs):
            arrived = self._dispatcher.results(_WAIT_SECONDS)
            # What an earlier call did not wait for, since it was interrupted, comes in between.
            found.update((e.candidate, e) for e in arrived if e.candidate >= first)
            self._dispatcher.acknowledge(evaluation.candidate for evaluation in arrived)
            for notice in self._dispatcher.notices():
                print(notice, file=sys.stderr)
        return [found[first + index] for index in range(len(programs))]

    def close(self) -> None:
        """Stops what was started."""
        self._dispatcher.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
