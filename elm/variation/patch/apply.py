"""Applies hunks to a program: all of them, or none."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from elm.variation.lines import bare, newline, split
from elm.variation.patch.hunk import Hunk, Op, PatchError, after, before
from elm.variation.patch.place import Haystack, Place, find

_ESCAPED = re.compile(r"&(?:lt|gt|amp|quot|#39);")


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A program behind a diff."""

    files: dict[str, str]
    notes: tuple[str, ...] = ()  # what did not fit exactly, and hunks that say nothing


class _Edit(NamedTuple):
    start: int  # lines of the parent: from, up to
    stop: int
    lines: tuple[str, ...]  # what takes their place, without ends
    hunk: int


def apply(files: Mapping[str, str], hunks: Sequence[Hunk]) -> Applied:
    """A program with all hunks applied, each to the lines that it found in `files`.

    Lines that no hunk removes keep their bytes; new lines end as the file's lines do.

    Raises:
        PatchError: if a hunk does not apply, or all together change nothing, in one line.
    """
    if _is_escaped(files, hunks):
        hunks = [_unescaped(hunk) for hunk in hunks]
    stacks = {name: Haystack([bare(line) for line in split(files[name])]) for name in files}
    edits: dict[str, list[_Edit]] = {}
    kept: dict[str, dict[int, int]] = {}  # lines that a hunk wants to stay, and which one
    seen: set[tuple[str, int, tuple[Op, ...]]] = set()
    notes: list[str] = []
    for number, hunk in enumerate(hunks, 1):
        name = _file(files, hunk, number)
        if before(hunk.readings[0]) == after(hunk.readings[0]):
            notes.append(f"hunk {number} changes nothing")
            continue
        try:
            place = find(stacks[name], hunk)
        except PatchError as error:
            raise PatchError(f"hunk {number}: {error}") from None
        if (name, place.start, place.ops) in seen:
            notes.append(f"hunk {number} says again what another did")
            continue
        seen.add((name, place.start, place.ops))
        if place.note:
            notes.append(f"hunk {number} fits at line {place.start + 1} {place.note}")
        made, stays = _edits(place, number)
        edits.setdefault(name, []).extend(made)
        for line in stays:
            kept.setdefault(name, {}).setdefault(line, number)
    result = dict(files)
    for name, made in edits.items():
        result[name] = _edited(files[name], _in_order(made, kept.get(name, {})))
    if result == dict(files):
        raise PatchError("the diff changes nothing")
    return Applied(files=result, notes=tuple(notes))


def _is_escaped(files: Mapping[str, str], hunks: Sequence[Hunk]) -> bool:
    """Whether hunks look for markup, as `&lt;`, in a program that has none."""
    looked_for = (line for hunk in hunks for line in before(hunk.readings[0]) if "&" in line)
    return any(map(_ESCAPED.search, looked_for)) and not any(map(_ESCAPED.search, files.values()))


def _unescaped(hunk: Hunk) -> Hunk:
    readings = tuple(
        tuple(Op(op.kind, html.unescape(op.text)) for op in ops) for ops in hunk.readings
    )
    return msgspec.structs.replace(hunk, readings=readings)


def _file(files: Mapping[str, str], hunk: Hunk, number: int) -> str:
    """The file that a hunk is about."""
    if hunk.file is None:
        if len(files) == 1:
            return next(iter(files))
        raise PatchError(f"hunk {number} names no file, and the program has {len(files)}")
    wanted = hunk.file.replace("\\", "/").removeprefix("./")
    if wanted in files:
        return wanted
    ends = [name for name in files if wanted.endswith(f"/{name}") or name.endswith(f"/{wanted}")]
    if len(ends) == 1:
        return ends[0]
    raise PatchError(
        f"hunk {number} names the file {hunk.file[:80]!r}, which the program does not have; "
        f"it has {', '.join(sorted(files))}"
    )


def _edits(place: Place, number: int) -> tuple[list[_Edit], list[int]]:
    """A hunk as edits of lines, and the lines that it keeps."""
    found: list[_Edit] = []
    stays: list[int] = []
    line = start = place.start
    added: list[str] = []
    for op in (*place.ops, Op(" ", "")):
        if op.kind == "+":
            added.append(op.text)
            continue
        if op.kind == "-":
            line += 1
            continue
        if added or line > start:
            found.append(_Edit(start, line, tuple(added), number))
            added = []
        stays.append(line)
        line = start = line + 1
    return found, stays[:-1]


def _in_order(edits: Sequence[_Edit], kept: Mapping[int, int]) -> list[_Edit]:
    ordered = sorted(edits)
    for one, other in pairwise(ordered):
        if one.hunk != other.hunk and (one.stop > other.start or one[:2] == other[:2]):
            first, second = sorted((one.hunk, other.hunk))
            raise PatchError(f"hunks {first} and {second} overlap at line {other.start + 1}")
    for edit in ordered:
        for line in range(edit.start, edit.stop):
            if kept.get(line, edit.hunk) != edit.hunk:
                first, second = sorted((edit.hunk, kept[line]))
                raise PatchError(
                    f"hunks {first} and {second} overlap: one keeps line {line + 1}, which the "
                    "other changes"
                )
    return ordered


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    lines, end = split(text), newline(text)
    ended = not lines or lines[-1] != bare(lines[-1])
    if not ended:
        lines[-1] += end
    parts: list[str] = []
    place = 0
    for edit in edits:
        parts += lines[place : edit.start]
        parts += [line + end for line in edit.lines]
        place = edit.stop
    parts += lines[place:]
    if parts and not ended:
        parts[-1] = bare(parts[-1])
    return "".join(parts)
