"""Runs a program and hands on its answer as plain data. Runs inside the jail."""

from __future__ import annotations

import math
from typing import Any

FILE = "puzzle.py"
ENTRY = "sol"
MAX_DEPTH = 32
PLAIN = (int, float, str, bool)


def produce(files: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Runs `sol()` of `puzzle.py`.

    Returns:
        `{"answer": ...}`, of plain values and no subclasses of them.

    Raises:
        ValueError: if the program has no `sol`, or it returns something else.
        Exception: whatever else the program raises.
    """
    namespace: dict[str, Any] = {"__name__": "puzzle", "math": math}
    exec(compile(files[FILE], FILE, "exec"), namespace)
    entry = namespace.get(ENTRY)
    if not callable(entry):
        raise ValueError(f"{FILE} defines no function {ENTRY}")
    return {"answer": _plain(entry(), MAX_DEPTH)}


def _plain(value: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"an answer is nested over {MAX_DEPTH} deep")
    if type(value) is list:
        return [_plain(item, depth - 1) for item in value]
    if type(value) is dict:
        return {_key(key): _plain(item, depth - 1) for key, item in value.items()}
    if type(value) not in PLAIN:
        raise ValueError(f"an answer must be plain data, got {type(value).__name__}")
    return value


def _key(key: Any) -> str:
    # JSON would turn other keys into strings, and two of them perhaps into one.
    if type(key) is not str:
        raise ValueError(f"a dict's keys must be strings, got {type(key).__name__}")
    return key
