"""What a report needs of a run, gathered from its folder in one pass over the journal."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from elm.archive import Archive, Insertion
from elm.build import build_environment
from elm.candidate import Candidate, Elite, Evaluation
from elm.config import ConfigError
from elm.journal import Commit, Journal, JournalError
from elm.journal.fold import fold
from environments.base import Axis, Environment, Objective


class ReportError(Exception):
    """No report can be made; the message says why and what to do, in one line."""


class Failure(msgspec.Struct, frozen=True):
    """One way in which candidates failed, with the first that did."""

    status: str
    count: int
    candidate: int
    operator: str
    detail: str  # untrusted text
    logs: str  # untrusted text


class Step(msgspec.Struct, frozen=True):
    """One ancestor in a line of descent, from the journal."""

    candidate: Candidate
    evaluation: Evaluation


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """An operator, or a model, and what became of its children."""

    kind: str  # operator or model
    name: str
    children: int
    runnable: int
    entered: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its folder tells it."""

    folder: Path
    name: str
    created: str
    summary: Mapping[str, Any]  # of summary.json; of the last commit where the run was cut short
    is_complete: bool  # whether there is a summary.json
    config: Mapping[str, Any]
    commits: Sequence[Commit]
    archive: Archive
    objective: Objective
    axes: Sequence[Axis]
    candidates: int  # committed ones
    makers: Sequence[Maker]  # operators first, each kind by name
    failures: Sequence[Failure]  # most frequent first
    lineage: Sequence[Step]  # of the best elite: from a seed to the elite
    events: Sequence[tuple[str, str, str]]  # time, kind, message
    environment: Environment | None  # None where it cannot be built here
    environment_problem: str  # why not, or how it differs from the run's


class _Watcher:
    """Keeps of every candidate what a lineage needs, and of every failure its first example."""

    def __init__(self) -> None:
        self.candidates = 0
        self.first_parents: dict[int, int] = {}
        self.blocks: dict[int, int] = {}
        self.counts: dict[str, int] = {}
        self.made: dict[tuple[str, str], Counter[str]] = {}
        self.examples: dict[str, tuple[Candidate, Evaluation | None]] = {}

    def __call__(
        self, candidate: Candidate, evaluation: Evaluation | None, insertion: Insertion | None
    ) -> None:
        self.candidates += 1
        status = evaluation.status if evaluation is not None else candidate.status
        if candidate.block:
            entered = insertion is not None and insertion.entered
            for key in (("operator", candidate.operator), ("model", candidate.model)):
                count = self.made.setdefault(key, Counter())
                count.update(children=1, runnable=int(status == "ok"), entered=int(entered))
        if status is not None and status.value != "ok":
            self.counts[status.value] = self.counts.get(status.value, 0) + 1
            self.examples.setdefault(status.value, (candidate, evaluation))
        if insertion is not None:  # only what was once executed well can be a parent
            if candidate.parents and candidate.parents[0] in self.blocks:
                self.first_parents[candidate.id] = candidate.parents[0]
            self.blocks[candidate.id] = candidate.block

    def makers(self) -> list[Maker]:
        kinds = ("operator", "model")
        return [
            Maker(kind=kind, name=name, **self.made[kind, name])
            for kind, name in sorted(self.made, key=lambda key: (kinds.index(key[0]), key[1]))
            if name
        ]

    def failures(self) -> list[Failure]:
        found = []
        for status, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            candidate, evaluation = self.examples[status]
            found.append(
                Failure(
                    status=status,
                    count=count,
                    candidate=candidate.id,
                    operator=candidate.operator,
                    detail=_detail(candidate, evaluation),
                    logs=evaluation.logs if evaluation is not None else "",
                )
            )
        return found

    def ancestry(self, candidate: int) -> list[int]:
        """Ids from the earliest ancestor to the candidate, by first parents."""
        line = [candidate]
        while line[-1] in self.first_parents:
            line.append(self.first_parents[line[-1]])
        return line[::-1]


def _detail(candidate: Candidate, evaluation: Evaluation | None) -> str:
    if evaluation is not None:
        return evaluation.detail
    if candidate.duplicate_of is not None:
        return f"the same program as candidate {candidate.duplicate_of}"
    return candidate.detail


def read(folder: Path) -> Record:
    """Reads a run folder, without changing anything there.

    Raises:
        ReportError: if it is no run folder, or what it holds is damaged.
    """
    path = folder / "journal.db"
    if not path.is_file():
        raise ReportError(f"{folder}: no run folder (it has no journal.db)")
    try:
        with Journal(path, read_only=True) as journal:
            return _read(folder, journal)
    except (JournalError, sqlite3.Error) as error:
        raise ReportError(str(error)) from error
    except (json.JSONDecodeError, msgspec.DecodeError) as error:
        raise ReportError(f"{path}: damaged ({error})") from error


def _read(folder: Path, journal: Journal) -> Record:
    meta = journal.meta()
    watcher = _Watcher()
    archive = fold(journal, watcher)
    commits = list(journal.commits())
    best = archive.best
    environment, problem = _environment(meta["config"]["environment"])
    summary = _summary(folder / "summary.json")
    last = commits[-1].metrics if commits else {}
    return Record(
        folder=folder,
        name=str(meta.get("run_name", folder.name)),
        created=str(meta.get("created", "")),
        summary=summary if summary is not None else _stand_in(meta, last, archive),
        is_complete=summary is not None,
        config=meta["config"],
        commits=commits,
        archive=archive,
        objective=msgspec.convert(meta["objective"], Objective),
        axes=archive.space.axes,
        candidates=watcher.candidates,
        makers=watcher.makers(),
        failures=watcher.failures(),
        lineage=[] if best is None else _lineage(journal, watcher, best),
        events=list(journal.events()),
        environment=environment,
        environment_problem=problem,
    )


def _summary(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ReportError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def _stand_in(
    meta: Mapping[str, Any], metrics: Mapping[str, Any], archive: Archive
) -> dict[str, Any]:
    """What can be said of a run that has no summary yet."""
    return {
        **metrics,
        "run_name": meta.get("run_name"),
        "environment": meta["config"]["environment"].get("name"),
        "model": meta.get("model_name") or "none",
        "seed": meta["config"].get("seed"),
        "qd_offset": archive.f_min,
        "verified": all(e.evaluation.verified for e in archive.elites()),
    }


def _lineage(journal: Journal, watcher: _Watcher, best: Elite) -> list[Step]:
    wanted = watcher.ancestry(best.candidate.id)
    found: dict[int, Step] = {}
    for block in dict.fromkeys(watcher.blocks[identity] for identity in wanted):
        evaluations = {e.candidate: e for e in journal.evaluations(block)}
        for candidate in journal.candidates(block):
            if candidate.id in wanted:
                found[candidate.id] = Step(candidate, evaluations[candidate.id])
    return [found[identity] for identity in wanted]


def _environment(section: Mapping[str, Any]) -> tuple[Environment | None, str]:
    """The run's environment, which only draws pictures here."""
    settings = {key: value for key, value in section.items() if key != "version"}
    try:
        environment = build_environment(settings)
    except (ConfigError, ImportError) as error:
        return None, f"no pictures: {error}"
    was = section.get("version", environment.version)
    if was != environment.version:
        return environment, (
            f"pictures were drawn by version {environment.version} of the environment, "
            f"the run was scored by version {was}"
        )
    return environment, ""
