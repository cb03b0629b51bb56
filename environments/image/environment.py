"""Image: evolve programs that draw a small picture.

After the image domain of OpenELM, with a target shape in place of a fixed photograph: an archive
over mean red, green and blue then asks for the same shape in every colour.
"""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

from environments import settings
from environments.base import Axis, Environment, Objective, Program, Prompt, Seed
from environments.image.canvas import CHANNELS, SIDE
from environments.image.seeds import SEEDS

FILE = "image.py"
TARGETS = ("ring", "cross", "diamond", "stripes")

PREAMBLE = '''\
"""Pictures of 32 x 32 pixels. picture[y, x] = [red, green, blue], each from 0 to 255.

blank(red, green, blue): a picture of one colour, to start with.
rectangle(picture, x0, y0, x1, y1, red, green, blue): paints a rectangle.
disc(picture, x, y, radius, red, green, blue): paints a disc.
"""
import math
import numpy as np
'''


class Image(Environment):
    """Programs `draw()` that return a picture of (32, 32, 3) bytes.

    Fitness is how well the picture's shape correlates with the target's, in [0, 1], whatever its
    colours.

    Args:
        target: "ring", "cross", "diamond" or "stripes".
        cells: of each of the three axes.
        seeds: which pictures to start from, of `environments.image.seeds`.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "image"
    version = 1
    objective = Objective("likeness", f_min=0.0, f_max=1.0)
    preload = ("numpy",)
    producer_modules: ClassVar[tuple[str, ...]] = (
        "environments.image.producer",
        "environments.image.brush",
        "environments.image.canvas",
    )
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.image.judge",
        "environments.image.targets",
        "environments.image.canvas",
        "environments.artifact",
    )

    def __init__(
        self, target: str = "ring", cells: int = 4, seeds: Sequence[str] = tuple(SEEDS)
    ) -> None:
        self._target = settings.choice("target", target, TARGETS)
        count = settings.integer("cells", cells, low=1, high=64)
        self._seeds = settings.choices("seeds", seeds, SEEDS)
        self.axes = tuple(Axis(name, 0.0, 255.0, count) for name in ("red", "green", "blue"))
        self.prompt = Prompt(
            instruction=f"draw() returns a picture of a {self._target} in any two colours.",
            file=FILE,
            entry="draw",
            opening="def draw():",
            preamble=PREAMBLE,
            commit_messages=(
                ("Changed draw function.", 0.4),
                ("Changed colors and numbers in draw function.", 0.3),
                ("Small change to draw function.", 0.3),
            ),
        )

    def seeds(self) -> list[Seed]:
        return [Seed(name, Program({FILE: SEEDS[name]})) for name in self._seeds]

    def judge_settings(self) -> dict[str, Any]:
        return {"target": self._target}

    def random_program(self, rng: random.Random) -> Program:
        """A random background with one to five random rectangles and discs on it."""

        def numbers(*limits: int) -> str:
            return ", ".join(str(rng.randrange(limit)) for limit in (*limits, 256, 256, 256))

        lines = [
            "def draw():",
            f"    picture = blank({numbers()})",
        ]
        for _ in range(rng.randint(1, 5)):
            if rng.random() < 0.5:
                corners = numbers(SIDE + 1, SIDE + 1, SIDE + 1, SIDE + 1)
                lines.append(f"    rectangle(picture, {corners})")
            else:
                lines.append(f"    disc(picture, {numbers(SIDE, SIDE, SIDE // 2)})")
        lines.append("    return picture")
        return Program({FILE: "\n".join(lines) + "\n"})

    def render(self, artifact: Any) -> str | None:
        """The picture, eight times its size, its pixels kept sharp."""
        png = _png(base64.b64decode(artifact, validate=True))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" '
            f'width="{8 * SIDE}" height="{8 * SIDE}" role="img" aria-label="a picture">'
            f'<image width="{SIDE}" height="{SIDE}" style="image-rendering: pixelated" '
            f'href="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"/></svg>'
        )


def _png(pixels: bytes) -> bytes:
    """A picture of 32 by 32 RGB bytes as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    width = SIDE * CHANNELS
    rows = b"".join(b"\0" + pixels[i : i + width] for i in range(0, len(pixels), width))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(rows, 9)),
            chunk(b"IEND", b""),
        ]
    )
