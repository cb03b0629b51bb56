"""Turns a program into a walker as plain data. Runs inside the jail."""

from __future__ import annotations

import math
from typing import Any

from environments.sodarace.cppn import query_cppn
from environments.sodarace.walker import Walker, WalkerCreator

FILE = "walker.py"
ENTRY = "make_walker"


def produce(files: dict[str, str], settings: dict[str, Any]) -> dict[str, list[Any]]:
    """Runs `make_walker()` of `walker.py`.

    Returns:
        {"joints": [[x, y], ...], "muscles": [[a, b, amplitude, phase], ...]}

    Raises:
        ValueError: if the program has no `make_walker`, or it makes no walker.
        Exception: whatever else the program raises.
    """
    namespace: dict[str, Any] = {
        "__name__": "walker",
        "math": math,
        "walker_creator": WalkerCreator,
        "query_cppn": query_cppn,
    }
    exec(compile(files[FILE], FILE, "exec"), namespace)
    entry = namespace.get(ENTRY)
    if not callable(entry):
        raise ValueError(f"{FILE} defines no function {ENTRY}")
    walker = entry()
    if isinstance(walker, WalkerCreator):
        walker = walker.get_walker()
    if not isinstance(walker, Walker):
        kind = type(walker).__name__
        raise ValueError(f"{ENTRY} must return a walker (wc.get_walker()), got {kind}")
    return walker.data
