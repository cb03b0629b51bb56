"""Axes of a folder's archive: what the text of a program says, and metrics, with fixed limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from environments.artifact import BadArtifact
from environments.base import Axis, Program
from environments.code import MEASURES

CELLS = 20
_ROOM = 4  # times what the first program has: how far a measure's axis reaches
_DEFAULT = ("code_length", "tree_size")
_COMPLEXITY = "complexity"  # OpenEvolve's name for the length of a program
_UNITS = {"code_length": "characters", "tree_size": "nodes", "names": "names"}
MAX_CELLS = 1_000_000


def axes(
    chosen: Mapping[str, Sequence[float]], features: Sequence[str], bins: int | None, first: Program
) -> tuple[tuple[Axis, ...], list[str]]:
    """Axes, and what had to be left out of `features`, a line each.

    Args:
        chosen: by name [low, high, cells], as settings give it; where it is empty,
        features: the dimensions that the folder's configuration names; where none of them can be
            had, length and size of the program.
        bins: cells of each dimension in the folder's configuration, if it says so.
        first: the program from which limits are derived that nobody gives.

    Raises:
        ValueError: for limits that are none, naming the setting.
    """
    if chosen:
        found = tuple(_axis(name, limits) for name, limits in chosen.items())
        if math.prod(axis.cells for axis in found) > MAX_CELLS:
            raise ValueError(f"descriptors: over {MAX_CELLS} cells together")
        return found, []
    measures: list[str] = []
    lines: list[str] = []
    for feature in features:
        name = _DEFAULT[0] if feature == _COMPLEXITY else feature
        if name not in MEASURES:
            lines.append(
                f"database.feature_dimensions names {feature!r}, which is left out until it has "
                f"fixed limits: environment.descriptors='{{{feature}: [low, high, cells]}}'"
            )
        elif name not in measures:
            measures.append(name)
    if features and not measures:
        lines.append(f"cells are made of {' and '.join(_DEFAULT)}")
    return tuple(_measured(name, first, bins or CELLS) for name in measures or _DEFAULT), lines


def _axis(name: str, limits: Sequence[float]) -> Axis:
    if len(limits) != 3:
        raise ValueError(f"descriptors.{name}: expected [low, high, cells], got {list(limits)}")
    low, high, cells = limits
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"descriptors.{name}: low must be below high, got {low:g} and {high:g}")
    if cells != int(cells) or cells < 1:
        raise ValueError(f"descriptors.{name}: cells must be a whole number from 1, got {cells:g}")
    return Axis(name, float(low), float(high), int(cells), _UNITS.get(name, ""))


def _measured(name: str, first: Program, cells: int) -> Axis:
    reach = _ROOM * max(1.0, MEASURES[name](first))
    step = 10 ** max(0, math.floor(math.log10(reach)) - 1)  # two digits are enough
    return Axis(name, 0.0, math.ceil(reach / step) * float(step), cells, _UNITS[name])


def descriptor(
    axes: Sequence[Axis], program: Program, metrics: Mapping[str, float]
) -> tuple[float, ...]:
    """Where a program stands.

    Raises:
        BadArtifact: if its evaluation lacks a metric that an axis is made of.
    """
    return tuple(_values(axes, program, metrics))


def _values(
    axes: Sequence[Axis], program: Program, metrics: Mapping[str, float]
) -> Iterator[float]:
    for axis in axes:
        if axis.name in metrics:
            yield metrics[axis.name]
        elif axis.name in MEASURES:
            yield MEASURES[axis.name](program)
        else:
            raise BadArtifact(
                f"no metric {axis.name!r}, which environment.descriptors names; "
                f"there are {', '.join(metrics) or 'none'}"[:250]
            )
