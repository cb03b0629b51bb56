"""The shapes that pictures are compared with. Known to the judge alone."""

from __future__ import annotations

import numpy as np

from environments.image.canvas import SIDE


def target(name: str) -> np.ndarray:
    """A shape as an array of (32, 32) floats, 1 inside and 0 outside.

    Raises:
        KeyError: if there is no such shape.
    """
    y, x = np.mgrid[0:SIDE, 0:SIDE] - (SIDE - 1) / 2
    radius = np.hypot(x, y)
    shapes = {
        "ring": (radius > 7.0) & (radius < 12.0),
        "cross": ((abs(x) < 4.0) | (abs(y) < 4.0)) & (abs(x) < 13.0) & (abs(y) < 13.0),
        "diamond": abs(x) + abs(y) < 12.0,
        "stripes": (np.floor((x + y) / 6.0) % 2) == 0,
    }
    return shapes[name].astype(float)
