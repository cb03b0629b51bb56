"""Near copies: programs as sets of token triples, and how much of two such sets is shared.

Broder's shingles with the Jaccard similarity. Like ShinkaEvolve, near copies are turned away before
anything is paid for their evaluation; unlike there, no second model is asked for embeddings.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elm.candidate import Program
from elm.variation.base import Sketch

# A scanner of our own and not the standard library's: that one is a hundred times slower, refuses
# programs that do not parse, and cuts f-strings differently from one Python version to the next.
_TOKEN = re.compile(
    r"""
      (?P<skip>\#[^\n]*|\\\n|[ \t\f\r]+)
    | (?P<string>[a-zA-Z]{0,2}(?:
          \"\"\"(?:[^\\]|\\.|\\\Z)*?(?:\"\"\"|\Z)
        | '''(?:[^\\]|\\.|\\\Z)*?(?:'''|\Z)
        | "(?:[^"\\\n]|\\.|\\\Z)*(?:"|(?=\n)|\Z)
        | '(?:[^'\\\n]|\\.|\\\Z)*(?:'|(?=\n)|\Z)))
    | (?P<word>\w+(?:\.\d\w*)?)
    | (?P<line>\n)
    | (?P<sign>\*\*=?|//=?|<<=?|>>=?|->|:=|[=!<>+*/%&|^@-]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_FEW = 8  # sketches that are compared one by one
_MOST_NUMBERS = 2_000_000  # shingles that are remembered


def tokens(text: str) -> list[str]:
    """The tokens of a Python text without comments, layout and strings that are statements."""
    found: list[str] = []
    depth, fresh = 0, True  # open brackets; whether a statement begins here
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        if kind == "skip":
            continue
        if kind == "line":
            fresh = fresh or depth <= 0
            continue
        if kind == "string" and fresh:
            continue  # a docstring
        if kind == "sign":
            if token in "([{":
                depth += 1
            elif token in ")]}":
                depth -= 1
        fresh = False
        found.append(token)
    return found


@lru_cache(maxsize=512)  # parents are held against one child after another
def _shingles(text: str) -> Sketch:
    # Ends are marked, so that the first and the last token count as much as others.
    marked = ["", "", *tokens(text), "", ""]
    return frozenset(
        zlib.crc32(f"{a}\0{b}\0{c}".encode("utf-8", "surrogatepass"))
        for a, b, c in zip(marked, marked[1:], marked[2:], strict=False)
    )


def _similarity(common: int, one: int, other: int) -> float:
    union = one + other - common
    return common / union if union else 1.0


class Shingles:
    """Sketches programs and finds the nearest in a crowd. Implements `elm.variation.base.Novelty`.

    Keeps the last crowd in the form in which it is searched, so that the orders of a block, which
    share their crowd, pay for that once. May be used by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[int, int] = {}  # of the shingles that were ever in a crowd
        self._rows: dict[Sketch, NDArray[np.intp]] = {}
        self._last: _Crowd | None = None

    def sketch(self, program: Program) -> Sketch:
        """Hashed triples of tokens of all files; the same in every process."""
        return frozenset().union(*map(_shingles, program.files.values()))

    def nearest(self, sketch: Sketch, crowd: Sequence[Sketch]) -> float:
        """The greatest Jaccard similarity to any of a crowd, from 0 to 1; 0 without a crowd."""
        if len(crowd) < _FEW:
            return max(
                (_similarity(len(sketch & one), len(sketch), len(one)) for one in crowd),
                default=0.0,
            )
        with self._lock:
            if self._last is None or self._last.source is not crowd:
                self._last = self._indexed(crowd)
            known = [self._numbers[s] for s in sketch if s in self._numbers]
            flags = np.zeros(len(self._numbers), np.uint8)
            flags[known] = 1
            last = self._last
        if not len(last.sizes):
            return 0.0
        common = np.add.reduceat(flags.take(last.numbers), last.starts, dtype=np.int64)
        return float((common / (last.sizes + len(sketch) - common)).max())

    def _indexed(self, crowd: Sequence[Sketch]) -> _Crowd:
        if len(self._numbers) > _MOST_NUMBERS:  # most are of elites that are gone
            self._numbers, self._rows = {}, {}
        rows: dict[Sketch, NDArray[np.intp]] = {}
        for sketch in filter(None, crowd):
            row = self._rows.get(sketch)
            if row is None:
                numbers = self._numbers
                row = np.fromiter(
                    (numbers.setdefault(s, len(numbers)) for s in sketch), np.intp, len(sketch)
                )
            rows[sketch] = row
        self._rows = rows
        return _Crowd(crowd, list(rows.values()))


class _Crowd:
    """A crowd as one long array of shingle numbers."""

    def __init__(self, source: Sequence[Sketch], rows: list[NDArray[np.intp]]) -> None:
        self.source = source
        self.numbers = np.concatenate(rows) if rows else np.zeros(0, np.intp)
        self.sizes = np.array([len(row) for row in rows], np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
