"""What a drawing program may paint with. What lies outside the picture is left out."""

from __future__ import annotations

import numpy as np

from environments.image.canvas import SIDE

_Y, _X = np.mgrid[0:SIDE, 0:SIDE]


def blank(red: float = 0, green: float = 0, blue: float = 0) -> np.ndarray:
    """A picture of one colour, as an array of (32, 32, 3) floats."""
    return np.tile(np.array([red, green, blue], dtype=float), (SIDE, SIDE, 1))


def rectangle(
    picture: np.ndarray,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    red: float = 0,
    green: float = 0,
    blue: float = 0,
) -> None:
    """Paints the pixels with x0 <= x < x1 and y0 <= y < y1; the corners come in any order."""
    left, right = min(x0, x1), max(x0, x1)
    top, bottom = min(y0, y1), max(y0, y1)
    inside = (left <= _X) & (right > _X) & (top <= _Y) & (bottom > _Y)
    picture[inside] = (red, green, blue)


def disc(
    picture: np.ndarray,
    x: float,
    y: float,
    radius: float,
    red: float = 0,
    green: float = 0,
    blue: float = 0,
) -> None:
    """Paints the pixels whose distance from (x, y) is below the radius."""
    picture[np.hypot(_X - x, _Y - y) < radius] = (red, green, blue)
