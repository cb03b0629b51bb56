"""Checks of environments' settings: one clear line that names the key as a user writes it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any


def number(key: str, value: Any, *, above: float, at_most: float) -> float:
    """A finite number in (above, at_most], as a float.

    Raises:
        ValueError: if it is not, naming `environment.<key>`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"environment.{key} must be a number, got {value!r}")
    if not value > above:
        raise ValueError(f"environment.{key} must be above {above:g}, got {value:g}")
    if value > at_most:
        raise ValueError(f"environment.{key} must be at most {at_most:g}, got {value:g}")
    return float(value)


def integer(key: str, value: Any, *, low: int, high: int) -> int:
    """A whole number in [low, high].

    Raises:
        ValueError: if it is not, naming `environment.<key>`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"environment.{key} must be a whole number, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"environment.{key} must be between {low} and {high}, got {value}")
    return value


def choice(key: str, value: Any, allowed: Collection[str]) -> str:
    """One of the allowed words.

    Raises:
        ValueError: if it is not, naming `environment.<key>` and what is allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"environment.{key} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def choices(key: str, value: Any, allowed: Collection[str]) -> tuple[str, ...]:
    """At least one of the allowed words, none of them twice, in the order given.

    Raises:
        ValueError: if it is not, naming `environment.<key>` and what is allowed.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise ValueError(
            f"environment.{key} must be a list with at least one of "
            f"{', '.join(allowed)}, got {value!r}"
        )
    words = tuple(choice(key, word, allowed) for word in value)
    if len(set(words)) < len(words):
        raise ValueError(f"environment.{key} names a word twice: {', '.join(words)}")
    return words
