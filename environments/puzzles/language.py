"""What a checker is written in: plain Python that can execute nothing but itself.

Some published checkers hand an answer to `eval`. A program's answer would then run as code next to
its own score, and could set it.
"""

from __future__ import annotations

import ast
import builtins
from typing import TypeGuard

# Of the builtins, in the judge. Not the jail, which is around the whole process.
NAMES = (
    "abs", "all", "any", "ascii", "bin", "bool", "bytes", "chr", "complex", "dict", "divmod",
    "enumerate", "filter", "float", "format", "frozenset", "hex", "int", "isinstance",
    "iter", "len", "list", "map", "max", "min", "next", "oct", "ord", "pow", "range",
    "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type", "zip",
    "ArithmeticError", "AssertionError", "AttributeError", "Exception", "IndexError", "KeyError",
    "LookupError", "OverflowError", "StopIteration", "TypeError", "ValueError",
    "ZeroDivisionError",
)  # fmt: skip

_CODE = ("eval", "exec", "compile", "open", "input", "getattr", "setattr", "globals", "locals",
         "vars", "breakpoint")  # fmt: skip
_LACKING = frozenset(dir(builtins)) - frozenset(NAMES)


def checker(text: str) -> ast.FunctionDef:
    """The function of a checker's text, which is parsed and never executed here.

    Raises:
        ValueError: in one line, if the text is not one function that has an annotated argument
            and needs nothing from outside.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        reason = reason.partition(";")[0]
        raise ValueError(f"does not parse: {reason or type(error).__name__}") from None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        raise ValueError("is not one function")
    function = tree.body[0]
    if function.decorator_list:
        raise ValueError("has a decorator")
    arguments = function.args
    if not arguments.args or arguments.args[0].annotation is None:
        raise ValueError("does not say of what type its answer is")
    without = len(arguments.args) - len(arguments.defaults)
    others = arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs
    if without != 1 or others:
        raise ValueError("takes more than an answer and arguments with defaults")
    bound = {node.id for node in ast.walk(tree) if _is_stored(node)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        _look_at(node, bound)
    return function


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _look_at(node: ast.AST, bound: set[str]) -> None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        what = getattr(node, "module", None) or node.names[0].name
        raise ValueError(f"imports {what}, and a checker can import nothing")
    if isinstance(node, ast.Name) and (node.id in _CODE or node.id.startswith("__")):
        raise ValueError(f"calls {node.id}, which could run an answer as code")
    if isinstance(node, ast.Name) and node.id in _LACKING - bound:
        raise ValueError(f"uses {node.id}, which a checker cannot have")
    if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
        raise ValueError(f"reads the attribute {node.attr}, which a checker has no need of")
