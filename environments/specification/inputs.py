"""The inputs of a specification: from a file, a list, or ranges with names.

Inputs are literals of Python. They travel as their `repr` and are read back with
`ast.literal_eval`, so that a tuple reaches the specification as a tuple.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

MOST = 10_000
_SCALARS = (int, float, str, bool, type(None))


class Inputs(msgspec.Struct, frozen=True):
    """What the specification is called with, one after the other."""

    values: tuple[Any, ...]
    names: tuple[str, ...] = ()  # of the parts of each, where they come from ranges

    @property
    def labels(self) -> tuple[str, ...]:
        """A short text for each, no two the same."""
        texts = [text if len(text) <= 40 else text[:37] + "..." for text in self.texts]
        counts = Counter(texts)
        return tuple(
            text if counts[text] == 1 else f"{text} #{number}" for number, text in enumerate(texts)
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """Each as a literal."""
        return tuple(repr(value) for value in self.values)

    def part(self, name: str) -> tuple[Any, ...] | None:
        """The part of each input that a range gave, None where there is no such range."""
        if name not in self.names:
            return None
        place = self.names.index(name)
        return tuple(value[place] for value in self.values)


def build(given: Any, combine: str, constant: list[Any] | None) -> Inputs:
    """The inputs that a setting asks for.

    Args:
        given: the path of a file with one literal a line; a list, of which an item that is a list
            becomes a tuple, since configurations have none; a mapping of names to ranges; or None.
        combine: "zip" or "cross", for ranges.
        constant: what the specification itself gives, for None.

    Raises:
        ValueError: in one line, with file and line where there is a file.
    """
    names: tuple[str, ...] = ()
    if given is None:
        if constant is None:
            raise ValueError(
                "environment.inputs: the specification defines no INPUTS; give a list, a file "
                "with one literal a line, or a mapping of ranges"
            )
        values = constant
    elif isinstance(given, str):
        values = _lines(given)
    elif isinstance(given, Mapping):
        names = tuple(str(name) for name in given)
        values = _ranges(given, combine)
    elif isinstance(given, Sequence):
        values = [tuple(item) if isinstance(item, list) else item for item in given]
    else:
        raise ValueError(
            f"environment.inputs must be a path, a list or a mapping of ranges, got {given!r}"
        )
    if not values:
        raise ValueError("environment.inputs: there is none")
    if len(values) > MOST:
        raise ValueError(f"environment.inputs: {len(values)}, and {MOST} is the most")
    for place, value in enumerate(values):
        _refuse_others(value, f"environment.inputs[{place}]")
    return Inputs(tuple(values), names)


def _refuse_others(value: Any, where: str) -> None:
    try:
        same = ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        same = False
    if not same:
        raise ValueError(f"{where}: {repr(value)[:60]} is not a literal of finite values")


def _lines(path: str) -> list[Any]:
    file = Path(path).expanduser()
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"environment.inputs: cannot read {path}: {error}") from None
    values = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            value = ast.literal_eval(line.strip())
            _refuse_others(value, "it")
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise ValueError(
                f"environment.inputs: {path}, line {number}: {line.strip()[:60]!r} is not one "
                "Python literal of finite values"
            ) from None
        values.append(value)
    return values


def _ranges(given: Mapping[str, Any], combine: str) -> list[Any]:
    """Tuples with a part for each name, in the order of the names."""
    if not given:
        return []
    if combine == "cross":
        axes = [_values(name, _as_list(value)) for name, value in given.items()]
        _refuse_many(axes)
        return list(itertools.product(*axes))
    lengths = {name: len(value) for name, value in given.items() if isinstance(value, list | tuple)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise ValueError(f"environment.inputs: lists that are zipped must be equally long: {told}")
    values: list[Any] = []
    for place in range(next(iter(lengths.values()), 1)):
        axes = [
            _values(name, [value[place] if name in lengths else value])
            for name, value in given.items()
        ]
        _refuse_many(axes, len(values))
        values += itertools.product(*axes)
    return values


def _refuse_many(axes: list[list[Any]], before: int = 0) -> None:
    count = before + math.prod(len(axis) for axis in axes)
    if count > MOST:
        raise ValueError(f"environment.inputs: {count} or more, and {MOST} is the most")


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _values(name: str, given: list[Any]) -> list[Any]:
    """Scalars as they are, `[low, high]` as all whole numbers from low to high."""
    values: list[Any] = []
    for item in given:
        if isinstance(item, _SCALARS):
            values.append(item)
            continue
        ends = list(item) if isinstance(item, list | tuple) else []
        if len(ends) != 2 or any(type(end) is not int for end in ends):
            raise ValueError(
                f"environment.inputs.{name}: expected a value or [low, high] of whole numbers, "
                f"got {item!r}"
            )
        low, high = ends
        if low > high:
            raise ValueError(f"environment.inputs.{name}: [{low}, {high}] is empty")
        if high - low >= MOST:
            raise ValueError(f"environment.inputs.{name}: [{low}, {high}] is over {MOST} values")
        values += range(low, high + 1)
    return values


def order_by_size(inputs: Inputs) -> list[int]:
    """Positions of inputs, small ones first: by their largest number, then by their length."""

    def largest(value: Any) -> float:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list | tuple | set):
            return max(map(largest, value), default=0.0)
        return float(value) if isinstance(value, int | float) else 0.0

    texts = inputs.texts
    keys = [
        (largest(v), len(t), n) for n, (v, t) in enumerate(zip(inputs.values, texts, strict=True))
    ]
    return [number for *_, number in sorted(keys)]


def deal(order: Sequence[int], count: int) -> list[list[int]]:
    """Positions in so many parts of nearly the same length, the first inputs in the first."""
    size, more = divmod(len(order), count)
    parts, start = [], 0
    for number in range(count):
        end = start + size + (number < more)
        parts.append(list(order[start:end]))
        start = end
    return parts
