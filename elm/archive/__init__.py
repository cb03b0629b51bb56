"""The archive: descriptor spaces, cells with depth, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta

from elm.archive.archive import Archive, Behaviours, OutOfRange
from elm.archive.corrected import corrected
from elm.archive.insertion import Counters, Insertion, Outcome
from elm.archive.space import CVTSpace, GridSpace, Space
from environments.base import Axis
from environments.construct import construct

__all__ = [
    "Archive",
    "CVTSpace",
    "Counters",
    "GridSpace",
    "Insertion",
    "Outcome",
    "Space",
    "build",
    "corrected",
]

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]


def _grid(
    axes: Sequence[Axis],
    f_min: float,
    depth: Positive = 1,
    out_of_range: OutOfRange = "reject",
    behaviours: Behaviours = "any",
) -> Archive:
    return Archive(
        GridSpace(axes), f_min=f_min, depth=depth, out_of_range=out_of_range, behaviours=behaviours
    )


def _cvt(
    axes: Sequence[Axis],
    f_min: float,
    cells: Positive = 1000,
    seed: NotNegative = 0,
    samples: Positive = 10_000,
    depth: Positive = 1,
    out_of_range: OutOfRange = "reject",
    behaviours: Behaviours = "any",
) -> Archive:
    space = CVTSpace(axes, cells, seed=seed, samples=samples)
    return Archive(
        space, f_min=f_min, depth=depth, out_of_range=out_of_range, behaviours=behaviours
    )


def build(settings: Mapping[str, Any], axes: Sequence[Axis], f_min: float) -> Archive:
    """An empty archive from the section `archive` of the configuration.

    Raises:
        ValueError: for an unknown name or setting or a wrong value, in one line with its key.
    """
    archive: Archive = construct("archive", settings, {"grid": _grid, "cvt": _cvt}, axes, f_min)
    return archive
