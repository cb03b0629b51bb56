"""Reads solutions as plain data, strictly: numbers that are neither bool nor infinite nor huge."""

from __future__ import annotations

import math
from typing import Any

LARGEST = 1e6  # of any coordinate, radius, angle or height


def number(value: Any, what: str, largest: float = LARGEST) -> float | int:
    """A finite int or float.

    Raises:
        ValueError: if it is none, or larger than `largest` in size.
    """
    if type(value) is not int and type(value) is not float:
        raise ValueError(f"{what} must be a number, got {type(value).__name__}")
    if type(value) is float and not math.isfinite(value):
        raise ValueError(f"{what} must be finite, got {value!r}")
    if not -largest <= value <= largest:
        raise ValueError(f"{what} must be between {-largest:g} and {largest:g}")
    return value


def numbers(value: Any, what: str, *, least: int, most: int) -> list[float | int]:
    """A list of `least` to `most` finite numbers.

    Raises:
        ValueError: if it is anything else.
    """
    if type(value) is not list:
        raise ValueError(f"{what}s must be a list of numbers, got {type(value).__name__}")
    if not least <= len(value) <= most:
        raise ValueError(f"there must be {least} to {most} {what}s, got {len(value)}")
    return [number(item, f"{what} {i}") for i, item in enumerate(value)]


def rows(value: Any, what: str, count: int, columns: str) -> list[tuple[float | int, ...]]:
    """`count` rows of numbers, in as many columns as there are words in `columns`.

    Raises:
        ValueError: if it is anything else.
    """
    names = columns.split()
    if type(value) is not list:
        raise ValueError(f"a solution must be a list of {what}s, got {type(value).__name__}")
    if len(value) != count:
        raise ValueError(f"there must be {count} {what}s, got {len(value)}")
    for i, row in enumerate(value):
        if type(row) is not list or len(row) != len(names):
            raise ValueError(f"{what} {i} must be a list [{', '.join(names)}]")
    return [
        tuple(number(item, f"{name} of {what} {i}") for name, item in zip(names, row, strict=True))
        for i, row in enumerate(value)
    ]
