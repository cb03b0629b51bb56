"""Reads the texts that make up an inline environment, and says what is wrong with them."""

from __future__ import annotations

import ast
import importlib.util
import io
import sys
import textwrap
import tokenize
from collections.abc import Iterator, Sequence

import msgspec


class Function(msgspec.Struct, frozen=True):
    """A function in a text."""

    text: str  # of all of the text, without the decorators of this function
    opening: str  # its signature, up to the colon
    summary: str  # its docstring in one line
    least: int  # positional arguments that a call must give,
    most: float  # and may give


def parse(key: str, text: str) -> ast.Module:
    """The syntax tree of a text.

    Raises:
        ValueError: naming the key and the line.
    """
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"environment.{key}, line {error.lineno}: {error.msg}") from None


def read(key: str, text: str, name: str) -> Function:
    """The function `name` of a text.

    Raises:
        ValueError: if there is no such plain function, naming the key.
    """
    text = textwrap.dedent(text).strip("\n") + "\n"
    found = [
        node
        for node in parse(key, text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    if len(found) != 1:
        how = "no" if not found else f"{len(found)} times a"
        raise ValueError(f"environment.{key} defines {how} function {name!r}, expected one")
    (node,) = found
    if isinstance(node, ast.AsyncFunctionDef):
        raise ValueError(f"environment.{key}: {name!r} is async, expected a plain function")
    if node.decorator_list or node.body[0].lineno == node.lineno:
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        lines = text.splitlines(keepends=True)
        node.decorator_list = []
        lines[first - 1 : node.end_lineno] = [ast.unparse(node) + "\n"]
        return read(key, "".join(lines), name)
    required, most = _arity(node.args)
    if any(default is None for default in node.args.kw_defaults):
        raise ValueError(f"environment.{key}: {name!r} has keyword arguments without a default")
    lines = text.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno]
    summary = " ".join((ast.get_docstring(node) or "").split())
    return Function(text, _signature("".join(lines)), summary, required, most)


def _arity(arguments: ast.arguments) -> tuple[int, float]:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional - len(arguments.defaults), (
        float("inf") if arguments.vararg else float(positional)
    )


def _signature(text: str) -> str:
    """From `def` to the colon that ends the signature."""
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.OP:
            continue
        depth += (token.string in "([{") - (token.string in ")]}")
        if token.string == ":" and depth == 0:
            lines = text.splitlines(keepends=True)[: token.end[0]]
            lines[-1] = lines[-1][: token.end[1]]
            return "".join(lines)
    raise ValueError(f"no signature in {text[:40]!r}")


def read_input(number: int, text: str) -> tuple[object, ...]:
    """The arguments of one call: a tuple's items, or the one value that is no tuple.

    Raises:
        ValueError: if the text is no Python literal, with its number from 0.
    """
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(
            f"environment.inputs[{number}]: expected the text of a Python literal, got "
            f"{str(text)[:60]!r}"
        ) from None
    return value if isinstance(value, tuple) else (value,)


def imported(key: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Packages that the texts import and that are no part of Python: what a zygote should hold.

    Raises:
        ValueError: for one that is not installed, with its line.
    """
    found: set[str] = set()
    for text in texts:
        for node in ast.walk(parse(key, text)):
            for module in _modules(node):
                top = module.partition(".")[0]
                if top in sys.stdlib_module_names:
                    continue
                if importlib.util.find_spec(top) is None:
                    line = getattr(node, "lineno", 0)
                    raise ValueError(
                        f"environment.{key}, line {line}: {top!r} is not installed here "
                        f"(pip install {top})"
                    )
                found.add(top)
    return tuple(sorted(found))


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module
