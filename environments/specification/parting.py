"""Takes out of a specification what no program may see: what only its `check` uses, or all but what
the function that evolves uses itself.

Statements of the top level are followed by the names that they bind and use. What goes is written
over, so that every other statement stays on its line; comments go with it.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable

import msgspec


class _Statement(msgspec.Struct, frozen=True):
    node: ast.stmt
    binds: frozenset[str]
    uses: frozenset[str]


def without_check(text: str, check: str, kept: Iterable[str]) -> str:
    """A specification without `check` and all that nothing but `check` uses.

    A `check` which the entry uses itself has to stay.

    Args:
        text: the file, which parses.
        check: name of the function.
        kept: functions that stay with all they use.
    """
    body = ast.parse(text).body
    main = [node for node in body if _is_main(node)]
    statements = [_statement(node) for node in body if node not in main]
    secret = _closure(statements, {check})
    # An import is nobody's secret, and children may want what it brings.
    open_ones = [s for s in statements if not s.binds & secret]
    roots = set(kept).union(*(s.uses for s in open_ones))
    public = _closure(statements, roots)
    gone = [s.node for s in statements if s.binds & secret and not s.binds & public]
    gone = main + [n for n in gone if not isinstance(n, ast.Import | ast.ImportFrom)]
    return _without_comments(_blanked(text, gone))


def alone(text: str, name: str) -> str:
    """What one function needs of a specification: imports, and what it uses, however far away."""
    statements = [_statement(node) for node in ast.parse(text).body]
    needed = _closure(statements, {name})
    gone = [s.node for s in statements if not s.binds & needed and not _is_open(s.node)]
    return _without_comments(_blanked(text, gone))


def _is_open(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def binding(node: ast.stmt) -> frozenset[str]:
    """Names of the module that a statement of its top level defines or changes."""
    return _statement(node).binds


def _is_main(node: ast.stmt) -> bool:
    """`if __name__ == ...`: such a file is imported, never run."""
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
    )


def _statement(node: ast.stmt) -> _Statement:
    uses = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        binds = {node.name}
    elif isinstance(node, ast.Import | ast.ImportFrom):
        binds = set(_imported(node))
    else:
        binds = set(_changed(node))
    return _Statement(node, frozenset(binds), frozenset(uses))


def _changed(node: ast.stmt) -> Iterable[str]:
    """Names that a statement stores to, or whose value it may change."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            yield part.id
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield part.name
        elif isinstance(part, ast.Import | ast.ImportFrom):
            yield from _imported(part)
        elif isinstance(part, ast.Attribute | ast.Subscript):
            if isinstance(part.ctx, ast.Store | ast.Del) and (name := _base(part)):
                yield name
        elif (
            isinstance(part, ast.Expr)
            and isinstance(part.value, ast.Call)
            and isinstance(part.value.func, ast.Attribute)
            and (name := _base(part.value.func))
        ):
            yield name  # `TABLE.append(...)`


def _imported(node: ast.Import | ast.ImportFrom) -> Iterable[str]:
    return ((a.asname or a.name).partition(".")[0] for a in node.names)


def _base(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _closure(statements: list[_Statement], names: set[str]) -> frozenset[str]:
    """The names, and all that is used by whatever binds one of them."""
    known, waiting = set(names), list(statements)
    while reached := [s for s in waiting if s.binds & known]:
        waiting = [s for s in waiting if not s.binds & known]
        known |= set().union(*(s.uses | s.binds for s in reached))
    return frozenset(known)


def _blanked(text: str, nodes: Iterable[ast.stmt]) -> str:
    lines = [line.encode() for line in text.split("\n")]
    for node in sorted(nodes, key=lambda n: n.lineno, reverse=True):
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)]) - 1
        last = (node.end_lineno or node.lineno) - 1
        head = b"" if decorators else lines[first][: node.col_offset]
        tail = lines[last][node.end_col_offset :]
        lines[first] = head + b"pass" + tail
        lines[first + 1 : last + 1] = [b""] * (last - first)
    return b"\n".join(lines).decode()


def _without_comments(text: str) -> str:
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start[0] - 1, token.start[1]
            lines[row] = lines[row][:column].rstrip()
    return "\n".join(lines)
