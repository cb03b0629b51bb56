"""Asks a program for the parity of all combinations of four bits. Runs inside the jail."""

from __future__ import annotations

import itertools
from typing import Any

FILE = "parity.py"
ENTRY = "parity"


def produce(files: dict[str, str], settings: dict[str, Any]) -> list[int | None]:
    """Calls `parity(b1, b2, b3, b4)` of `parity.py` with 0,0,0,0 to 1,1,1,1, in that order.

    Returns:
        16 answers; None for a call that raised, or gave anything else than the int 0 or 1.

    Raises:
        ValueError: if the program has no `parity`.
        Exception: whatever else the program raises while it is loaded.
    """
    namespace: dict[str, Any] = {"__name__": "parity"}
    exec(compile(files[FILE], FILE, "exec"), namespace)
    entry = namespace.get(ENTRY)
    if not callable(entry):
        raise ValueError(f"{FILE} defines no function {ENTRY}")
    return [_answer(entry, bits) for bits in itertools.product((0, 1), repeat=4)]


def _answer(entry: Any, bits: tuple[int, ...]) -> int | None:
    try:
        answer = entry(*bits)
    except Exception:
        return None  # a misnamed variable: one of the bugs
    return answer if type(answer) is int and answer in (0, 1) else None
