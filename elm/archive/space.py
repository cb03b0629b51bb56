"""Descriptor spaces: which cell of the archive a behaviour belongs to.

Limits are fixed when a space is made and never move, so that a descriptor belongs to the same
cell at the end of a run as at its beginning.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from environments.base import Axis

MAX_CELLS = 2**53  # beyond it a cell's number is no longer exact where JSON readers use floats


class Space(Protocol):
    """Divides behaviour into cells that are numbered from 0.

    `cell_of` expects finite numbers, one for each axis; the archive checks that once, at its door.
    """

    axes: tuple[Axis, ...]
    cells: int

    @property
    def dimensions(self) -> int:
        """How many numbers a descriptor has."""

    def cell_of(self, descriptor: Sequence[float]) -> int | None:
        """The cell of a descriptor, or None where it lies outside of the limits."""

    def clip(self, descriptor: Sequence[float]) -> tuple[float, ...]:
        """The nearest descriptor within the limits."""


def check_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Axes that a space can be made of.

    Raises:
        ValueError: if there are none, two share a name, or one has impossible limits.
    """
    if not axes:
        raise ValueError("axes: expected at least one, got none")
    seen: set[str] = set()
    for axis in axes:
        if axis.name in seen:
            raise ValueError(f"axes: the name {axis.name!r} is used twice")
        seen.add(axis.name)
        if not (math.isfinite(axis.low) and math.isfinite(axis.high) and axis.low < axis.high):
            raise ValueError(
                f"axis {axis.name!r}: expected finite limits with low < high, "
                f"got low {axis.low} and high {axis.high}"
            )
        if isinstance(axis.cells, bool) or not isinstance(axis.cells, int) or axis.cells < 1:
            raise ValueError(f"axis {axis.name!r}: expected cells >= 1, got {axis.cells!r}")
    return tuple(axes)


def _clip(axes: Sequence[Axis], descriptor: Sequence[float]) -> tuple[float, ...]:
    return tuple(
        min(max(float(x), axis.low), axis.high) for axis, x in zip(axes, descriptor, strict=True)
    )


def _edges(axis: Axis) -> list[float]:
    width = axis.high - axis.low
    edges = [axis.low + width * k / axis.cells for k in range(axis.cells)] + [axis.high]
    if not all(a < b for a, b in pairwise(edges)):
        raise ValueError(
            f"axis {axis.name!r}: {axis.cells} cells between {axis.low} and {axis.high} "
            "are narrower than floating point can tell apart; use fewer"
        )
    return edges


class GridSpace:
    """Boxes of equal width along each axis; each axis has its own number of cells.

    Cell `k` of an axis holds `edges[k] <= x < edges[k + 1]`, where the edges are the
    floating-point numbers `low + (high - low) * k / cells`; the last cell holds `high` as well.
    Nothing is rounded and no tolerance is added: a number that is one unit in the last place below
    an edge is in the cell below it. Cells are numbered in row-major order, the last axis fastest.

    Raises:
        ValueError: if an axis has impossible limits or too many cells.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = check_axes(axes)
        self.cells = math.prod(axis.cells for axis in self.axes)
        if self.cells > MAX_CELLS:
            raise ValueError(f"axes: {self.cells} cells in all, expected at most {MAX_CELLS}")
        self.edges = tuple(tuple(_edges(axis)) for axis in self.axes)
        # Between the limits, the number of inner edges at or below x is its index.
        self._lookup = tuple(
            (axis.low, axis.high, axis.cells, edges[1:-1])
            for axis, edges in zip(self.axes, self.edges, strict=True)
        )

    @property
    def dimensions(self) -> int:
        return len(self.axes)

    def cell_of(self, descriptor: Sequence[float]) -> int | None:
        cell = 0
        for x, (low, high, cells, inner) in zip(descriptor, self._lookup, strict=True):
            if not low <= x <= high:
                return None
            cell = cell * cells + bisect_right(inner, x)
        return cell

    def clip(self, descriptor: Sequence[float]) -> tuple[float, ...]:
        return _clip(self.axes, descriptor)

    def coordinates(self, cell: int) -> tuple[int, ...]:
        """The index along each axis of a cell.

        Raises:
            ValueError: if there is no such cell.
        """
        if not 0 <= cell < self.cells:
            raise ValueError(f"cell: expected 0 to {self.cells - 1}, got {cell}")
        indices = []
        for axis in reversed(self.axes):
            cell, index = divmod(cell, axis.cells)
            indices.append(index)
        return tuple(reversed(indices))


class CVTSpace:
    """Voronoi cells around centroids that are spread evenly over the limits (CVT-MAP-Elites).

    The number of cells does not grow with the number of axes. Distances are Euclidean in units of
    each axis' width, so that no axis counts more for having larger numbers; the nearest centroid
    wins, the lower cell where two are equally near. The axes' own numbers of cells are not used.

    The centroids come from Lloyd's k-means over `samples` uniform points and depend on the
    arguments alone: plain element-wise arithmetic, whose last bit no linear-algebra library
    decides.

    Args:
        axes: names and limits.
        cells: how many centroids.
        seed: of the uniform points.
        samples: how many uniform points; at least `cells`.
        iterations: of Lloyd's algorithm at most; it ends before once nothing moves.

    Raises:
        ValueError: if an argument is out of range.

    Source: Vassiliades, Chatzilygeroudis, Mouret, "Using Centroidal Voronoi Tessellations to
    Scale Up the Multidimensional Archive of Phenotypic Elites Algorithm", 2018.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        cells: int,
        seed: int = 0,
        samples: int = 10_000,
        iterations: int = 20,
    ) -> None:
        self.axes = check_axes(axes)
        if cells < 1:
            raise ValueError(f"cells: expected at least 1, got {cells}")
        if samples < cells:
            raise ValueError(
                f"samples: expected at least as many as cells ({cells}), got {samples}"
            )
        if iterations < 0:
            raise ValueError(f"iterations: expected 0 or more, got {iterations}")
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        self.cells = cells
        self._low = np.array([axis.low for axis in self.axes])
        self._width = np.array([axis.high - axis.low for axis in self.axes])
        self._limits = tuple((axis.low, axis.high) for axis in self.axes)
        points = np.random.default_rng(seed).random((len(self.axes), samples))
        self._unit = _lloyd(points, cells, iterations)  # (dimensions, cells), in [0, 1]
        self._unit.flags.writeable = False

    @property
    def dimensions(self) -> int:
        return len(self.axes)

    @property
    def centroids(self) -> np.ndarray:
        """(cells, dimensions) array, in the descriptor's own units."""
        return self._low + self._unit.T * self._width

    def cell_of(self, descriptor: Sequence[float]) -> int | None:
        for x, (low, high) in zip(descriptor, self._limits, strict=True):
            if not low <= x <= high:
                return None
        point = (np.asarray(descriptor, dtype=float) - self._low) / self._width
        return int(np.square(self._unit - point[:, None]).sum(axis=0).argmin())

    def clip(self, descriptor: Sequence[float]) -> tuple[float, ...]:
        return _clip(self.axes, descriptor)


def _nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The index of the nearest centroid for each of the points; both are (dimensions, n)."""
    count = points.shape[1]
    nearest = np.empty(count, dtype=np.intp)
    step = max(1, 1_000_000 // centroids.shape[1])  # keeps the distance table near 8 MB
    for start in range(0, count, step):
        chunk = points[:, start : start + step]
        distance = np.zeros((chunk.shape[1], centroids.shape[1]))
        for row, centroid in zip(chunk, centroids, strict=True):
            distance += np.square(row[:, None] - centroid[None, :])
        nearest[start : start + step] = distance.argmin(axis=1)
    return nearest


def _lloyd(points: np.ndarray, cells: int, iterations: int) -> np.ndarray:
    centroids = points[:, :cells].copy()  # uniform points are as good a start as any
    nearest = None
    for _ in range(iterations):
        assigned = _nearest(points, centroids)
        if nearest is not None and np.array_equal(assigned, nearest):
            break
        nearest = assigned
        counts = np.bincount(nearest, minlength=cells)
        held = counts > 0  # a centroid that holds no point stays where it is
        for row, coordinates in zip(centroids, points, strict=True):
            sums = np.bincount(nearest, weights=coordinates, minlength=cells)
            row[held] = sums[held] / counts[held]
    return centroids
