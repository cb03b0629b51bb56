"""Evolve regions between comments: `# EVOLVE-BLOCK-START` and `# EVOLVE-BLOCK-END`."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from elm.variation.lines import newline, split
from elm.variation.regions.base import BROKEN, Enforced, RegionError, why
from elm.variation.regions.bindings import bound
from elm.variation.regions.frame import frame
from environments.parsing import parse

_MARKER = re.compile(r"[ \t]*(?:#|//)[ \t]*EVOLVE-BLOCK-(START|END)\b")


class Block(NamedTuple):
    """Lines of a file, counted from 0, between two markers: from `start` up to `end`."""

    start: int
    end: int


def blocks(lines: Sequence[str], whose: str) -> list[Block]:
    """The marked blocks of a file, in their order.

    Raises:
        RegionError: if markers do not come in pairs, with the line.
    """
    found: list[Block] = []
    start: int | None = None
    for number, line in enumerate(lines):
        match = _MARKER.match(line) if "EVOLVE-BLOCK-" in line else None
        if match is None:
            continue
        if match[1] == "START":
            if start is not None:
                raise RegionError(
                    f"{whose}, line {number + 1}: EVOLVE-BLOCK-START within the block that begins "
                    f"in line {start}"
                )
            start = number + 1
        elif start is None:
            raise RegionError(f"{whose}, line {number + 1}: EVOLVE-BLOCK-END without a start")
        else:
            found.append(Block(start, number))
            start = None
    if start is not None:
        raise RegionError(f"{whose}, line {start}: EVOLVE-BLOCK-START without an end")
    return found


def keep_to_blocks(parent: str, found: Sequence[Block], child: str) -> Enforced:
    """The parent with the child's blocks in the place of its own.

    Raises:
        RegionError: if the child's blocks are not the parent's, or reach out of their place.
    """
    lines, others = split(parent), split(child)
    theirs = blocks(others, "the answer")
    if len(theirs) == len(found):
        contents = ["".join(others[block.start : block.end]) for block in theirs]
        text = _assembled(lines, found, contents)
        notes = tuple(_restored(lines, found, others, theirs))
    elif not theirs and len(found) == 1:
        text, notes = _taken_whole(lines, found[0], child)
    else:
        raise RegionError(
            f"the program has {_count(found)}, the answer {_count(theirs) if theirs else 'none'}"
        )
    _check_frame(parent, text)
    return Enforced(text=text, notes=notes)


def _count(found: Sequence[Block]) -> str:
    return f"{len(found)} evolve block{'s' if len(found) > 1 else ''}"


def _assembled(lines: list[str], found: Sequence[Block], contents: Sequence[str]) -> str:
    parts: list[str] = []
    place = 0
    for block, content in zip(found, contents, strict=True):
        parts += lines[place : block.start]
        parts.append(content)
        place = block.end
    return "".join(parts + lines[place:])


def _outside(lines: Sequence[str], found: Sequence[Block]) -> list[list[str]]:
    """What stands before, between and behind the blocks, without markers, blank lines and ends."""
    edges = [0, *(edge for block in found for edge in (block.start - 1, block.end + 1)), len(lines)]
    return [
        [line.rstrip() for line in lines[start:end] if line.strip()]
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _restored(
    lines: Sequence[str], found: Sequence[Block], others: Sequence[str], theirs: Sequence[Block]
) -> list[str]:
    notes = []
    for number, (mine, yours) in enumerate(
        zip(_outside(lines, found), _outside(others, theirs), strict=True)
    ):
        if mine != yours:
            where = f"behind evolve block {number}" if number else "before evolve block 1"
            notes.append(f"restored what stands {where}")
    return notes


def _taken_whole(lines: list[str], block: Block, child: str) -> tuple[str, tuple[str, ...]]:
    """An answer without markers as the content of the only block."""
    before, behind = _outside(lines, [block])
    content, cut = _within(split(child), before, behind)
    notes = ["took the answer for the evolve block"]
    if cut:
        notes.append("left out what stands around it")
    content, dropped = _without(content, bound("\n".join(before + behind)))
    if dropped:
        notes.append(f"left out {', '.join(sorted(dropped))}, which may not change")
    if not content.strip():
        raise RegionError("the answer has no evolve block, and nothing that belongs into one")
    end = newline("".join(lines))
    content = content.rstrip() + end
    text = _assembled(lines, [block], [content])
    try:
        parse(text)
    except BROKEN as error:
        margin = re.match(r"[ \t]*", lines[block.start - 1])
        moved = textwrap.indent(textwrap.dedent(content), margin[0] if margin else "")
        text = _assembled(lines, [block], [moved])
        try:
            parse(text)
        except BROKEN:
            raise RegionError(
                "the answer has no EVOLVE-BLOCK markers and does not fit between the program's: "
                f"{why(error)}"
            ) from None
    return text, tuple(notes)


def _within(lines: list[str], before: list[str], behind: list[str]) -> tuple[str, bool]:
    """Lines without those that stand around the block in the parent, where all of these are there,
    and whether there were any."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    texts = [lines[number].rstrip() for number in filled]
    start, end = 0, len(texts)
    if before and texts[: len(before)] == before:
        start = len(before)
    if behind and end - len(behind) >= start and texts[end - len(behind) :] == behind:
        end -= len(behind)
    first = filled[start] if start < len(filled) else len(lines)
    last = filled[end] if end < len(filled) else len(lines)
    return "".join(lines[first:last]), (start, end) != (0, len(texts))


def _without(content: str, names: set[str]) -> tuple[str, set[str]]:
    """Code without the functions and classes that are defined outside of the block already."""
    try:
        tree = parse(textwrap.dedent(content))
    except BROKEN:
        return content, set()
    lines, dropped = split(content), set()
    for node in reversed(tree.body):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name in names
        ):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            del lines[first - 1 : node.end_lineno]
            dropped.add(node.name)
    return "".join(lines), dropped


def _check_frame(parent: str, text: str) -> None:
    """Sees to it that what stands outside means in the child what it means in the parent."""
    try:
        wanted = frame(parent, _spans(parent))
    except BROKEN:
        return  # not Python
    try:
        got = frame(text, _spans(text))
    except BROKEN:
        return  # who parses the child says what is wrong
    if wanted != got:
        raise RegionError(
            "the content of an evolve block reaches out of it: what follows would no longer be "
            "what it is in the parent"
        )


def _spans(text: str) -> list[tuple[int, int]]:
    return [(block.start, block.end) for block in blocks(split(text), "the program")]
