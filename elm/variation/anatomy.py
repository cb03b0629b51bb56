"""Takes a program apart around the function that evolves."""

from __future__ import annotations

import ast
from functools import lru_cache

import msgspec

from elm.variation.parsing import parses, statements


class Anatomy(msgspec.Struct, frozen=True):
    """A file as what stands before, in and after the function that evolves, by lines."""

    header: str  # imports and helpers, "" or ending with a newline
    lines: tuple[str, ...]  # of the function, its `def` first
    starts: tuple[int, ...]  # index into `lines` of each statement of its body
    closing: tuple[str, ...]  # the lines of its last statement where that is a `return`
    trailer: str

    @property
    def indent(self) -> int:
        """Columns before the statements of the body."""
        line = self.lines[self.starts[0]]
        return len(line) - len(line.lstrip())


@lru_cache(maxsize=256)  # parents are varied again and again
def dissect(text: str, entry: str) -> Anatomy:
    """Finds the function `entry` at the top level of a file.

    Raises:
        LookupError: if the file does not parse or has no such function.
    """
    if (error := parses(text)) is not None:
        raise LookupError(f"the program does not parse: {error}")
    for node in statements(text):
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            break
    else:
        raise LookupError(f"the program has no function {entry}")
    lines = text.splitlines()
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
    last = node.end_lineno or len(lines)
    last_statement = node.body[-1]
    closing: tuple[str, ...] = ()
    if isinstance(last_statement, ast.Return):
        closing = tuple(lines[last_statement.lineno - 1 : last])
    return Anatomy(
        header="".join(line + "\n" for line in lines[:first]),
        lines=tuple(lines[first:last]),
        starts=tuple(statement.lineno - 1 - first for statement in node.body),
        closing=closing,
        trailer="".join("\n" + line for line in lines[last:]),
    )
