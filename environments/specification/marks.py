"""Finds FunSearch's marks, `@funsearch.run` and `@funsearch.evolve`, in a syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal

MODULE = "funsearch"

Mark = Literal["run", "evolve"]


def marked(tree: ast.Module, mark: Mark) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions that carry a mark, wherever they stand, in the order of their lines.

    The mark may be called or plain, and named in any way that an import allows:
    `import funsearch as fs`, `from funsearch import evolve as e`.
    """
    modules, names = _aliases(tree, mark)
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(_is_mark(one, mark, modules, names) for one in node.decorator_list)
    ]
    return sorted(found, key=lambda node: node.lineno)


def _aliases(tree: ast.Module, mark: Mark) -> tuple[set[str], set[str]]:
    """What the module is called in a file, and what the mark is called there by itself."""
    modules, names = {MODULE}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {a.asname or a.name for a in node.names if a.name == MODULE}
        elif isinstance(node, ast.ImportFrom) and node.module == MODULE and not node.level:
            names |= {a.asname or a.name for a in node.names if a.name == mark}
            if any(a.name == "*" for a in node.names):
                names.add(mark)
    return modules, names


def _is_mark(decorator: ast.expr, mark: Mark, modules: set[str], names: set[str]) -> bool:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    if isinstance(decorator, ast.Attribute):
        base = decorator.value
        return decorator.attr == mark and isinstance(base, ast.Name) and base.id in modules
    return isinstance(decorator, ast.Name) and decorator.id in names


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, top-level module) of each import outside of `try`; "." for a relative one."""
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." if node.level else (node.module or "").partition(".")[0]
