"""SEARCH/REPLACE blocks, as aider, OpenEvolve and AlphaEvolve ask for them.

<<<<<<< SEARCH
lines of the program
=======
what takes their place
>>>>>>> REPLACE
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from elm.variation.patch.hunk import MAX_HUNKS, Hunk, Op, Ops, PatchError

_WORDS = r"(?:SEARCH|ORIGINAL|HEAD|BEFORE|OLD)"
_SEARCH = re.compile(rf"[ \t]*<{{5,9}}[ \t]*{_WORDS}?[ \t]*(?:BLOCK)?[ \t]*[<>:]*[ \t]*$", re.I)
_DIVIDER = re.compile(r"[ \t]*={5,9}[ \t]*$")
_REPLACE = re.compile(
    r"[ \t]*>{5,9}[ \t]*(?:REPLACE|UPDATED|AFTER|NEW)?[ \t]*(?:BLOCK)?[ \t]*[<>:]*[ \t]*$", re.I
)
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[^`~]*$")
_NAME = re.compile(r"[\w./\\-]*\w\.\w{1,8}$")
_ALIGNED = 400  # lines up to which kept lines are found within a block


def holds_blocks(lines: Sequence[str]) -> bool:
    """Whether a text has a line with which such a block begins."""
    return any("<<<<<" in line and _SEARCH.match(line[:80]) for line in lines)


def read(lines: Sequence[str]) -> list[Hunk]:
    """The blocks of an answer.

    Raises:
        PatchError: if a block is broken, with its number.
    """
    hunks: list[Hunk] = []
    number = place = 0
    file: str | None = None
    while place < len(lines):
        if not ("<<<<<" in lines[place] and _SEARCH.match(lines[place][:80])):
            place += 1
            continue
        number += 1
        if number > MAX_HUNKS:
            raise PatchError(f"the answer has more than {MAX_HUNKS} SEARCH blocks")
        file = _named(lines, place) or file
        divider, end = _ends(lines, place, number)
        search = _unfenced(lines[place + 1 : divider])
        replace = _unfenced(lines[divider + 1 : end])
        hunks.append(Hunk(readings=(_aligned(search, replace),), file=file))
        place = end + 1
    return hunks


def _ends(lines: Sequence[str], start: int, number: int) -> tuple[int, int]:
    """Where a block's divider and its end stand."""
    dividers: list[int] = []
    for place in range(start + 1, len(lines)):
        line = lines[place][:80]
        if "=====" in line and _DIVIDER.match(line):
            dividers.append(place)
        elif ">>>>>" in line and _REPLACE.match(line):
            break
        elif "<<<<<" in line and _SEARCH.match(line):
            raise PatchError(f"block {number} has no >>>>>>> REPLACE before the next block begins")
    else:
        raise PatchError(f"block {number} has no >>>>>>> REPLACE")
    if not dividers:
        raise PatchError(f"block {number} has no ======= between its two parts")
    if len(dividers) > 1:  # an underline in a docstring, perhaps
        dividers = [d for d in dividers if lines[d].rstrip() == "======="]
    if len(dividers) != 1:
        raise PatchError(f"block {number} has several lines like =======")
    return dividers[0], place


def _named(lines: Sequence[str], place: int) -> str | None:
    """The file that stands on the line above a block, or above its fence."""
    for line in (lines[place - 1 - i] for i in range(min(2, place))):
        text = line.strip().strip("`*#: \t")
        if _NAME.match(text[-200:]) and " " not in text:
            return text
        if _FENCE.match(line):
            info = line.strip().lstrip("`~").strip()
            if "." in info and _NAME.match(info[-200:]):
                return info.split(":")[-1]
            continue
        break
    return None


def _unfenced(lines: Sequence[str]) -> list[str]:
    """A part without fences of its own."""
    found = list(lines)
    filled = [i for i, line in enumerate(found) if line.strip()]
    if len(filled) >= 2 and _FENCE.match(found[filled[0]]) and _FENCE.match(found[filled[-1]]):
        return found[filled[0] + 1 : filled[-1]]
    return found


def _aligned(search: Sequence[str], replace: Sequence[str]) -> Ops:
    """The two parts as one hunk: lines that stay are kept lines of the program."""
    if len(search) > _ALIGNED or len(replace) > _ALIGNED:
        blocks = _edges(search, replace)
    else:
        matcher = SequenceMatcher(None, search, replace, autojunk=False)
        blocks = [(a, b, size) for a, b, size in matcher.get_matching_blocks()]
    ops: list[Op] = []
    a = b = 0
    for i, j, size in blocks:
        ops += [Op("-", line) for line in search[a:i]]
        ops += [Op("+", line) for line in replace[b:j]]
        ops += [Op(" ", line) for line in search[i : i + size]]
        a, b = i + size, j + size
    return tuple(ops)


def _edges(search: Sequence[str], replace: Sequence[str]) -> list[tuple[int, int, int]]:
    """Equal lines at both ends, in the manner of `get_matching_blocks`."""
    most = min(len(search), len(replace))
    head = next((i for i in range(most) if search[i] != replace[i]), most)
    tail = 0
    while tail < most - head and search[-1 - tail] == replace[-1 - tail]:
        tail += 1
    ends = (len(search) - tail, len(replace) - tail)
    return [(0, 0, head), (*ends, tail), (len(search), len(replace), 0)]
