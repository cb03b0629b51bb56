"""Which names a program may use where: so that few children die of a NameError."""

from __future__ import annotations

import ast
import builtins
import re

from elm.variation.syntax_tree.source import Scope, Source, children

BUILTINS = frozenset(dir(builtins))
NUMBER_CALLS = frozenset({"abs", "max", "min", "round", "float", "int", "len", "sum", "pow"})


def undefined(tree: ast.Module) -> set[str]:
    """Names that are read where nothing before can have bound them, builtins left out.

    Approximate on the generous side: every branch counts as taken, and the body of a function
    sees all that its surroundings bind at any time.
    """
    missing: set[str] = set()
    _scan(tree.body, set(), missing)
    return missing - BUILTINS


def _scan(statements: list[ast.stmt], bound: set[str], missing: set[str]) -> None:
    later: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, list[ast.stmt]]] = []
    for statement in statements:
        _visit(statement, bound, missing, later)
    for function, body in later:
        arguments = function.args
        own = {
            a.arg
            for a in (
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                *filter(None, (arguments.vararg, arguments.kwarg)),
            )
        }
        _scan(body, bound | own, missing)


def _visit(node: ast.AST, bound: set[str], missing: set[str], later: list) -> None:
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif node.id not in bound:
            missing.add(node.id)
        return
    if isinstance(node, ast.Constant):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        bound.add(node.name)
        later.append((node, node.body))
        below: list[ast.AST] = [*node.decorator_list, node.args]
    elif isinstance(node, ast.Lambda):
        later.append((node, [ast.Expr(node.body)]))
        below = [node.args]
    elif isinstance(node, ast.ClassDef):
        bound.add(node.name)
        _scan(node.body, set(bound), missing)
        below = [*node.decorator_list, *node.bases]
    elif isinstance(node, ast.Assign):
        below = [node.value, *node.targets]
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name) and node.target.id not in bound:
            missing.add(node.target.id)
        below = [node.value, node.target]
    elif isinstance(node, ast.For | ast.AsyncFor):
        below = [node.iter, node.target, *node.body, *node.orelse]
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        below = [*node.generators, node.elt]
    elif isinstance(node, ast.DictComp):
        below = [*node.generators, node.key, node.value]
    elif isinstance(node, ast.comprehension):
        below = [node.iter, node.target, *node.ifs]
    elif isinstance(node, ast.With | ast.AsyncWith):
        below = [*node.items, *node.body]
    elif isinstance(node, ast.Import | ast.ImportFrom):
        bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        return
    else:
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            bound.update(node.names)
        below = list(children(node))
    for child in below:
        _visit(child, bound, missing, later)


def kinds(source: Source, scope: Scope) -> dict[str, str]:
    """Variables that a scope can read, and what their first binding says of their type.

    Names of one kind can often stand for one another: "wc.add_joint" for all variables that were
    assigned a call of it, "whole" for counters, "number" for sums, arguments and the like.
    """
    found: dict[str, str] = {}
    scopes: list[Scope] = [scope] if scope is source.tree else [scope, source.tree]
    for where in scopes:
        if isinstance(where, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for argument in (*where.args.posonlyargs, *where.args.args, *where.args.kwonlyargs):
                found.setdefault(argument.arg, "number")
    for block in source.blocks:
        if not any(block.scope is where for where in scopes):
            continue
        for statement in block.statements:
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, _kind(source, statement.value))
            elif isinstance(statement, ast.For):
                counted = isinstance(statement.iter, ast.Call) and (
                    isinstance(statement.iter.func, ast.Name) and statement.iter.func.id == "range"
                )
                for name in _names(statement.target):
                    found.setdefault(name, "whole" if counted else "number")
    return found


def _names(target: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]


def _kind(source: Source, value: ast.expr) -> str:
    if isinstance(value, ast.Constant) and type(value.value) is int:
        return "whole"
    if is_numeric(value):
        return "number"
    if isinstance(value, ast.Call):
        return source.segment(value.func).decode("utf-8")
    return type(value).__name__


def is_numeric(node: ast.expr) -> bool:
    """Whether an expression looks like a number; a variable alone does not."""
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.BinOp):
        return not any(_is_text(side) for side in (node.left, node.right))
    if isinstance(node, ast.UnaryOp):
        return not isinstance(node.op, ast.Not)
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute):
            return isinstance(function.value, ast.Name) and function.value.id == "math"
        return isinstance(function, ast.Name) and function.id in NUMBER_CALLS
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "math"
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


def fresh(name: str, taken: set[str]) -> str:
    """A name like `name` that is not taken: j3 gives j4, or j5 where there is a j4."""
    stem = name.rstrip("0123456789")
    if not stem:
        stem = "v"
    digits = name[len(stem) :]
    number = int(digits) + 1 if digits and len(digits) < 9 else 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def words(text: str) -> set[str]:
    """Everything in a text that could be a name."""
    return set(re.findall(r"[^\W\d]\w*", text))
