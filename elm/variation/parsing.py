"""Parses each text once, though several look at its tree."""

from __future__ import annotations

import ast
from functools import lru_cache

from environments.parsing import parse


@lru_cache(maxsize=64)
def parsed(text: str) -> ast.Module | SyntaxError:
    """The syntax tree of a text, which nobody may change, or what is wrong with the text."""
    try:
        return parse(text)
    except SyntaxError as error:
        return error.with_traceback(None)
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error) or type(error).__name__)


def parses(text: str) -> SyntaxError | None:
    """What is wrong with a text, or None."""
    found = parsed(text)
    return found if isinstance(found, SyntaxError) else None


def statements(text: str) -> list[ast.stmt]:
    """The statements of a text; none if it does not parse."""
    found = parsed(text)
    return [] if isinstance(found, SyntaxError) else found.body
