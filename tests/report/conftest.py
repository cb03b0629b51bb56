"""A run folder as a run leaves it, written through the journal's public interface."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from report_environment import Pictures

from elm.archive import Archive, build
from elm.candidate import Attempt, Candidate, Elite, Evaluation, Program, Status
from elm.journal import Block, Commit, Journal

EVIL = "<script>alert('evil')</script> & \"quotes\""


class SyntheticRun:
    """A run of seeds, children that improve, and one failure of several kinds."""

    def __init__(
        self,
        folder: Path,
        *,
        picture: str = "svg",
        archive: dict[str, Any] | None = None,
        with_model: bool = True,
        blocks: int = 4,
        uncommitted: int = 0,
        summary: bool = True,
        environment: str = "report_environment.Pictures",
    ) -> None:
        self.folder = folder
        self.settings = archive or {"name": "grid"}
        self.archive: Archive = build(self.settings, Pictures.axes, Pictures.objective.f_min)
        self.candidates: list[Candidate] = []
        self.evaluations: dict[int, Evaluation] = {}
        self._with_model = with_model
        self._statuses: dict[str, int] = {}
        folder.mkdir(parents=True)
        meta = {
            "run_name": f"run {EVIL}",
            "created": "2026-01-02T03:04:05+00:00",
            "config": {
                "environment": {
                    "name": "pictures", "_target_": environment, "picture": picture, "version": 3,
                },
                "archive": self.settings,
                "seed": 7,
            },
            "axes": [msgspec.to_builtins(axis) for axis in Pictures.axes],
            "objective": msgspec.to_builtins(Pictures.objective),
            "model_name": "tiny" if with_model else "",
        }  # fmt: skip
        (folder / "config.yaml").write_text(f"run_name: '{EVIL}'\n")
        with Journal.create(folder / "journal.db", meta) as journal:
            for number in range(blocks + uncommitted):
                self._block(journal, number, commit=number < blocks)
            journal.write_event("fleet", f"slot 1 restarted {EVIL}")
            self.metrics = [c.metrics for c in journal.commits()]
        if summary:
            self.summary = {
                **(self.metrics[-1] if self.metrics else {}),
                "run_name": meta["run_name"], "seed": 7, "environment": "pictures",
                "model": "tiny" if with_model else "none", "ending": "budget.evaluations",
                "archive_sha256": self.archive.sha256(), "qd_offset": -1.0, "verified": True,
                "sandbox_level": "L3", "wall_seconds": 12.5, "model_busy_fraction": 0.97,
            }  # fmt: skip
            (folder / "summary.json").write_text(json.dumps(self.summary))

    @property
    def best(self) -> int:
        assert self.archive.best is not None
        return self.archive.best.candidate.id

    def _block(self, journal: Journal, number: int, *, commit: bool) -> None:
        first = len(self.candidates)
        made = [self._candidate(first + i, number, i) for i in range(2 if number == 0 else 6)]
        attempts = {
            c.id: [
                Attempt(
                    model="tiny", prompt=f"prompt of block {number}", completion=f"text {EVIL}",
                    prompt_tokens=100, completion_tokens=10, seed=c.seed,
                )
            ]
            for c in made
            if self._with_model and number
        }  # fmt: skip
        journal.write_block(
            Block(number, max(0, number - 1), 1.0 * number, number + 0.9), made, attempts
        )
        results = [e for c in made if (e := self._evaluation(c)) is not None]
        journal.write_evaluations(results)
        self.candidates += made
        self.evaluations.update({e.candidate: e for e in results})
        if not commit:
            return
        for candidate in made:
            evaluation = self.evaluations.get(candidate.id)
            entered = False
            if evaluation is not None and evaluation.status is Status.OK:
                entered = self.archive.add(Elite(candidate, evaluation)).entered
            self.archive.record_offspring(candidate.parents, entered)
            if number:
                status = evaluation.status if evaluation is not None else candidate.status
                assert status is not None
                self._statuses[status.value] = self._statuses.get(status.value, 0) + 1
        journal.write_commit(Commit(number, 1.0 + number, self._metrics()))

    def _candidate(self, identity: int, block: int, index: int) -> Candidate:
        program = Program({"p.py": f"x = {identity}\n"})
        if block and index == 1:
            program = Program({"p.py": f"# {EVIL}\nx = {identity}\n"})
        common: dict[str, Any] = {
            "id": identity, "block": block, "seed": 2**62 + identity,
            "operator": ("prompt" if index else "diff") if block else "seed",
            "model": "tiny" if block else "",
        }  # fmt: skip
        if block and index == 4:
            return Candidate(
                program=program, status=Status.DUPLICATE, duplicate_of=0, parents=(0,), **common
            )
        if block and index == 5:
            return Candidate(program=None, status=Status.EMPTY_OUTPUT, detail=EVIL, **common)
        parents = () if not block else ((0, 1) if block == 1 else (identity - 6, 0))
        return Candidate(program=program, hash=f"h{identity}", parents=parents, **common)

    def _evaluation(self, candidate: Candidate) -> Evaluation | None:
        if candidate.status is not None:
            return None
        if candidate.block and candidate.id % 6 == 3:
            return Evaluation(
                candidate=candidate.id, status=Status.RUNTIME_ERROR, detail=f"ValueError: {EVIL}",
                logs=f"printed {EVIL}",
            )  # fmt: skip
        return Evaluation(
            candidate=candidate.id,
            status=Status.OK,
            fitness=candidate.id * 0.5,
            descriptor=(float(candidate.id * 3 % 11), float(candidate.id % 5)),
            artifact={"number": candidate.id},
            cpu_seconds=0.01,
        )

    def _metrics(self) -> dict[str, Any]:
        best, children = self.archive.best, sum(self._statuses.values())
        calls = children if self._with_model else 0
        return {
            "candidates": len(self.candidates), "evaluations": len(self.evaluations),
            "model_calls": calls, "tokens": 110 * calls, "prompt_tokens": 100 * calls,
            "cached_tokens": 0, "completion_tokens": 10 * calls, "flops": None, "cost": 0.0,
            "generation_seconds": 0.1 * calls, "statuses": dict(self._statuses),
            "valid_fraction": 0.9, "runnable_fraction": 0.5, "cells": len(self.archive),
            "coverage": self.archive.coverage, "qd_score": self.archive.qd_score,
            "out_of_range": self.archive.out_of_range,
            "best_fitness": best.evaluation.fitness if best else None,
            "best_candidate": best.candidate.id if best else None,
        }  # fmt: skip


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., SyntheticRun]:
    """Builds run folders below the test's own folder."""

    def make(name: str = "run", **options: Any) -> SyntheticRun:
        return SyntheticRun(tmp_path / name, **options)

    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    """A run of the default kind that many tests read; nobody changes it."""
    return SyntheticRun(tmp_path_factory.mktemp("finished") / "run")
