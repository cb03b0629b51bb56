"""Where a hunk belongs: exactly, or but for blanks, or by likeness, in this order.

Each step takes a place only where it is the only one. A line number decides between places that
are equally good if it names one of them, since models that count wrongly seldom hit one by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from elm.variation.patch.hunk import Hunk, Op, Ops, PatchError, before
from elm.variation.patch.likeness import alike

_MOST = 20  # places of one hunk that are counted


class Place(NamedTuple):
    """Where a hunk begins, its lines as they fit there, and in words what was not exact."""

    start: int  # line, counted from 0
    ops: Ops
    note: str = ""


class Haystack:
    """The lines of a file, as text in which consecutive lines are found in linear time."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)  # without their ends
        self.budget = 20_000_000  # pairs of letters that an answer may have compared

    @cached_property
    def exact(self) -> str:
        return _joined(self.lines)

    @cached_property
    def trailing(self) -> str:
        return _joined([line.rstrip() for line in self.lines])

    @cached_property
    def stripped(self) -> str:
        return _joined([line.strip() for line in self.lines])


def _joined(lines: Sequence[str]) -> str:
    return "\n" + "".join(line + "\n" for line in lines)


def _places(text: str, wanted: Sequence[str]) -> list[int]:
    """Lines at which some lines are found, `_MOST` at most."""
    needle = _joined(wanted)
    found: list[int] = []
    at, line, counted = text.find(needle), 0, 0
    while at >= 0 and len(found) < _MOST:
        line += text.count("\n", counted, at)
        counted = at
        found.append(line)
        at = text.find(needle, at + 1)
    return found


def find(hay: Haystack, hunk: Hunk) -> Place:
    """Where a hunk belongs.

    Raises:
        PatchError: if it is nowhere or may be in several places, without the hunk's number.
    """
    if not any(line.strip() for line in before(hunk.readings[0])):
        return _at_line(hay, hunk)
    readings = [(ops, 0) for ops in hunk.readings]
    readings += [less for ops in hunk.readings if (less := _without_blank_edges(ops))[0] != ops]
    steps: tuple[tuple[str, Callable[[str], str], str], ...] = (
        (hay.exact, str, ""),
        (hay.trailing, str.rstrip, "but for blanks at the ends of lines"),
    )
    for text, form, note in steps:
        for ops, cut in readings:
            found = _places(text, [form(line) for line in before(ops)])
            if found:
                return Place(_chosen(found, hunk, cut), ops, note)
    misfit = ""
    for ops, cut in readings:
        found = _places(hay.stripped, [line.strip() for line in before(ops)])
        fitting = {
            start: moved
            for start in found
            if (moved := _rebased(hay.lines, start, ops)) is not None
        }
        if fitting:
            start = _chosen(list(fitting), hunk, cut)
            return Place(start, fitting[start], "but for its indentation")
        if found:
            misfit = f"; line {found[0] + 1} has the same words in another indentation"
    if misfit:
        raise PatchError(f"{_quoted(hunk)} not found{misfit}")
    return _by_likeness(hay, hunk)


def _at_line(hay: Haystack, hunk: Hunk) -> Place:
    """The place of a hunk that keeps or removes nothing but blank lines."""
    ops = hunk.readings[0]
    wanted = [line.strip() for line in before(ops)]
    if not any(line.strip() for line in hay.lines) and not wanted:
        return Place(len(hay.lines), ops)
    if hunk.exact and hunk.line is not None and 0 <= hunk.line <= len(hay.lines):
        there = hay.lines[hunk.line : hunk.line + len(wanted)]
        if [line.strip() for line in there] == wanted:
            return Place(hunk.line, ops)
    raise PatchError("looks for nothing, so that nobody knows where its lines belong")


def _without_blank_edges(ops: Ops) -> tuple[Ops, int]:
    """A hunk without the blank lines that it begins and ends with, and how many it began with."""
    kept = list(ops)
    cut = 0
    while kept and kept[0].kind != "+" and not kept[0].text.strip():
        del kept[0]
        cut += 1
    while kept and kept[-1].kind != "+" and not kept[-1].text.strip():
        del kept[-1]
    return tuple(kept), cut


def _chosen(found: Sequence[int], hunk: Hunk, cut: int) -> int:
    if len(found) == 1:
        return found[0]
    if hunk.line is not None and hunk.line + cut in found:
        return hunk.line + cut
    times = f"{_MOST} times or more" if len(found) == _MOST else f"{len(found)} times"
    where = ", ".join(str(line + 1) for line in found[:4])
    more = ", ..." if len(found) > 4 else ""
    raise PatchError(f"{_quoted(hunk)} found {times} (lines {where}{more}); add lines around it")


def _quoted(hunk: Hunk) -> str:
    """The first line that a hunk looks for, for people and models to recognise it."""
    text = next(line.strip() for line in before(hunk.readings[0]) if line.strip())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _rebased(lines: Sequence[str], start: int, ops: Ops) -> Ops | None:
    """A hunk with the indentation of the program in its added lines; None if the margins that it
    writes do not each stand for one margin of the program.
    """
    margins: dict[str, str] = {}
    place = start
    for op in ops:
        if op.kind == "+":
            continue
        if op.text.strip() and lines[place].strip():
            real = _margin(lines[place])
            if margins.setdefault(_margin(op.text), real) != real:
                return None
        place += 1
    if all(written == real for written, real in margins.items()):
        return ops
    moved: list[Op] = []
    for op in ops:
        if op.kind == "+" and op.text.strip():
            margin = _moved(_margin(op.text), margins)
            if margin is None:
                return None
            op = Op("+", margin + op.text.lstrip())
        moved.append(op)
    return tuple(moved)


def _moved(margin: str, margins: dict[str, str]) -> str | None:
    if margin in margins:
        return margins[margin]
    deeper = {
        real[: -len(written) or None] for written, real in margins.items() if real.endswith(written)
    }
    if len(deeper) == 1 and all(real.endswith(written) for written, real in margins.items()):
        return deeper.pop() + margin
    shallower = {written[: -len(real) or None] for written, real in margins.items()}
    if (
        len(shallower) == 1
        and all(written.endswith(real) for written, real in margins.items())
        and margin.startswith(shift := shallower.pop())
    ):
        return margin[len(shift) :]
    known = [written for written in margins if margin.startswith(written)]
    if not known:
        return None
    nearest = max(known, key=len)
    return margins[nearest] + margin[len(nearest) :]


def _by_likeness(hay: Haystack, hunk: Hunk) -> Place:
    best = None
    for ops in hunk.readings:
        found = alike(hay.lines, before(ops), hay)
        if found is not None and (best is None or found.ratio > best[0].ratio):
            best = found, ops
    if best is None:
        raise PatchError(f"{_quoted(hunk)} not found")
    found, ops = best
    percent = int(100 * found.ratio)
    if not found.sure:
        raise PatchError(
            f"{_quoted(hunk)} not found; nearest line {found.start + 1}, {percent} % alike"
            f"{found.doubt}"
        )
    moved = _rebased(hay.lines, found.start, ops)
    if moved is None:
        raise PatchError(
            f"{_quoted(hunk)} not found; line {found.start + 1} is {percent} % alike and has "
            "another indentation"
        )
    return Place(found.start, moved, f"{percent} % alike")
