"""Parses Python, one text at a time.

While Python 3.11 builds a syntax tree it may collect garbage, and so let another thread have its
turn. If that one parses as well, the first ends in "SystemError: AST constructor recursion depth
mismatch": both count their depth in the same place.
"""

from __future__ import annotations

import ast
import threading

_one_at_a_time = threading.Lock()


def parse(text: str) -> ast.Module:
    """`ast.parse`, for programs that several threads look at.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: as `ast.parse` does.
    """
    with _one_at_a_time:
        return ast.parse(text)
