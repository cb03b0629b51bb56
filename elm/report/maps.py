"""Heat maps of an archive: where in behaviour space programs were found, and how good.

One descriptor gives bars, two a map, three or four a map for each pair of them which shows the
best over the others, and more parallel axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from elm.archive import Archive, CVTSpace, GridSpace
from elm.report.figures import objective_label
from elm.report.style import EMPTY, LINE, MUTED, Sheet, colour_map
from environments.base import Axis, Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VECTOR_CELLS = 2_500  # a map of more cells is embedded as an image
_PIXELS = 240  # along each side of a drawn tessellation
_MAPS = 4  # descriptors up to which all pairs are shown


def axis_label(axis: Axis) -> str:
    """ "height (m)"."""
    return f"{axis.name} ({axis.unit})" if axis.unit else axis.name


def heat_map(archive: Archive, objective: Objective) -> str:
    """The archive's best fitness over its descriptors, within their fixed limits."""
    axes = archive.space.axes
    best = {cell: elite for cell, rank, elite in archive.ranked() if rank == 0}
    fitness = {cell: float(e.evaluation.fitness or 0.0) for cell, e in best.items()}
    if len(axes) > _MAPS:
        return _parallel(archive, objective)
    pairs = list(combinations(range(len(axes)), 2))
    size = (3.75, 3.0) if len(pairs) > 1 else (5.2, 3.6)
    with Sheet(max(1, len(pairs)), 3, size) as sheet:
        scale = _scale(list(fitness.values()))
        for panel, pair in zip(sheet.axes, pairs, strict=False):
            _map(panel, archive, fitness, pair, scale)
        if not pairs:
            _bars(sheet.axes[0], archive, fitness, scale, objective)
        elif fitness:
            bar = sheet.figure.colorbar(scale, ax=sheet.axes, shrink=0.9, pad=0.015, aspect=26)
            bar.set_label(objective_label(objective))
            bar.outline.set_visible(False)
        return sheet.svg("Best fitness of each cell over the descriptors")


def _scale(values: Sequence[float]) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return ScalarMappable(Normalize(low, high if high > low else low + 1.0), colour_map())


def _frame(panel: Axes, x: Axis, y: Axis) -> None:
    panel.set_xlim(x.low, x.high)
    panel.set_ylim(y.low, y.high)
    panel.set_xlabel(axis_label(x))
    panel.set_ylabel(axis_label(y))
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _map(
    panel: Axes, archive: Archive, fitness: dict[int, float], pair: tuple[int, int], scale: Any
) -> None:
    space = archive.space
    x, y = (space.axes[i] for i in pair)
    _frame(panel, x, y)
    panel.set_facecolor(EMPTY)
    if isinstance(space, GridSpace):
        table = np.full((y.cells, x.cells), np.nan)
        for cell, value in fitness.items():
            place = space.coordinates(cell)
            column, row = place[pair[0]], place[pair[1]]
            table[row, column] = np.nanmax([table[row, column], value])
        panel.pcolormesh(
            space.edges[pair[0]], space.edges[pair[1]], np.ma.masked_invalid(table),
            norm=scale.norm, cmap=scale.cmap, edgecolors=LINE, linewidth=0.15,
            rasterized=table.size > _VECTOR_CELLS,
        )  # fmt: skip
    elif isinstance(space, CVTSpace) and space.dimensions == 2:
        _tessellation(panel, space, fitness, scale)
    elif isinstance(space, CVTSpace):
        _centroids(panel, space, fitness, pair, scale)


def _tessellation(panel: Axes, space: CVTSpace, fitness: dict[int, float], scale: Any) -> None:
    """Voronoi cells: the nearest centroid of every point of a fine raster."""
    x, y = space.axes
    low, width = np.array([x.low, y.low]), np.array([x.high - x.low, y.high - y.low])
    centroids = (space.centroids - low) / width
    values = np.array([fitness.get(cell, np.nan) for cell in range(space.cells)])
    steps = (np.arange(_PIXELS) + 0.5) / _PIXELS
    across = np.square(steps[:, None] - centroids[:, 0])
    table = np.stack([values[(across + np.square(s - centroids[:, 1])).argmin(1)] for s in steps])
    panel.imshow(
        np.ma.masked_invalid(table), norm=scale.norm, cmap=scale.cmap, origin="lower",
        extent=(x.low, x.high, y.low, y.high), aspect="auto", interpolation="nearest",
    )  # fmt: skip


def _centroids(
    panel: Axes, space: CVTSpace, fitness: dict[int, float], pair: tuple[int, int], scale: Any
) -> None:
    """The centroids of held cells, the best drawn last; those of empty cells are faint."""
    held = sorted(fitness, key=lambda cell: fitness[cell])
    empty = sorted(set(range(space.cells)) - set(held))
    xs, ys = space.centroids[:, pair[0]], space.centroids[:, pair[1]]
    panel.scatter(
        xs[empty], ys[empty], s=5, color=LINE, linewidth=0,
        rasterized=len(empty) > _VECTOR_CELLS,
    )  # fmt: skip
    panel.scatter(
        xs[held], ys[held], s=16, c=[fitness[cell] for cell in held],
        norm=scale.norm, cmap=scale.cmap, linewidth=0, rasterized=len(held) > _VECTOR_CELLS,
    )  # fmt: skip


def _bars(
    panel: Axes, archive: Archive, fitness: dict[int, float], scale: Any, objective: Objective
) -> None:
    space = archive.space
    axis = space.axes[0]
    cells = sorted(fitness)
    heights = [fitness[cell] for cell in cells]
    if isinstance(space, GridSpace):
        edges = space.edges[0]
        starts = [edges[cell] for cell in cells]
        widths = [edges[cell + 1] - edges[cell] for cell in cells]
    elif isinstance(space, CVTSpace):
        width = (axis.high - axis.low) / space.cells
        starts = [float(space.centroids[cell, 0]) - width / 2 for cell in cells]
        widths = [width] * len(cells)
    else:
        return
    low, high = (min(heights), max(heights)) if heights else (0.0, 1.0)
    # Bars stand on the QD score's offset, unless that is so far away that all would look alike.
    floor = archive.f_min if low - archive.f_min <= 4 * (high - low) else low - 0.1 * (high - low)
    panel.bar(
        starts, [h - floor for h in heights], widths, bottom=floor, align="edge",
        color=[scale.to_rgba(h) for h in heights], linewidth=0,
    )  # fmt: skip
    panel.set_xlim(axis.low, axis.high)
    panel.set_xlabel(axis_label(axis))
    panel.set_ylabel(objective_label(objective))
    panel.grid(axis="y")


def _parallel(archive: Archive, objective: Objective) -> str:
    """Parallel axes: a line for each elite, each descriptor within its limits, the best on top."""
    axes = archive.space.axes
    elites = sorted(archive.elites(), key=lambda e: e.evaluation.fitness or 0.0)
    with Sheet(1, 1, (9.5, 3.4)) as sheet:
        panel = sheet.axes[0]
        scale = _scale([e.evaluation.fitness or 0.0 for e in elites])
        for elite in elites:
            values = elite.evaluation.descriptor or ()
            heights = [(v - a.low) / (a.high - a.low) for a, v in zip(axes, values, strict=True)]
            panel.plot(
                heights, color=scale.to_rgba(elite.evaluation.fitness), lw=0.9, alpha=0.7,
                rasterized=len(elites) > 300,
            )  # fmt: skip
        for position, axis in enumerate(axes):
            panel.axvline(position, color=MUTED, lw=0.8)
            for height, limit, side in ((0.0, axis.low, "top"), (1.0, axis.high, "bottom")):
                panel.annotate(
                    f"{limit:g}", (position, height), (0, -4 if side == "top" else 4),
                    textcoords="offset points", ha="center", va=side, color=MUTED, fontsize=8,
                )  # fmt: skip
        panel.set_xticks(range(len(axes)), [axis_label(axis) for axis in axes])
        panel.tick_params(length=0, pad=14)
        panel.set_yticks([])
        panel.set_ylim(-0.02, 1.02)
        for spine in panel.spines.values():
            spine.set_visible(False)
        if elites:
            bar = sheet.figure.colorbar(scale, ax=panel, shrink=0.9, pad=0.02)
            bar.set_label(objective_label(objective))
            bar.outline.set_visible(False)
        return sheet.svg("Elites on parallel axes")
