"""Solutions as self-contained SVG: circles, points with their hull, step functions, hexagons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import combinations
from typing import Any

from environments.optimisation.exact import hull, on_a_scale

SIZE = 400.0  # SVG units of the longer side of what is drawn
MARGIN = 12.0
INK = "#22262e"
STRUT = "#5c6470"
FILL = "#1b98a6"
MARK = "#e4572e"
PAPER = "#fbf7ef"

Place = tuple[float, float]


def draw(shape: str, task: str, artifact: Any) -> str | None:
    """A solution as SVG text; None for what does not lie in a plane.

    Args:
        shape: that of the problem.
        task: its name, for those who cannot see the picture.
        artifact: a solution that the judge has accepted.
    """
    if shape == "circles":
        return _circles(task, artifact)
    if shape == "points":
        return _points(task, artifact)
    if shape == "steps":
        return _steps(task, artifact)
    if shape == "hexagons":
        return _hexagons(task, artifact)
    return None


class _Canvas:
    """Collects marks in the solution's own units; y points up."""

    def __init__(self, low: Place, high: Place) -> None:
        self._low, self._high = low, high
        self._scale = SIZE / max(high[0] - low[0], high[1] - low[1], 1e-12)
        self._parts: list[str] = []

    def at(self, place: Place) -> str:
        x = MARGIN + (place[0] - self._low[0]) * self._scale
        y = MARGIN + (self._high[1] - place[1]) * self._scale
        return f"{x:.2f},{y:.2f}"

    def disc(self, place: Place, radius: float, style: str) -> None:
        x, y = self.at(place).split(",")
        self._parts.append(f'<circle cx="{x}" cy="{y}" r="{radius * self._scale:.2f}" {style}/>')

    def dot(self, place: Place, style: str) -> None:
        self.disc(place, 4.0 / self._scale, style)

    def polygon(self, places: Sequence[Place], style: str) -> None:
        self._parts.append(f'<polygon points="{" ".join(map(self.at, places))}" {style}/>')

    def finish(self, label: str) -> str:
        width = 2 * MARGIN + (self._high[0] - self._low[0]) * self._scale
        height = 2 * MARGIN + (self._high[1] - self._low[1]) * self._scale
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'role="img" aria-label="{escape(label)}">'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(self._parts)}</svg>'
        )


def _box(low: Place, high: Place) -> list[Place]:
    return [low, (high[0], low[1]), high, (low[0], high[1])]


def _circles(task: str, rows: Sequence[Sequence[float]]) -> str:
    if task == "cp":
        low, high = (0.0, 0.0), (1.0, 1.0)
    else:
        low = (min(x - r for x, _, r in rows), min(y - r for _, y, r in rows))
        high = (max(x + r for x, _, r in rows), max(y + r for _, y, r in rows))
    canvas = _Canvas(low, high)
    canvas.polygon(_box(low, high), f'fill="none" stroke="{INK}" stroke-width="2"')
    for x, y, r in rows:
        style = f'fill="{FILL}" fill-opacity="0.45" stroke="{INK}" stroke-width="1"'
        canvas.disc((x, y), r, style)
    return canvas.finish(f"{len(rows)} circles, sum of radii {sum(row[2] for row in rows):.6f}")


def _points(task: str, rows: Sequence[Sequence[float]]) -> str:
    places = [(float(x), float(y)) for x, y in rows]
    frame = [(0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(3.0) / 2)] if task == "ht" else []
    around = places + frame
    low = (min(x for x, _ in around), min(y for _, y in around))
    high = (max(x for x, _ in around), max(y for _, y in around))
    canvas = _Canvas(low, high)
    if frame:
        canvas.polygon(frame, f'fill="none" stroke="{INK}" stroke-width="2"')
    else:
        corners, scale = on_a_scale(places)
        outline = [(x / scale, y / scale) for x, y in hull(corners)]
        canvas.polygon(outline, f'fill="none" stroke="{STRUT}" stroke-dasharray="4 4"')
    marked = _nearest(places) if task == "mmd" else _smallest(places)
    canvas.polygon(marked, f'fill="{MARK}" fill-opacity="0.25" stroke="{MARK}"')
    for place in places:
        canvas.dot(place, f'fill="{FILL}" stroke="{INK}"')
    return canvas.finish(f"{len(places)} points of the task {task}")


def _nearest(places: Sequence[Place]) -> list[Place]:
    return list(min(combinations(places, 2), key=lambda pair: math.dist(*pair)))


def _smallest(places: Sequence[Place]) -> list[Place]:
    def size(corners: Sequence[Place]) -> float:
        (ax, ay), (bx, by), (cx, cy) = corners
        return abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    return min((list(corners) for corners in combinations(places, 3)), key=size)


def _steps(task: str, heights: Sequence[float]) -> str:
    low, high = min(0.0, *heights), max(0.0, *heights)
    tall = (high - low) or 1.0
    canvas = _Canvas((0.0, low / tall / 2), (1.0, (low + tall) / tall / 2))
    width = 1.0 / len(heights)
    outline: list[Place] = [(0.0, 0.0)]
    for i, height in enumerate(heights):
        outline += [(i * width, height / tall / 2), ((i + 1) * width, height / tall / 2)]
    outline.append((1.0, 0.0))
    canvas.polygon(outline, f'fill="{FILL}" fill-opacity="0.45" stroke="{INK}"')
    return canvas.finish(f"{len(heights)} steps of the task {task}")


def _hexagons(task: str, solution: dict[str, Any]) -> str:
    x, y, degrees, side = solution["outer"]
    frame = _hexagon(x, y, degrees, side)
    low = (min(x for x, _ in frame), min(y for _, y in frame))
    high = (max(x for x, _ in frame), max(y for _, y in frame))
    canvas = _Canvas(low, high)
    canvas.polygon(frame, f'fill="none" stroke="{INK}" stroke-width="2"')
    for u, v, turn in solution["hexagons"]:
        style = f'fill="{FILL}" fill-opacity="0.45" stroke="{INK}" stroke-width="1"'
        canvas.polygon(_hexagon(u, v, turn, 1.0), style)
    return canvas.finish(f"{len(solution['hexagons'])} hexagons in one of side {side:.6f}")


def _hexagon(x: float, y: float, degrees: float, side: float) -> list[Place]:
    angles = [math.radians(degrees + 60 * k) for k in range(6)]
    return [(x + side * math.cos(angle), y + side * math.sin(angle)) for angle in angles]
