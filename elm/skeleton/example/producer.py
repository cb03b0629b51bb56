"""Turns a program into plain data. Runs inside the jail, beside the program."""

from __future__ import annotations

from typing import Any

FILE = "example.py"


def produce(files: dict[str, str], settings: dict[str, Any]) -> list[list[float]]:
    """Calls `place(number, count)` for each number; moves what lies outside of the unit square to
    its edge.

    Raises:
        ValueError: if the program defines no such function.
        Exception: whatever else the program raises.
    """
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(files[FILE], FILE, "exec"), namespace)
    place = namespace.get("place")
    if not callable(place):
        raise ValueError(f"{FILE} defines no function place")
    count = settings["count"]
    placed = [place(number, count) for number in range(count)]
    return [[_inside(x), _inside(y)] for x, y in placed]


def _inside(value: float) -> float:
    return min(1.0, max(0.0, float(value)))
