"""A run's folder: who may write there, and what it holds in the end."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from elm.archive import Archive
from elm.journal import Commit


class FolderError(Exception):
    """The folder cannot be used; the message says why and what to do, in one line."""


class RunFolder:
    """`runs/<name>/`, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.db"
        self._lock: IO[str] | None = None

    def refuse_if_taken(self, *, resume: bool) -> None:
        """Looks without touching.

        Raises:
            FolderError: if a new run would overwrite something, or there is nothing to resume.
        """
        if resume and not self.journal.is_file():
            raise FolderError(
                f"{self.path}: no run to resume there (no journal.db); check run_name and run_dir, "
                "or leave out resume=true"
            )
        if not resume and self.path.exists():
            raise FolderError(
                f"{self.path}: exists already; continue it with resume=true, or choose another "
                "run_name"
            )

    def open(self, *, resume: bool) -> None:
        """Creates the folder, or takes hold of the one that is there.

        Raises:
            FolderError: as `refuse_if_taken`; or if it cannot be written, or another process
                holds it.
        """
        self.refuse_if_taken(resume=resume)
        try:
            self.path.mkdir(parents=True, exist_ok=resume)
            self._lock = (self.path / "lock").open("w")
        except OSError as error:
            raise FolderError(f"{self.path}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderError(f"{self.path}: another process is running this run") from None

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def write_text(self, name: str, text: str) -> Path:
        """Writes a file whole or not at all, replacing what an earlier part of the run left.

        Raises:
            FolderError: if it cannot be written.
        """
        target = self.path / name
        draft = target.with_name(f"{target.name}.part")
        try:
            draft.write_text(text, encoding="utf-8", errors="backslashreplace")
            draft.replace(target)
        except OSError as error:
            raise FolderError(f"{target}: cannot be written ({error.strerror})") from error
        return target

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        return self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_metrics(self, commits: Iterable[Commit]) -> None:
        """`metrics.csv`: one row for each block, with everything that was counted."""
        rows = [(c.block, c.elapsed, c.metrics) for c in commits]
        columns = [k for k in (rows[-1][2] if rows else {}) if k != "statuses"]
        kinds = sorted({kind for _, _, metrics in rows for kind in metrics["statuses"]})
        table: list[list[Any]] = [
            ["block", "elapsed", *columns, *(f"status_{kind}" for kind in kinds)]
        ]
        for block, elapsed, metrics in rows:
            statuses = [metrics["statuses"].get(kind, 0) for kind in kinds]
            cells = [metrics.get(column) for column in columns]
            table.append([block, f"{elapsed:.3f}", *cells, *statuses])
        self.write_text("metrics.csv", _csv(table))

    def write_elites(self, archive: Archive) -> None:
        """`elites/`: each elite's program, and `index.csv` with where it stands and why."""
        home = self.path / "elites"
        axes = [axis.name for axis in archive.space.axes]
        table: list[list[Any]] = [
            ["file", "cell", "rank", "candidate", "operator", "fitness", *axes]
        ]
        try:
            shutil.rmtree(home, ignore_errors=True)  # of an earlier part of this run
            home.mkdir()
        except OSError as error:
            raise FolderError(f"{home}: cannot be written ({error.strerror})") from error
        for cell, rank, elite in archive.ranked():
            candidate, evaluation = elite.candidate, elite.evaluation
            assert candidate.program is not None and evaluation.descriptor is not None
            for name, text in candidate.program.files.items():
                entry = f"cell{cell:05d}_rank{rank}_{candidate.id:07d}_{Path(name).name}"
                self.write_text(f"elites/{entry}", text)
                where = [cell, rank, candidate.id, candidate.operator]
                table.append([entry, *where, evaluation.fitness, *evaluation.descriptor])
        self.write_text("elites/index.csv", _csv(table))


def _csv(table: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()
