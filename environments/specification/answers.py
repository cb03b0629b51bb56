"""What a specification's entry may return: a score, `(score, hash)`, or a mapping of more."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

SCORE, HASH, SOLUTION = "score", "hash", "solution"
MOST_VALUES = 64
MOST_HASH = 200  # characters of a hash as it is; of longer ones a hash is taken
MOST_SHOWN = 60  # characters of a value in a message


def read(answer: Any, name: str, checked: bool) -> dict[str, Any]:
    """Score, hash, solution and values of what the entry returned.

    Args:
        name: of the call, for messages.
        checked: whether there has to be a solution.

    Raises:
        ValueError: for what is no answer, in one line.
    """
    score, mark, solution, values = answer, None, None, {}
    if isinstance(answer, Mapping):
        if SCORE not in answer:
            raise ValueError(f"{name} returned a mapping without {SCORE!r}")
        score, mark, solution = answer[SCORE], answer.get(HASH), answer.get(SOLUTION)
        others = {key: value for key, value in answer.items() if key not in (SCORE, HASH, SOLUTION)}
        if len(others) > MOST_VALUES:
            raise ValueError(f"{name} returned over {MOST_VALUES} values")
        values = {str(key): _number(value, f"{name}'s {key}") for key, value in others.items()}
    elif isinstance(answer, tuple):
        if len(answer) != 2:
            raise ValueError(f"{name} returned {len(answer)} values, expected (score, hash)")
        score, mark = answer
    if checked and solution is None:
        raise ValueError(f"{name} returned no {SOLUTION!r}, from which the score is computed")
    found: dict[str, Any] = {SCORE: _number(score, f"{name}'s score"), HASH: _mark(mark, name)}
    if values:
        found["values"] = values
    if solution is not None:
        found[SOLUTION] = _plain(solution, name)
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def _number(value: Any, what: str) -> float:
    # Numbers of numpy have `item`; texts turn into floats as well, and are none.
    plain = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
    if not isinstance(plain, int | float):
        raise ValueError(f"{what} is {_shown(value)}, not a number")
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{what} is {_shown(number)}, not a finite number")
    return number


def _mark(value: Any, name: str) -> str | None:
    plain = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
    if plain is None:
        return None
    if isinstance(plain, str | int):
        text = hex(plain) if isinstance(plain, int) else plain
        return text if len(text) <= MOST_HASH else sha256(text.encode(errors="replace")).hexdigest()
    raise ValueError(f"{name}'s hash is {_shown(value)}, not a text, a whole number or None")


def _plain(solution: Any, name: str) -> Any:
    """A solution as JSON has it: lists for tuples and arrays, texts for keys."""
    try:
        return json.loads(json.dumps(solution, default=_array, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}'s solution is no plain data: {error}") from None


def _array(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"it holds a {type(value).__name__}")
