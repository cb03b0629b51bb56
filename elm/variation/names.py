"""Which names of a function nobody has defined: most of what breaks in a small model's code."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection

_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


class _Names(ast.NodeVisitor):
    """Where names are stored first, and where they are read."""

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}
        self.read: list[tuple[str, int, bool]] = []  # name, line, whether in an inner function
        self._inner = 0

    def _store(self, name: str, line: int) -> None:
        self.stored[name] = min(line, self.stored.get(name, line))

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.read.append((node.id, node.lineno, self._inner > 0))
        else:
            self._store(node.id, node.lineno)

    def generic_visit(self, node: ast.AST) -> None:
        line = getattr(node, "lineno", 1)
        if isinstance(node, ast.arg):
            self._store(node.arg, line)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self._store(node.name, line)
        elif isinstance(node, ast.alias):
            self._store((node.asname or node.name).split(".")[0], line)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._store(node.name, line)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            for part in node.generators:  # stored before what stands in front of them is read
                self.visit(part)
        inner = isinstance(node, _SCOPES)
        self._inner += inner
        super().generic_visit(node)
        self._inner -= inner


def free(text: str) -> set[str]:
    """Names that a file reads and nowhere defines; none if it does not parse."""
    names = _names(text)
    return {name for name, _, _ in names.read if name not in names.stored} if names else set()


def defined(text: str) -> set[str]:
    """Names that a file defines anywhere; none if it does not parse."""
    names = _names(text)
    return set(names.stored) if names else set()


def stray(text: str, known: Collection[str]) -> dict[str, int]:
    """Names that are read before anything defines them, with the first line that does so.

    Args:
        text: a function.
        known: names that are there without it, besides the builtins.
    """
    names = _names(text)
    found: dict[str, int] = {}
    if names is None:
        return found
    for name, line, inner in names.read:
        if name in known or hasattr(builtins, name):
            continue
        if name not in names.stored or (names.stored[name] > line and not inner):
            found[name] = min(line, found.get(name, line))
    return found


def _names(text: str) -> _Names | None:
    try:
        tree = ast.parse(text)
        names = _Names()
        names.visit(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return names
