"""Axes of a specification: what its programs look like, what they score, what they take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from environments.artifact import BadArtifact
from environments.base import Axis, Program
from environments.code import MEASURES
from environments.construct import suggestion

DEFAULT: Mapping[str, Sequence[float]] = {"tree_size": [0, 200, 20], "names": [0, 30, 15]}
RESOURCES = {"cpu_seconds": "s", "memory_mb": "MB"}
_OTHERS = ("signature", "score", *RESOURCES)
_MOST_CELLS = 100_000


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a candidate when its descriptor is asked for."""

    program: Program
    fitness: float
    inputs: int  # how many there are
    scores: Mapping[int, float]  # by position of the input, of those that count
    values: Mapping[str, float]  # that the specification returns, the mean over inputs
    cpu_seconds: float
    memory_mb: float


def build(given: Mapping[str, Any], inputs: int) -> tuple[Axis, ...]:
    """Axes from names and `[low, high, cells]`, or `{low:, high:, cells:}`.

    Raises:
        ValueError: for a wrong value, naming the key.
    """
    if not given:
        raise ValueError("environment.descriptors: name at least one")
    return tuple(_axis(str(name), value, inputs) for name, value in given.items())


def _axis(name: str, given: Any, inputs: int) -> Axis:
    where = f"environment.descriptors.{name}"
    parts = given
    if isinstance(given, Mapping):
        if given.keys() != {"low", "high", "cells"}:
            raise ValueError(f"{where}: expected low, high and cells, got {', '.join(given)}")
        parts = [given["low"], given["high"], given["cells"]]
    numbers = isinstance(parts, list | tuple) and len(parts) == 3
    if not numbers or any(isinstance(p, bool) or not isinstance(p, int | float) for p in parts):
        raise ValueError(f"{where}: expected [low, high, cells], got {given!r}")
    low, high, cells = parts
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{where}: {low} must be below {high}, and both finite")
    if cells != int(cells) or not 1 <= cells <= _MOST_CELLS:
        raise ValueError(f"{where}: cells must be a whole number from 1 to {_MOST_CELLS}")
    kind, _, place = name.partition(":")
    if kind == "score" and place:
        try:
            known = -inputs <= int(place) < inputs
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"{where}: {place!r} is no position among {inputs} inputs, from 0 on")
    elif not name.isidentifier() and name not in MEASURES:
        raise ValueError(
            f"{where}: neither one of {', '.join((*MEASURES, *_OTHERS))}, score:POSITION, nor a "
            f"name that the specification can return{suggestion(name, (*MEASURES, *_OTHERS))}"
        )
    return Axis(name, float(low), float(high), int(cells), RESOURCES.get(name, ""))


def describe(axes: Sequence[Axis], found: Found) -> tuple[float, ...]:
    """One number for each axis.

    Raises:
        BadArtifact: if the specification did not return what an axis names.
    """
    return tuple(_value(axis, found) for axis in axes)


def _value(axis: Axis, found: Found) -> float:
    name = axis.name
    if name in MEASURES:
        return MEASURES[name](found.program)
    if name == "score":
        return found.fitness
    if name == "cpu_seconds":
        return found.cpu_seconds
    if name == "memory_mb":
        return found.memory_mb
    if name == "signature":
        text = repr(sorted(found.scores.items()))
        bucket = int.from_bytes(sha256(text.encode()).digest()[:8], "big") % axis.cells
        return axis.low + (bucket + 0.5) * (axis.high - axis.low) / axis.cells
    if name.startswith("score:"):
        return _score(int(name.partition(":")[2]), found)
    if name not in found.values:
        claimed = f"claimed {name}" in found.values
        hint = ", which is to be computed by its check" if claimed else ""
        raise BadArtifact(
            f"environment.descriptors.{name}: the specification returned no {name!r}{hint}"
        )
    return found.values[name]


def _score(place: int, found: Found) -> float:
    if place % found.inputs not in found.scores:
        raise BadArtifact(f"environment.descriptors.score:{place}: that input has failed")
    return found.scores[place % found.inputs]
