"""The part of a syntax tree that stands outside of the evolve regions.

A region could leave the text around it alone and still change what it means, with a quotation mark
or a bracket that is not closed, or a block that takes in the lines which follow.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Sequence

from environments.parsing import parse

Place = tuple[int, int, str]  # the part outside, the line in it (-1 within a region), the kind
Frame = list[tuple[Place, tuple[Place, ...]]]


def frame(text: str, spans: Sequence[tuple[int, int]]) -> Frame:
    """Statements that begin outside of the regions, each with the statements that it stands in.

    Args:
        spans: lines of the regions, counted from 0: first, and first behind it.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: if the text does not parse.
    """
    starts, ends = [start for start, _ in spans], [end for _, end in spans]

    def place(node: ast.AST) -> Place:
        line = getattr(node, "lineno", 1) - 1
        region = bisect_right(starts, line)
        kind = type(node).__name__
        if region and line < ends[region - 1]:
            return region, -1, kind
        return region, line - (ends[region - 1] if region else 0), kind

    found: Frame = []
    stack: list[tuple[ast.AST, tuple[Place, ...]]] = [(parse(text), ())]
    while stack:
        node, path = stack.pop()
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            here = place(node)
            if here[1] >= 0:
                found.append((here, path))
            path = (*path, here)
        stack.extend(
            (child, path)
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.expr | ast.arguments | ast.expr_context)
        )
    return sorted(found)
