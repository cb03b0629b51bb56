"""Reading and writing a run's journal, a SQLite file in write-ahead mode.

What is in the journal is never changed or removed: the tables refuse updates and deletions. Every
write is one transaction, so after `kill -9` at any moment the file holds whole blocks and whole
evaluations. (`synchronous=NORMAL`: a power cut can take the last moments of a run with it, and
leaves a consistent journal that continues from just before.)
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from elm.candidate import Attempt, Candidate, Evaluation, Program, Proposal, Status
from elm.journal.error import JournalError
from elm.journal.place import refuse_network_disk

SCHEMA_VERSION = 2
_TABLES = (
    "meta", "blocks", "candidates", "attempts", "prompts", "evaluations", "commits", "drafts",
)  # fmt: skip
_CANDIDATE = (
    "id, block, files, hash, parents, operator, model, seed, branch, status, duplicate_of, detail"
)
_ATTEMPT = (
    "candidate, ordinal, model, prompt, completion, prompt_tokens, cached_tokens, "
    "completion_tokens, finish_reason, latency, seed, cost, tries"
)
# What version 2 has beyond version 1. Nothing that was written changes.
_UPGRADE = (
    "ALTER TABLE attempts ADD COLUMN cost REAL NOT NULL DEFAULT 0",
    "ALTER TABLE attempts ADD COLUMN tries INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE commits ADD COLUMN place INTEGER",
    "CREATE TABLE drafts (block INTEGER NOT NULL, part INTEGER NOT NULL, key TEXT NOT NULL, "
    "data BLOB NOT NULL, PRIMARY KEY (block, part, key)) WITHOUT ROWID",
    "PRAGMA user_version=2",
)


class Block(msgspec.Struct, frozen=True):
    """A block whose candidates are all written."""

    number: int
    seen: int  # blocks that were committed when its parents were drawn
    started: float  # seconds on the run's clock
    ended: float


class Commit(msgspec.Struct, frozen=True):
    """The moment at which the archive had taken a block."""

    block: int
    elapsed: float  # seconds on the run's clock
    metrics: dict[str, Any]


class Draft(msgspec.Struct, frozen=True):
    """A part of a block that is not whole yet, or may not be written yet."""

    proposals: tuple[Proposal, ...]
    started: float  # seconds on the run's clock
    ended: float
    sampler: str  # who made it


class Journal:
    """One run's journal. Owned by one thread; readers open their own, with `read_only=True`."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens an existing journal.

        Raises:
            JournalError: if the file is missing, damaged, or of a version this one cannot read.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise JournalError(f"{self.path}: no such journal")
        with self._errors():
            if read_only:
                uri = f"{self.path.resolve().as_uri()}?mode=ro"
                self._db = sqlite3.connect(uri, uri=True, isolation_level=None)
            else:
                refuse_network_disk(self.path)
                self._db = sqlite3.connect(self.path, isolation_level=None)
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                raise JournalError(f"{self.path}: not a journal of a run")
            if version > SCHEMA_VERSION:
                raise JournalError(
                    f"{self.path}: written by a later version (journal format {version}, this "
                    f"program reads up to {SCHEMA_VERSION}): upgrade this program"
                )
            self._version = version
            if version < SCHEMA_VERSION and not read_only:
                self._upgrade()

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, Any]) -> Journal:
        """Starts a new journal. `meta` is plain JSON and never changes afterwards.

        Raises:
            JournalError: if the file exists, lies on a network disk, or cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise JournalError(f"{path}: exists already")
        refuse_network_disk(path)
        db = None
        try:
            db = sqlite3.connect(path, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            guards = "".join(_guard(table) for table in (*_TABLES, "events"))
            schema = files("elm.journal").joinpath("schema.sql").read_text()
            db.executescript(
                f"BEGIN;\n{schema}\n{guards}PRAGMA user_version={SCHEMA_VERSION};\nCOMMIT;"
            )
            db.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in meta.items()],
            )
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be written ({error})") from error
        finally:
            if db is not None:
                db.close()
        return cls(path)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing -----------------------------------------------------------------------------

    def write_block(
        self,
        block: Block,
        candidates: Sequence[Candidate],
        attempts: Mapping[int, Sequence[Attempt]],
    ) -> None:
        """Writes a block, its candidates and the model calls behind them, all or nothing.

        Args:
            block: its number must be new.
            candidates: all candidates of the block.
            attempts: model calls by candidate id.
        """
        prompts = {}
        rows = []
        for candidate, calls in attempts.items():
            for ordinal, call in enumerate(calls):
                digest = hashlib.sha256(call.prompt.encode("utf-8", "surrogatepass")).hexdigest()
                prompts[digest] = _text(call.prompt)
                rows.append(
                    (
                        candidate,
                        ordinal,
                        call.model,
                        digest,
                        _text(call.completion),
                        call.prompt_tokens,
                        call.cached_tokens,
                        call.completion_tokens,
                        call.finish_reason,
                        call.latency,
                        call.seed,
                        call.cost,
                        call.tries,
                    )
                )
        with self._transaction() as db:
            db.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                (block.number, block.seen, block.started, block.ended),
            )
            db.executemany(
                f"INSERT INTO candidates ({_CANDIDATE}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        c.id,
                        c.block,
                        None if c.program is None else json.dumps(c.program.files),
                        c.hash,
                        json.dumps(c.parents),
                        c.operator,
                        c.model,
                        c.seed,
                        c.branch,
                        c.status,
                        c.duplicate_of,
                        _text(c.detail),
                    )
                    for c in candidates
                ],
            )
            db.executemany("INSERT OR IGNORE INTO prompts VALUES (?, ?)", prompts.items())
            db.executemany(
                f"INSERT INTO attempts ({_ATTEMPT}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", rows
            )

    def write_evaluations(self, evaluations: Iterable[Evaluation]) -> None:
        """Writes what sandboxes reported, all or nothing."""
        rows = [
            (
                e.candidate,
                e.status,
                e.fitness,
                None if e.descriptor is None else json.dumps(e.descriptor),
                msgspec.json.encode(e).decode(),
            )
            for e in evaluations
        ]
        with self._transaction() as db:
            db.executemany("INSERT INTO evaluations VALUES (?,?,?,?,?)", rows)

    def write_commit(self, commit: Commit) -> None:
        """Says that the archive has taken a block."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO commits (block, elapsed, metrics, place) "
                "VALUES (?, ?, ?, (SELECT count(*) FROM commits))",
                (commit.block, commit.elapsed, json.dumps(commit.metrics)),
            )

    def write_draft(self, block: int, part: int, key: str, draft: Draft) -> None:
        """Keeps what was made of a part, until its block is written.

        Args:
            key: of the orders it was made for; see `drafts`.
        """
        data = msgspec.msgpack.encode(draft)
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO drafts VALUES (?, ?, ?, ?)", (block, part, key, data))

    def write_event(self, kind: str, message: str) -> None:
        """Notes what happened around the run: a resume, a lost worker, a change of the fleet."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO events (time, kind, message) VALUES (?, ?, ?)",
                (datetime.now(UTC).isoformat(timespec="milliseconds"), kind, _text(message)),
            )

    # -- reading -----------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        return {key: json.loads(value) for key, value in self._rows("SELECT * FROM meta")}

    def check(self) -> None:
        """Reads the whole file.

        Raises:
            JournalError: if SQLite finds damage.
        """
        found = [row[0] for row in self._rows("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise JournalError(self._damage(str(found[0]).splitlines()[-1]))

    def block(self, number: int) -> Block | None:
        rows = self._rows("SELECT * FROM blocks WHERE number = ?", number)
        return next((Block(*row) for row in rows), None)

    def first_id_after(self, number: int) -> int | None:
        """The first id of the blocks behind one; None if there are none."""
        query = "SELECT min(id) FROM candidates WHERE block > ?"
        found: int | None = self._rows(query, number)[0][0]
        return found

    def blocks(self) -> Iterator[Block]:
        return (Block(*row) for row in self._rows("SELECT * FROM blocks ORDER BY number"))

    def commits(self) -> Iterator[Commit]:
        """In the order in which the archive took them."""
        place = "coalesce(place, block)" if self._version > 1 else "block"
        rows = self._rows(f"SELECT block, elapsed, metrics FROM commits ORDER BY {place}")
        return (Commit(block, elapsed, json.loads(metrics)) for block, elapsed, metrics in rows)

    def candidates(self, block: int | None = None) -> Iterator[Candidate]:
        """Candidates in the order of their ids, of one block or of all."""
        if block is None:
            rows = self._rows(f"SELECT {_CANDIDATE} FROM candidates ORDER BY id")
        else:
            rows = self._rows(
                f"SELECT {_CANDIDATE} FROM candidates WHERE block = ? ORDER BY id", block
            )
        return map(_candidate, rows)

    def evaluations(self, block: int | None = None) -> Iterator[Evaluation]:
        """Evaluations in the order of candidate ids, of one block or of all."""
        where: str = ""
        args: tuple[int, ...] = ()
        if block is not None:
            where = "WHERE candidate IN (SELECT id FROM candidates WHERE block = ?)"
            args = (block,)
        rows = self._rows(f"SELECT data FROM evaluations {where} ORDER BY candidate", *args)
        return (msgspec.json.decode(row[0], type=Evaluation) for row in rows)

    def attempts(self, block: int | None = None) -> Iterator[tuple[int, Attempt]]:
        """Model calls with the id of their candidate, in order, of one block or of all."""
        where: str = ""
        args: tuple[int, ...] = ()
        if block is not None:
            where = "WHERE candidate IN (SELECT id FROM candidates WHERE block = ?)"
            args = (block,)
        further = "cost, tries" if self._version > 1 else "0, 1"
        rows = self._rows(
            "SELECT candidate, a.model, p.text, completion, prompt_tokens, cached_tokens, "
            f"completion_tokens, finish_reason, latency, seed, {further} FROM attempts a "
            f"JOIN prompts p ON p.sha256 = a.prompt {where} ORDER BY candidate, ordinal",
            *args,
        )
        for row in rows:
            yield (
                row[0],
                Attempt(
                    model=row[1],
                    prompt=row[2],
                    completion=row[3],
                    prompt_tokens=row[4],
                    cached_tokens=row[5],
                    completion_tokens=row[6],
                    finish_reason=row[7],
                    latency=row[8],
                    seed=row[9],
                    cost=row[10],
                    tries=row[11],
                ),
            )

    def drafts(self, block: int) -> dict[tuple[int, str], Draft]:
        """What is kept of a block that is not written yet, by part and key."""
        rows = self._rows("SELECT part, key, data FROM drafts WHERE block = ?", block)
        return {(part, key): msgspec.msgpack.decode(data, type=Draft) for part, key, data in rows}

    def nodes(self) -> dict[str, int]:
        """How many evaluations each node has given, by its name."""
        query = "SELECT json_extract(data, '$.node') AS node, count(*) FROM evaluations"
        rows = self._rows(f"{query} WHERE node <> '' GROUP BY node ORDER BY node")
        return dict(rows)

    def events(self) -> Iterator[tuple[str, str, str]]:
        """(time, kind, message) of what happened around the run."""
        return iter(self._rows("SELECT time, kind, message FROM events ORDER BY id"))

    # -- inside ------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        """Adds what this version has beyond the file's, all or nothing."""
        with self._transaction() as db:
            for statement in _UPGRADE:
                db.execute(statement)
            for statement in _guard("drafts").strip().splitlines():
                db.execute(statement)
        self._version = SCHEMA_VERSION

    def _rows(self, query: str, *args: Any) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._db.execute(query, args).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                if self._db.in_transaction:  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            reason = str(error)
            if "full" in reason or "disk I/O" in reason:
                raise JournalError(
                    f"{self.path}: no room on the disk ({reason}); free some, then continue the "
                    "run with resume=true"
                ) from error
            if "locked" in reason:
                raise JournalError(f"{self.path}: another process is writing to it") from error
            if isinstance(error, sqlite3.OperationalError | sqlite3.IntegrityError):
                raise JournalError(f"{self.path}: {reason}") from error
            raise JournalError(self._damage(reason)) from error

    def _damage(self, reason: str) -> str:
        return (
            f"{self.path}: damaged ({reason}); nothing was changed. Restore it from a copy, or "
            "start anew under another run_name"
        )


def _guard(table: str) -> str:
    """Makes a table refuse updates and deletions."""
    return "".join(
        f"CREATE TRIGGER {table}_keeps_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;\n"
        for verb in ("UPDATE", "DELETE")
    )


def _text(text: str) -> str:
    """Text that SQLite can hold: a model may have written half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


def _candidate(row: tuple[Any, ...]) -> Candidate:
    return Candidate(
        id=row[0],
        block=row[1],
        program=None if row[2] is None else Program(json.loads(row[2])),
        hash=row[3],
        parents=tuple(json.loads(row[4])),
        operator=row[5],
        model=row[6],
        seed=row[7],
        branch=row[8],
        status=None if row[9] is None else Status(row[9]),
        duplicate_of=row[10],
        detail=row[11],
    )
