"""The columns of a run exported as Parquet. Needs pyarrow (extra `plots`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

_ROWS = 2_000  # of a row group: what is held in memory before it is written

Value = Callable[[Mapping[str, Any]], Any]


def _text(value: Any) -> str:
    """Text that Parquet can hold: a model may have written half of a surrogate pair."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _own(key: str) -> Value:
    return lambda record: record[key]


def _own_json(key: str) -> Value:
    return lambda record: None if record[key] is None else json.dumps(record[key])


def _evaluated(key: str) -> Value:
    return lambda record: None if record["evaluation"] is None else record["evaluation"][key]


def _evaluated_json(key: str) -> Value:
    value = _evaluated(key)
    return lambda record: None if (found := value(record)) is None else json.dumps(found)


def _as_text(value: Value) -> Value:
    return lambda record: None if (found := value(record)) is None else _text(found)


def _sum(key: str) -> Value:
    return lambda record: sum(attempt[key] for attempt in record["attempts"])


def _detail(record: Mapping[str, Any]) -> str:
    return _text(record["evaluation"]["detail"] if record["evaluation"] else record["detail"])


# Column, type ("json" is text that holds JSON), value.
COLUMNS: tuple[tuple[str, str, Value], ...] = (
    ("id", "int64", _own("id")),
    ("block", "int64", _own("block")),
    ("committed", "bool", _own("committed")),
    ("status", "string", _own("status")),
    ("fitness", "float64", _evaluated("fitness")),
    ("descriptor", "json", _evaluated_json("descriptor")),
    ("cell", "int64", lambda record: record.get("cell")),  # of elites only
    ("rank", "int64", lambda record: record.get("rank")),
    ("operator", "string", _as_text(_own("operator"))),
    ("model", "string", _as_text(_own("model"))),
    ("parents", "json", _own_json("parents")),
    ("branch", "string", _as_text(_own("branch"))),
    ("seed", "int64", _own("seed")),
    ("hash", "string", _own("hash")),
    ("duplicate_of", "int64", _own("duplicate_of")),
    ("detail", "string", _detail),
    ("files", "json", _own_json("files")),
    ("metrics", "json", _evaluated_json("metrics")),
    ("scores", "json", _evaluated_json("scores")),
    ("artifact", "json", _evaluated_json("artifact")),
    ("behaviour", "string", _as_text(_evaluated("behaviour"))),
    ("logs", "string", _as_text(_evaluated("logs"))),
    ("cpu_seconds", "float64", _evaluated("cpu_seconds")),
    ("wall_seconds", "float64", _evaluated("wall_seconds")),
    ("peak_memory_mb", "float64", _evaluated("peak_memory_mb")),
    ("verified", "bool", _evaluated("verified")),
    ("level", "string", _evaluated("level")),
    ("node", "string", _as_text(_evaluated("node"))),
    ("model_calls", "int64", lambda record: len(record["attempts"])),
    ("prompt_tokens", "int64", _sum("prompt_tokens")),
    ("cached_tokens", "int64", _sum("cached_tokens")),
    ("completion_tokens", "int64", _sum("completion_tokens")),
    ("attempts", "json", _own_json("attempts")),
)


_TYPES = {
    "int64": pyarrow.int64(),
    "float64": pyarrow.float64(),
    "bool": pyarrow.bool_(),
    "string": pyarrow.string(),
    "json": pyarrow.string(),
}
SCHEMA = pyarrow.schema([(name, _TYPES[kind]) for name, kind, _ in COLUMNS])


class ParquetWriter:
    """Writes records in row groups."""

    def __init__(self, path: Path) -> None:
        self._file = pyarrow.parquet.ParquetWriter(str(path), SCHEMA, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        self._rows.append({name: value(record) for name, _, value in COLUMNS})
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(pyarrow.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows = []
