"""Which names of a function nobody has defined: most of what breaks in a small model's code."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection
from functools import lru_cache

from elm.variation.parsing import parsed

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_NAMELESS = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_NAMING = (
    *(ast.arg, ast.ExceptHandler, ast.alias),
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


class _Names:
    """Where names are stored first, and where they are read.

    Not an `ast.NodeVisitor`, which takes three times as long over the same tree.
    """

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}
        self.read: list[tuple[str, int, bool]] = []  # name, line, whether in an inner function
        self._inner = 0

    def _store(self, name: str, line: int) -> None:
        self.stored[name] = min(line, self.stored.get(name, line))

    def visit(self, node: ast.AST) -> None:
        """Takes a node and all below it, in their order."""
        if isinstance(node, _NAMELESS):
            return
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.read.append((node.id, node.lineno, self._inner > 0))
            else:
                self._store(node.id, node.lineno)
            return
        if isinstance(node, _NAMING):
            self._named(node)
        inner = isinstance(node, _SCOPES)
        self._inner += inner
        for field in node._fields:
            below = getattr(node, field, None)
            if isinstance(below, list):
                for one in below:
                    if isinstance(one, ast.AST):
                        self.visit(one)
            elif isinstance(below, ast.AST):
                self.visit(below)
        self._inner -= inner

    def _named(self, node: ast.AST) -> None:
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


@lru_cache(maxsize=256)  # parents are asked for again and again
def free(text: str) -> frozenset[str]:
    """Names that a file reads and nowhere defines; none if it does not parse."""
    names = _names(text)
    if names is None:
        return frozenset()
    return frozenset(name for name, _, _ in names.read if name not in names.stored)


@lru_cache(maxsize=256)
def defined(text: str) -> frozenset[str]:
    """Names that a file defines anywhere; none if it does not parse."""
    names = _names(text)
    return frozenset(names.stored) if names else frozenset()


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
    tree = parsed(text)
    if isinstance(tree, SyntaxError):
        return None
    names = _Names()
    try:
        names.visit(tree)
    except RecursionError:
        return None
    return names
