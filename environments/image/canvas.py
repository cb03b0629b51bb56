"""The size of a picture, which producer, judge and search agree on."""

from __future__ import annotations

SIDE = 32  # pixels each way
CHANNELS = 3  # red, green, blue
BYTES = SIDE * SIDE * CHANNELS
