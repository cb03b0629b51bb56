"""Pictures to start from: short programs, flat enough to be varied by a mutation or a model."""

from __future__ import annotations

PATCH = """\
def draw():
    picture = blank(120, 120, 120)
    rectangle(picture, 4, 4, 10, 10, 200, 40, 40)
    return picture
"""

DISC = """\
def draw():
    picture = blank(30, 60, 150)
    disc(picture, 12, 20, 6, 240, 200, 60)
    return picture
"""

SQUARES = """\
def draw():
    picture = blank(0, 0, 0)
    for x in range(0, 32, 8):
        for y in range(0, 32, 8):
            rectangle(picture, x, y, x + 4, y + 4, 8 * x, 90, 8 * y)
    return picture
"""

WAVES = """\
def draw():
    picture = blank(0, 0, 0)
    for x in range(0, 32, 4):
        for y in range(0, 32, 4):
            wave = 128 + 60 * math.sin(0.4 * x) + 60 * math.cos(0.3 * y)
            rectangle(picture, x, y, x + 4, y + 4, wave, 0.5 * wave, 255 - wave)
    return picture
"""

SEEDS = {"patch": PATCH, "disc": DISC, "squares": SQUARES, "waves": WAVES}
