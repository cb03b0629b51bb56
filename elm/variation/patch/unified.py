"""Unified diffs, with or without headers and right numbers; OpenAI's patches look alike.

--- walker.py
+++ walker.py
@@ -2,3 +2,3 @@
 kept
-removed
+added
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from elm.variation.patch.hunk import MAX_HUNKS, Hunk, Op, Ops, PatchError

_HEADER = re.compile(r"@@\s*-(\d{1,9})(?:,(\d{1,9}))?\s+\+(\d{1,9})(?:,(\d{1,9}))?\s*@@")
_GIT = re.compile(r"(?:diff --git |index [0-9a-f]+\.\.|(?:old|new|deleted file|new file) mode )")
_FENCE = re.compile(r"(?:`{3,}|~{3,})")
# A changed line and no item of a list, which a blank would set off from its sign.
_STRAY = re.compile(r"[+-](?:[ \t]{2,}|(?=[A-Za-z_@#]))\S")
_PATCH_FILE = re.compile(r"\*\*\* (Update|Add|Delete) File: *(\S.*)$")


def is_diff(lines: Sequence[str]) -> bool:
    """Whether a text has the headers of a unified diff."""
    return any(
        line.startswith(("@@", " @@", "*** Begin Patch")) or _is_file_header(lines, number)
        for number, line in enumerate(lines)
    )


def is_bare_diff(lines: Sequence[str]) -> bool:
    """Whether all lines of a text could be those of one hunk, and some are changes."""
    filled = [line for line in lines if line.strip()]
    return (
        bool(filled)
        and all(line[0] in " +-\t\\" for line in filled)
        and any(line[0] in "+-" for line in filled)
    )


def read(lines: Sequence[str], bare: bool = False) -> list[Hunk]:
    """The hunks of a diff.

    Args:
        bare: whether lines before any header belong to a hunk as well.

    Raises:
        PatchError: if there is none, or a file is to be created or deleted.
    """
    hunks: list[Hunk] = []
    file: str | None = None
    inside = bare  # of a file's part, where hunks may come without "@@"
    place = 0
    while place < len(lines):
        line = lines[place]
        if match := _PATCH_FILE.match(line):
            if match[1] != "Update":
                raise PatchError(f"the diff would {match[1].lower()} the file {match[2][:80]}")
            file, inside, place = _file(match[2]), True, place + 1
        elif _is_file_header(lines, place):
            file, inside, place = _header_file(line, lines[place + 1]), True, place + 2
        elif line.startswith("*** Begin Patch") or _GIT.match(line):
            place += 1
        elif line.startswith("*** End"):
            inside, place = False, place + 1
        elif line.lstrip(" ").startswith("@@") or (inside and line[:1] in ("+", "-", " ", "\t")):
            numbered = line.lstrip(" ").startswith("@@")
            start = place + 1 if numbered else place
            match = _HEADER.match(line.lstrip(" "))
            # Where a header counts rightly, its lines are its lines, whatever they look like.
            size = _counted(lines, start, match) if match else None
            end = _end(lines, start) if size is None else start + size
            if (hunk := _hunk(lines[start:end], match, size is not None, file)) is not None:
                hunks.append(hunk)
            if len(hunks) > MAX_HUNKS:
                raise PatchError(f"the diff has more than {MAX_HUNKS} hunks")
            inside, place = True, max(end, place + 1)
        elif _STRAY.match(line):
            raise PatchError(f"line {place + 1} of the diff is a change outside of any hunk")
        else:
            inside = inside and not _FENCE.match(line)
            place += 1
    if not hunks:
        raise PatchError("the diff has no lines")
    return hunks


def _is_file_header(lines: Sequence[str], place: int) -> bool:
    return (
        lines[place].startswith("--- ")
        and place + 1 < len(lines)
        and lines[place + 1].startswith("+++ ")
    )


def _header_file(old: str, new: str) -> str | None:
    names = [line[4:].split("\t")[0].strip() for line in (old, new)]
    for name, what in zip(names, ("create", "delete"), strict=True):
        if name == "/dev/null":
            other = names[1] if what == "create" else names[0]
            raise PatchError(f"the diff would {what} the file {other[:80]}")
    return _file(names[1])


def _file(name: str) -> str:
    name = name.strip().strip("`\"'")
    return name[2:] if name[:2] in ("a/", "b/") else name


def _end(lines: Sequence[str], start: int) -> int:
    """Where a hunk ends at the latest."""
    for place in range(start, len(lines)):
        line = lines[place]
        if line[:1] == "+" or line[:4] == "    ":
            continue
        if (
            line.lstrip(" ").startswith("@@")
            or _FENCE.match(line)
            or line.startswith(("diff --git ", "*** ", "<NME>"))
            or line.strip() == "..."
            or _is_file_header(lines, place)
        ):
            return place
    return len(lines)


def _hunk(
    lines: Sequence[str], match: re.Match[str] | None, exact: bool, file: str | None
) -> Hunk | None:
    lines = [line for line in lines if not line.startswith("\\")]  # no newline at end of file
    if not exact:
        lines = _without_prose(lines)
    if not any(line.strip() for line in lines) and not exact:
        return None
    line = None
    if match:
        # An empty part stands behind the line that it names.
        line = int(match[1]) - (0 if match[2] and int(match[2]) == 0 else 1)
    return Hunk(readings=_readings(lines), file=file, line=line, exact=exact)


def _counted(lines: Sequence[str], start: int, match: re.Match[str]) -> int | None:
    """How many lines a hunk has by its header; None if they do not come to that."""
    old, new = (int(count) if count is not None else 1 for count in (match[2], match[4]))
    place = start
    while old > 0 or new > 0 or (place < len(lines) and lines[place].startswith("\\")):
        if place >= len(lines) or lines[place][:1] not in ("", " ", "+", "-", "\\"):
            return None
        kind = lines[place][:1]
        old -= kind in ("", " ", "-")
        new -= kind in ("", " ", "+")
        place += 1
    more = lines[place][:1] if place < len(lines) else ""
    follows = more in ("+", "-") and not _is_file_header(lines, place)
    return None if old < 0 or new < 0 or follows else place - start


def _without_prose(lines: Sequence[str]) -> list[str]:
    """Lines without blank ones at the end, and without sentences that follow a blank one."""
    kept = list(lines)
    while kept and not kept[-1]:
        kept.pop()
    cut = len(kept)
    following = ""  # the next line that is not blank
    for place in range(len(kept) - 1, -1, -1):
        line = kept[place]
        if line[:1] in ("+", "-"):
            break
        if not line and following and not following[0].isspace():
            cut = place
        following = line or following
    return kept[:cut]


def _readings(lines: Sequence[str]) -> tuple[Ops, ...]:
    """Ways to read a hunk: as it should be, and with the blank before kept lines left out."""

    def op(line: str, strip: bool) -> Op:
        if line[:1] in ("+", "-"):
            return Op(line[0], line[1:])
        return Op(" ", line[1:] if strip or not line.strip() else line)

    proper = tuple(op(line, True) for line in lines)
    loose = tuple(op(line, False) for line in lines)
    kept = [line for line in lines if line.strip() and line[0] not in "+-"]
    if any(not line[0].isspace() for line in kept):
        return (loose,)
    return (proper, loose) if kept else (proper,)
