"""Finds out which layout an answer is in, and reads it."""

from __future__ import annotations

import html
import re

from elm.variation.answer import fenced, spoken
from elm.variation.patch import search_replace, unified
from elm.variation.patch.hunk import Hunk, PatchError

MAX_LINES = 20_000  # of an answer; a program has at most 65,536 bytes
_ELM_FILE = re.compile(r"<NME>[ \t]*(\S[^\n]*)")
_DIFF_INFO = ("diff", "patch", "udiff")


def parse(completion: str) -> list[Hunk]:
    """The hunks of an answer in any of the layouts. Takes time linear in its length.

    An answer of a diff model (Lehman et al., 2022) is what it wrote behind `<DFF>`, or the whole
    example from `<NME>` on.

    Raises:
        PatchError: if it holds no diff, or a broken one.
    """
    text, file = _of_diff_model(completion)
    text, reason = spoken(text)
    if not text.strip():
        raise PatchError(reason)
    if text.count("\n") > MAX_LINES:
        raise PatchError(f"the answer has more than {MAX_LINES} lines")
    hunks = _read(text)
    if hunks is None and "&lt;" in text:
        hunks = _read(html.unescape(text))
    if hunks is None:
        if any("def " in block.text for block in fenced(text)) or "\ndef " in f"\n{text}":
            raise PatchError("the answer is a program and no diff")
        raise PatchError("the answer holds no diff")
    if file is not None:
        return [
            Hunk(readings=h.readings, file=h.file or file, line=h.line, exact=h.exact)
            for h in hunks
        ]
    return hunks


def _of_diff_model(text: str) -> tuple[str, str | None]:
    """What stands behind `<DFF>`, up to the next example, and the file that it names."""
    file = None
    if text.lstrip().startswith("<NME>"):
        head, _, text = text.partition("<DFF>")
        name = _ELM_FILE.search(head)
        file = name[1].strip() if name else None
    text = text.partition("<NME>")[0].partition("<|endoftext|>")[0]
    return text.rpartition("<DFF>")[2], file


def _read(text: str) -> list[Hunk] | None:
    """The hunks of a text; None if it is in no known layout."""
    lines = text.split("\n")
    if search_replace.holds_blocks(lines):
        return search_replace.read(lines)
    if unified.is_diff(lines):
        return unified.read(lines)
    parts = [
        block.text.split("\n")
        for block in fenced(text)
        if block.info.split(" ")[0].lower() in _DIFF_INFO
        or (not block.info and unified.is_bare_diff(block.text.split("\n")))
    ]
    if parts:
        return [hunk for part in parts for hunk in unified.read(part, bare=True)]
    if unified.is_bare_diff(lines):
        return unified.read(lines, bare=True)
    return None
