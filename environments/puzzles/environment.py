"""Puzzles: evolve programs whose return value satisfies a checker.

After the programming puzzles of Schuster et al. ("Programming Puzzles", 2021): a puzzle is a
function `sat(answer) -> bool`, and solving it is to write a `sol()` with `sat(sol()) is True`.
What is right needs no expected answer, and one who reads the checker knows all about it.
"""

from __future__ import annotations

import random
import textwrap
from typing import Any, ClassVar

from environments.base import Axis, Environment, Objective, Program, Prompt, Seed
from environments.puzzles.answers import parse_kind
from environments.puzzles.loading import choose
from environments.puzzles.seeds import bodies, random_answer

FILE = "puzzle.py"
DEFAULT = "golomb"

PREAMBLE = '''\
"""sol() returns an answer for which sat(answer) is True."""
import math

{statement}
{checker}'''


class Puzzles(Environment):
    """Programs `sol()` that return an answer to one puzzle, as plain data.

    The answer's type is checked first and strictly; then the checker runs in the judge, which is a
    jailed process of its own, and never beside the program. Descriptors are taken from the answer
    alone, hence no program can choose its cell but by what it answers: how many parts it has
    (values in lists; characters of a text or a number), and how many of them differ.

    Args:
        puzzle: its name, in the collection or in the file.
        file: puzzles of somebody else, in the JSON format of the data set P3 (`puzzles.json`).

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "puzzles"
    version = 1
    axes = (
        Axis("size of the answer", 0.0, 17.0, 17, "log2(1 + parts)"),
        Axis("share of parts that differ", 0.0, 1.0, 10),
    )
    objective = Objective("solved", f_min=0.0, f_max=1.0)
    paths: ClassVar[tuple[str, ...]] = ("file",)
    producer_modules: ClassVar[tuple[str, ...]] = ("environments.puzzles.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.puzzles.judge",
        "environments.puzzles.answers",
        "environments.puzzles.language",
        "environments.artifact",
    )

    def __init__(self, puzzle: str = DEFAULT, file: str | None = None) -> None:
        for key, value in (("puzzle", puzzle), ("file", "" if file is None else file)):
            if not isinstance(value, str):
                raise ValueError(f"environment.{key} must be a text, got {value!r}")
        self._puzzle = choose(puzzle, file)
        self._kind = parse_kind(self._puzzle.kind)
        statement = self._puzzle.statement or "Find an answer that satisfies sat."
        self.prompt = Prompt(
            instruction=f"sol() returns an answer to a puzzle: {statement}",
            file=FILE,
            entry="sol",
            opening=self._puzzle.header,
            preamble=PREAMBLE.format(statement=self._remark(), checker=self._puzzle.sat),
            commit_messages=(
                ("Solved the puzzle.", 0.4),
                ("Changed sol function.", 0.3),
                ("Small change to sol function.", 0.3),
            ),
        )

    def seeds(self) -> list[Seed]:
        return [Seed(name, self._program(text)) for name, text in bodies(self._kind).items()]

    def judge_settings(self) -> dict[str, Any]:
        return {
            "sat": self._puzzle.sat,
            "credit": self._puzzle.credit,
            "kind": self._puzzle.kind,
        }

    def parts(self) -> dict[str, Any]:
        """With less for the judge than it has by default: an answer may make a checker slow."""
        limits = {"cpu_seconds": 5.0, "wall_seconds": 60.0, "memory_mb": 512}
        return {**super().parts(), "judge_limits": limits}

    def random_program(self, rng: random.Random) -> Program:
        """A random answer of the type, written out."""
        return self._program(f"return {random_answer(self._kind, rng)!r}\n")

    def _program(self, body: str) -> Program:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        return Program({FILE: f"{self._puzzle.header}\n{lines}"})

    def _remark(self) -> str:
        """The statement as a comment, where the checker does not hold it already."""
        statement, shown = self._puzzle.statement, self._puzzle.sat
        if statement in " ".join(shown.split()):
            return ""
        return "\n".join(f"# {line}" for line in textwrap.wrap(statement, 96))
