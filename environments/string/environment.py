"""String: evolve programs that write a line of text, towards a target that they are not told."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from typing import Any, ClassVar

from environments import settings
from environments.base import Axis, Environment, Objective, Program, Prompt, Seed

FILE = "string.py"

HELLO = """\
def make_string():
    return "hello world"
"""

WORDS = """\
def make_string():
    words = ["an", "open", "end"]
    return " ".join(words)
"""

LETTERS = """\
def make_string():
    text = ""
    for i in range(12):
        text = text + chr(97 + i)
    return text
"""

SEEDS = {"hello": HELLO, "words": WORDS, "letters": LETTERS}
MAX_TARGET = 47  # the longest text that has a cell


class String(Environment):
    """Programs `make_string()` that return a line of text.

    Args:
        target: what the judge compares with; 1 to 47 printable characters.
        seeds: which programs to start from: hello, words, letters.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "string"
    version = 1
    axes = (
        # Four lengths and two counts a cell, with limits between whole numbers.
        Axis("length", -0.5, 47.5, 12, "characters"),
        Axis("distinct characters", -0.5, 23.5, 12),
    )
    objective = Objective("likeness", f_min=0.0, f_max=1.0)
    prompt = Prompt(
        instruction="make_string() returns a short line of text, such as a phrase.",
        file=FILE,
        entry="make_string",
        opening="def make_string():",
        commit_messages=(
            ("Changed make_string function.", 0.5),
            ("Small change to make_string function.", 0.5),
        ),
    )
    producer_modules: ClassVar[tuple[str, ...]] = ("environments.string.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.string.judge",
        "environments.artifact",
    )

    def __init__(
        self, target: str = "quality diversity", seeds: Sequence[str] = tuple(SEEDS)
    ) -> None:
        if not isinstance(target, str) or not target.isprintable():
            raise ValueError(f"environment.target must be a line of text, got {target!r}")
        if not 1 <= len(target) <= MAX_TARGET:
            raise ValueError(
                f"environment.target must have 1 to {MAX_TARGET} characters, got {len(target)}"
            )
        self._target = target
        self._seeds = settings.choices("seeds", seeds, SEEDS)

    def seeds(self) -> list[Seed]:
        return [Seed(name, Program({FILE: SEEDS[name]})) for name in self._seeds]

    def judge_settings(self) -> dict[str, Any]:
        return {"target": self._target}

    def random_program(self, rng: random.Random) -> Program:
        """A text of random length, of small letters and spaces drawn at random."""
        letters = string.ascii_lowercase + " "
        text = "".join(rng.choice(letters) for _ in range(rng.randint(1, MAX_TARGET)))
        return Program({FILE: f"def make_string():\n    return {text!r}\n"})
