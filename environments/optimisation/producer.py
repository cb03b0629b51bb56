"""Turns a program into its solution as plain data. Runs inside the jail."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

FILE = "solve.py"
ENTRY = "solve"
DEEPEST = 6


def produce(files: dict[str, str], settings: dict[str, Any]) -> Any:
    """Calls `solve()` of `solve.py`.

    numpy's arrays and numbers become lists and numbers, tuples become lists.

    Raises:
        ValueError: if the program has no `solve`, or it returns no plain data.
        Exception: whatever else the program raises.
    """
    namespace: dict[str, Any] = {"__name__": "solve", "math": math, "np": np, "random": random}
    exec(compile(files[FILE], FILE, "exec"), namespace)
    entry = namespace.get(ENTRY)
    if not callable(entry):
        raise ValueError(f"{FILE} defines no function {ENTRY}")
    return _plain(entry(), 0)


def _plain(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError("a solution must not be nested so deeply")
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    kind = type(value)
    if kind is list or kind is tuple:
        return [_plain(item, depth + 1) for item in value]
    if kind is dict:
        if not all(type(key) is str for key in value):
            raise ValueError("the keys of a solution must be strings")
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if kind is int:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"a solution's numbers must be finite, got {value}")
        return value
    raise ValueError(f"a solution must be lists of numbers, got {kind.__name__}")
