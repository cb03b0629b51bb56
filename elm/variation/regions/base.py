"""What enforcing regions gives back, and how it fails."""

from __future__ import annotations

import ast

import msgspec

from environments.parsing import parse


class RegionError(ValueError):
    """A child that cannot be brought back to its parent outside of the regions, or a parent whose
    regions are not clear; says why in one line."""


class Enforced(msgspec.Struct, frozen=True, kw_only=True):
    """A child whose text outside of the regions is its parent's, byte for byte."""

    text: str
    notes: tuple[str, ...] = ()  # what was restored or left out, in words


BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)


def parsed(text: str, whose: str) -> ast.Module:
    """The syntax tree of a text.

    Raises:
        RegionError: if it does not parse, with the line.
    """
    try:
        return parse(text)
    except BROKEN as error:
        raise RegionError(f"{whose} does not parse: {why(error)}") from None


def why(error: BaseException) -> str:
    """What is wrong with a text that does not parse, with its line."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(error) or type(error).__name__
