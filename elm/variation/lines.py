"""Lines as Python counts them, with their ends; and what no file or data base should hold."""

from __future__ import annotations

import re

# Not `str.splitlines`: form feeds and the like end no line of a program.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_END = re.compile(r"\r\n|\r|\n")


def split(text: str) -> list[str]:
    """The lines of a text, each with its own end; together they are the text."""
    return _LINE.findall(text)


def bare(line: str) -> str:
    """A line without its end."""
    return line.rstrip("\r\n")


def newline(text: str) -> str:
    """How most of a text's lines end; "\\n" where none does."""
    ends = _END.findall(text)
    return max(("\n", "\r\n", "\r"), key=ends.count)


def with_newline(text: str, end: str) -> str:
    """A text whose lines end in one way."""
    return _END.sub(lambda _: end, text)


def clean(text: str) -> str:
    """What a model wrote, as text that every file can hold, with its lines ended by "\\n"."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return with_newline(text.replace("\0", "").replace("\ufeff", ""), "\n")
