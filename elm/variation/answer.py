"""Takes the program out of what a model wrote around it: fences, prose, thoughts, markup.

Nothing is ever guessed into a program: where it is not clear which lines are code, all of them are
handed on, and whoever parses them says what is wrong.
"""

from __future__ import annotations

import ast
import html
import re

import msgspec

from elm.candidate import MAX_SOURCE_BYTES
from elm.variation.lines import clean
from environments.parsing import parse

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^`~\n]*)$")
_THOUGHT = re.compile(r"(?<![\"'`])<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_PAGE = re.compile(r"^\s*(?:<!doctype|<html|<\?xml|<head|<body|<div|<p>|<pre)", re.IGNORECASE)
_ESCAPED = re.compile(r"&(?:lt|gt|amp|quot|#39|#x27|nbsp);")
_SPECIAL = re.compile(r"<\|[a-z_]+\|>|</?s>|<(?:NME|BEF|MSG|DFF)>")
# A line with which Python code may begin, and with which no sentence does.
_CODE_LINE = re.compile(
    r"(?:async\s+def|def)\s+\w+\s*[(\[]|class\s+\w+\s*[(:]|@[\w.]+\s*(?:\(.*)?$"
    r"|from\s+[\w.]+\s+import\s|import\s+[\w.]+(?:\s+as\s+\w+)?(?:\s*,\s*[\w.]+)*\s*(?:#.*)?$"
    r"|[A-Za-z_][\w.]*(?:\[[^\]]*\])?\s*(?::\s*[\w.\[\], |]+)?\s*[-+*/%|&^]?=(?!=)"
    r"|(?:for\s+[\w, ()]+\s+in|if|while|with|elif)\s.*:\s*(?:#.*)?$|(?:try|else|finally)\s*:"
    r"|return\b(?!\s+[a-z]+\s+[a-z]+)"
)
# A line of prose, or of the markup around it.
_PROSE = re.compile(
    r"(?:[A-Z][\w'-]*|\*+|#{1,6}|[-*+]|\d+[.)]|>)[ \t]+\S.*|[A-Z]\w*[.!:]$|\*\*\S.*|-{3,}$"
)
_HEAD = 200  # characters of a line that tell what it is
_MOST_TRIMS = 20


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The code of an answer, or why it has none."""

    code: str = ""  # as the model wrote it, with "\n" at the end of each line; "" if there is none
    reason: str = ""  # where there is no code, in one line


class Block(msgspec.Struct, frozen=True):
    """A fenced block."""

    text: str  # without its fences, each line with its newline
    info: str  # what stands behind the opening fence
    closed: bool


def extract(completion: str, entry: str) -> Answer:
    """The code of an answer. Never raises.

    Of several fenced blocks it is the last that defines `entry` and parses, else the last that
    seems to define it, else the longest. Without fences, prose before and behind the code goes.

    Args:
        completion: what the model wrote, of any size and in any shape.
        entry: the function that is wanted.
    """
    text, reason = spoken(completion)
    if not text.strip():
        return Answer(reason=reason)
    text = _reopened(text, entry)
    blocks = fenced(text)
    if any(block.text.strip() for block in blocks):
        return _checked(_chosen(text, blocks, entry))
    if blocks:
        return Answer(reason="its fenced block is empty")
    if _PAGE.match(text):
        return Answer(reason="the answer is a page of HTML and no program")
    return _checked(_unfenced(text))


def spoken(completion: str) -> tuple[str, str]:
    """An answer without the model's thoughts and special tokens; where nothing is left, why."""
    text = clean(completion)
    if not text.strip():
        return "", "the answer is empty"
    text = _without_thoughts(text)
    if not text.strip():
        return "", "the answer ends before the model has done with thinking"
    text = _SPECIAL.sub("", text) if "<" in text else text
    return text, "" if text.strip() else "the answer is empty"


def _without_thoughts(text: str) -> str:
    kept: list[str] = []
    start, thinking = 0, False
    for tag in _THOUGHT.finditer(text):
        if tag[1]:
            if not thinking:
                kept.clear()  # the template of some models has opened the thought already
            start, thinking = tag.end(), False
        elif not thinking:
            kept.append(text[start : tag.start()])
            thinking = True
    return "".join(kept) + ("" if thinking else text[start:])


def _reopened(text: str, entry: str) -> str:
    """An answer that only closes a fence, since the prompt had opened it, with that opening."""
    first, count = None, 0
    for line in text.split("\n"):
        if ("`" in line or "~" in line) and (match := _FENCE.match(line)):
            first, count = first or match, count + 1
    closes = first is not None and count % 2 and not first[3].strip()
    if first and closes and _names(text[: text.index(first[0])], entry):
        return f"{first[2]}\n{text}"
    return text


def fenced(text: str) -> list[Block]:
    """The fenced blocks of a text, in their order; the last may lack its closing fence.

    A fence that names a language opens another block wherever it stands, so that blocks in the
    text of a block, or behind one that was never closed, are found as well.
    """
    blocks: list[Block] = []
    opening: tuple[int, str, str] | None = None  # column, fence and info of the block begun
    lines: list[str] = []
    for line in text.split("\n"):
        match = _FENCE.match(line) if "`" in line or "~" in line else None
        if match is None:
            lines.append(line)
            continue
        column, fence, info = len(match[1]), match[2], match[3].strip()
        if opening is None:
            opening, lines = (column, fence, info), []
        elif info:
            if fence[0] != opening[1][0] or column > opening[0] + 3:
                lines.append(line)  # an example in a docstring
                continue
            blocks.append(_block(lines, opening[2], False))
            opening, lines = (column, fence, info), []
        elif fence.startswith(opening[1]) and column <= opening[0] + 3:
            blocks.append(_block(lines, opening[2], True))
            opening, lines = None, []
        else:
            lines.append(line)
    if opening is not None:
        blocks.append(_block(lines, opening[2], False))
    return blocks


def _block(lines: list[str], info: str, closed: bool) -> Block:
    return Block("".join(line + "\n" for line in lines), info, closed)


def _chosen(text: str, blocks: list[Block], entry: str) -> str:
    named = [block for block in blocks if _names(block.text, entry)]
    for block in reversed(named):
        if _tree(block.text) is not None:
            return block.text
    # Fences at the margin of a docstring cut a program in two.
    whole = _between_outer_fences(text)
    if _names(whole, entry) and _tree(whole) is not None:
        return whole
    if named:
        return named[-1].text
    return max(blocks, key=lambda block: len(block.text)).text


def _between_outer_fences(text: str) -> str:
    lines = text.split("\n")
    fences = [i for i, line in enumerate(lines) if _FENCE.match(line)]
    if len(fences) < 4:
        return ""
    return "".join(line + "\n" for line in lines[fences[0] + 1 : fences[-1]])


def _names(code: str, entry: str) -> bool:
    return (
        re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(entry)}\b", code, re.M) is not None
    )


def _tree(code: str) -> ast.Module | None:
    if len(code) > MAX_SOURCE_BYTES:
        return None
    try:
        return parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _unfenced(text: str) -> str:
    """The lines of a text from the first that is code, without the prose behind the last."""
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if _is_code(line)), None)
    if start is None:
        return ""
    # Comments and strings above the first line of code belong to it, where all of it parses.
    if len(text) <= MAX_SOURCE_BYTES and _tree(text) is not None:
        return text
    lines = lines[start:]
    for _ in range(_MOST_TRIMS):
        code = "\n".join(lines)
        error = _error(code)
        if error is None:
            break
        end = _prose_from(lines, error)
        if end is None:
            break  # broken code: let who parses it say so
        lines = lines[:end]
    return "\n".join(lines)


def _error(code: str) -> int | None:
    """The line, counted from 0, at which a text stops to be Python."""
    if len(code) > MAX_SOURCE_BYTES:
        return None
    try:
        parse(code)
    except SyntaxError as error:
        return max(0, (error.lineno or 1) - 1)
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def _prose_from(lines: list[str], error: int) -> int | None:
    """Where the prose begins at which a program breaks; None where it is code that breaks.

    A sentence with an apostrophe or a bracket may be reported on a line behind its first.
    """
    start = min(error, len(lines) - 1)
    while start > 0 and (not lines[start].strip() or _is_prose(lines[start - 1])):
        start -= 1
    if not lines[start].strip():
        start += 1
    if start >= len(lines) or not start or not _is_prose(lines[start]):
        return None
    if any(_is_code(line) for line in lines[start:]):
        return None
    return start


def _is_prose(line: str) -> bool:
    return bool(line) and not line[0].isspace() and _PROSE.match(line[:_HEAD]) is not None


def _is_code(line: str) -> bool:
    return _CODE_LINE.match(line.lstrip()[:_HEAD]) is not None


def _checked(code: str) -> Answer:
    """Sees to markup in the code, and to code that says nothing."""
    if not code.strip():
        return Answer(reason="the answer is prose and no program")
    if _ESCAPED.search(code) and _tree(code) is None:
        plain = html.unescape(code).replace("\xa0", " ")
        if _tree(plain) is not None:
            code = plain
    lines = code.split("\n")
    while lines and not lines[0].strip():
        del lines[0]
    code = "\n".join(lines).rstrip() + "\n"
    if lines[0][:1].isspace():
        code = _dedented(code)
    return Answer(code=code)


def _dedented(code: str) -> str:
    """Code that stands indented as a whole, as in a list, moved to the margin if it then parses."""
    lines = code.split("\n")
    filled = [line for line in lines if line.strip()]
    depth = min(len(line) - len(line.lstrip()) for line in filled)
    moved = "\n".join(line[depth:] if line.strip() else "" for line in lines)
    return moved if depth and _tree(code) is None and _tree(moved) is not None else code
