"""Turns a program into a picture as plain data. Runs inside the jail."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from environments.image.brush import blank, disc, rectangle
from environments.image.canvas import CHANNELS, SIDE

FILE = "image.py"
ENTRY = "draw"


def produce(files: dict[str, str], settings: dict[str, Any]) -> str:
    """Runs `draw()` of `image.py`.

    A picture may be an array or nested lists of 32 rows of 32 pixels of 3 numbers, or 32 by 32
    numbers (grey). Numbers are rounded down and limited to 0..255.

    Returns:
        The 3072 bytes, row by row from the top, as base64.

    Raises:
        ValueError: if the program has no `draw`, or it draws no such picture.
        Exception: whatever else the program raises.
    """
    namespace: dict[str, Any] = {
        "__name__": "image",
        "math": math,
        "np": np,
        "blank": blank,
        "rectangle": rectangle,
        "disc": disc,
    }
    exec(compile(files[FILE], FILE, "exec"), namespace)
    entry = namespace.get(ENTRY)
    if not callable(entry):
        raise ValueError(f"{FILE} defines no function {ENTRY}")
    return base64.b64encode(_pixels(entry()).tobytes()).decode("ascii")


def _pixels(value: Any) -> np.ndarray:
    try:
        if np.iscomplexobj(value):
            raise TypeError
        picture = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"a picture must be numbers, got {type(value).__name__}") from None
    if picture.shape == (SIDE, SIDE):
        picture = np.repeat(picture[:, :, None], CHANNELS, axis=2)
    if picture.shape != (SIDE, SIDE, CHANNELS):
        raise ValueError(f"a picture has shape (32, 32, 3), got {picture.shape}")
    if not np.isfinite(picture).all():
        raise ValueError("a picture's numbers must be finite")
    return np.clip(picture, 0, 255).astype(np.uint8)
