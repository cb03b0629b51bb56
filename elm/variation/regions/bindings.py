"""Which names the statements of a module give a value."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from elm.variation.regions.base import BROKEN
from environments.parsing import parse

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_INNER = _DEFINITIONS | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def bindings(statements: Iterable[ast.stmt]) -> set[str]:
    """Names that some statements bind in the scope in which they stand."""
    names: set[str] = set()
    stack: list[ast.AST] = list(statements)
    while stack:
        node = stack.pop()
        if isinstance(node, _DEFINITIONS):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        if not isinstance(node, _INNER):
            stack.extend(ast.iter_child_nodes(node))
    return names


def missing(statements: Iterable[ast.stmt]) -> set[str]:
    """Names that some statements read and nowhere bind, inner scopes included."""
    read: set[str] = set()
    there: set[str] = set()
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                (read if isinstance(node.ctx, ast.Load) else there).add(node.id)
            elif isinstance(node, _DEFINITIONS):
                there.add(node.name)
            elif isinstance(node, ast.arg):
                there.add(node.arg)
            elif isinstance(node, ast.alias):
                there.add((node.asname or node.name).split(".")[0])
            elif isinstance(node, ast.ExceptHandler) and node.name:
                there.add(node.name)
    return read - there


def bound(text: str) -> set[str]:
    """Names that a module binds; none if it does not parse."""
    try:
        return bindings(parse(text).body)
    except BROKEN:
        return set()
