"""Hands a run's record to other programs: as JSON lines, as Parquet, or as a folder of files.

Everything is read from the journal block by block and written as it comes, so that a run of any
size needs the memory of one block.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol, get_args

import msgspec

from elm.candidate import Attempt, Candidate, Evaluation
from elm.journal import Journal
from elm.journal.fold import fold

Format = Literal["jsonl", "parquet", "dir"]
FORMATS: tuple[str, ...] = get_args(Format)
_MARK = "export.json"  # in an exported folder: what it is, and that it may be replaced


class ExportError(Exception):
    """Nothing was exported; the message says why and what to do, in one line."""


class _Writer(Protocol):
    """Takes records one after the other into a draft; `close` completes it."""

    def write(self, record: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


def export(
    run: Path,
    format: Format,
    out: Path | None = None,
    *,
    elites: bool = False,
    force: bool = False,
) -> tuple[Path, int]:
    """Writes every candidate of a run with its evaluation and its model calls.

    Works on a run that is under way as well, and then holds what was there when it began. The
    output appears whole or not at all.

    Args:
        run: the run folder.
        format: "jsonl" is one object a candidate; "parquet" has flat columns, with JSON text for
            what is nested; "dir" is one folder a candidate, with its program and `record.json`.
        out: where to; a file or folder named `export...` in the run folder where left out.
        elites: only the candidates that hold a place in the archive, each with `cell` and `rank`.
        force: replace an earlier export.

    Returns:
        Where it was written, and how many candidates.

    Raises:
        ExportError: if the run folder or the format is none, the output exists, cannot be
            written, or a package is missing.
        JournalError: if the journal cannot be read.
    """
    if format not in FORMATS:
        raise ExportError(f"format: expected {', '.join(FORMATS)}, got {format!r}")
    run = Path(run)
    path = run / "journal.db"
    if not path.is_file():
        raise ExportError(f"{run}: no run folder (it has no journal.db)")
    suffix = "" if format == "dir" else f".{format}"
    target = Path(out) if out else run / f"export{'-elites' if elites else ''}{suffix}"
    _refuse_if_taken(target, format, force)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    written = 0
    try:
        with Journal(path, read_only=True) as journal:
            journal.check()
            # Before anything is drafted: a journal without its archive's description fails here.
            places = _places(journal) if elites else None
            with contextlib.closing(_open(draft, format)) as writer:
                for record in records(journal):
                    if places is not None:
                        if record["id"] not in places:
                            continue
                        record["cell"], record["rank"] = places[record["id"]]
                    writer.write(record)
                    written += 1
        _replace(target, draft)
    except OSError as error:
        raise ExportError(f"{target}: cannot be written ({error.strerror or error})") from error
    except (json.JSONDecodeError, msgspec.DecodeError) as error:
        raise ExportError(f"{path}: damaged ({error})") from error
    finally:
        _remove(draft)
    return target, written


def records(journal: Journal) -> Iterator[dict[str, Any]]:
    """Every candidate as plain JSON, in the order of ids.

    `status` is the final one, None while the evaluation is awaited; `committed` says whether the
    archive has taken the candidate's block.
    """
    committed = {commit.block for commit in journal.commits()}
    for block in journal.blocks():
        evaluations = {e.candidate: e for e in journal.evaluations(block.number)}
        attempts: dict[int, list[Attempt]] = {}
        for identity, attempt in journal.attempts(block.number):
            attempts.setdefault(identity, []).append(attempt)
        for candidate in journal.candidates(block.number):
            yield _record(
                candidate,
                evaluations.get(candidate.id),
                attempts.get(candidate.id, []),
                block.number in committed,
            )


def _record(
    candidate: Candidate,
    evaluation: Evaluation | None,
    attempts: list[Attempt],
    committed: bool,
) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(candidate)
    del record["program"]
    status = evaluation.status if evaluation is not None else candidate.status
    return record | {
        "status": None if status is None else status.value,
        "committed": committed,
        "files": None if candidate.program is None else dict(candidate.program.files),
        "evaluation": None if evaluation is None else msgspec.to_builtins(evaluation),
        "attempts": msgspec.to_builtins(attempts),
    }


def _places(journal: Journal) -> dict[int, tuple[int, int]]:
    """Cell and rank of every elite, by candidate id."""
    return {elite.candidate.id: (cell, rank) for cell, rank, elite in fold(journal).ranked()}


# -- where it goes ---------------------------------------------------------------------------


def _refuse_if_taken(target: Path, format: Format, force: bool) -> None:
    if not target.parent.is_dir():
        raise ExportError(f"{target}: there is no folder {target.parent} to write it into")
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise ExportError(f"{target}: exists already; name another with --out, or use --force")
    if format == "dir":
        if not (target / _MARK).is_file():
            raise ExportError(f"{target}: is no earlier export, so it is not replaced")
    elif not target.is_file():
        raise ExportError(f"{target}: is no file, so it is not replaced")


def _replace(target: Path, draft: Path) -> None:
    if draft.is_dir() and target.is_dir():
        shutil.rmtree(target)  # an earlier export: its mark was seen
    draft.replace(target)


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)


def _open(draft: Path, format: Format) -> _Writer:
    if format == "jsonl":
        return _Lines(draft)
    if format == "parquet":
        try:
            from elm.export_parquet import ParquetWriter
        except ImportError as error:
            raise ExportError(
                "format parquet needs the extra plots: pip install 'elm[plots]'"
            ) from error
        return ParquetWriter(draft)
    return _Folders(draft)


class _Lines:
    def __init__(self, draft: Path) -> None:
        self._file = draft.open("w", encoding="ascii")

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        self._file.close()


class _Folders:
    def __init__(self, draft: Path) -> None:
        self._home = draft
        draft.mkdir()

    def write(self, record: Mapping[str, Any]) -> None:
        home = self._home / f"{record['id']:07d}"
        home.mkdir()
        for name, text in (record["files"] or {}).items():
            parts = PurePosixPath(name).parts
            if not parts or name.startswith("/") or ".." in parts or "\0" in name:
                raise ExportError(
                    f"candidate {record['id']}: its file {name!r} would lie outside of the export; "
                    "use --format jsonl"
                )
            # A program's own record.json or folder of that name must not pass for ours.
            place = home.joinpath("files" if parts[0] == "record.json" else "", *parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8", errors="backslashreplace")
        (home / "record.json").write_text(json.dumps(record, indent=2) + "\n", encoding="ascii")

    def close(self) -> None:
        (self._home / _MARK).write_text(json.dumps({"format": "elm export", "version": 1}) + "\n")
