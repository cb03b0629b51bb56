"""The text of a function, and whether that text says all that the function needs."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from elm.config import ConfigError
from elm.variation.syntax_tree.names import undefined


def text_of(key: str, function: Callable[..., Any] | str, preamble: str = "") -> tuple[str, str]:
    """The source text of a function without its decorators, and its name.

    Args:
        key: the argument it came as, for messages.
        function: a plain function; or text that defines one, the last of its functions.
        preamble: text whose names the function may use.

    Raises:
        ConfigError: if there is no such text, or it needs names that are defined elsewhere.
    """
    if isinstance(function, str):
        text, name = _of_text(key, function)
    else:
        text, name = _of_function(key, function)
    _refuse_undefined(key, name, text, preamble)
    return text, name


def _of_text(key: str, text: str) -> tuple[str, str]:
    text = textwrap.dedent(text)
    names = [node.name for node in _parsed(key, text).body if isinstance(node, ast.FunctionDef)]
    if not names:
        raise ConfigError(f"{key}: the text defines no function")
    return text, names[-1]


def _of_function(key: str, function: Any) -> tuple[str, str]:
    function = inspect.unwrap(function) if callable(function) else function
    if inspect.ismethod(function):
        raise ConfigError(f"{key}: expected a plain function, got a method")
    if not inspect.isfunction(function):
        kind = "a builtin" if inspect.isbuiltin(function) else type(function).__name__
        raise ConfigError(f"{key}: expected a Python function or its text, got {kind}")
    name = function.__name__
    if name == "<lambda>":
        raise ConfigError(f"{key}: a lambda has no name to evolve under; write it with def")
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        raise ConfigError(
            f"{key}: {name} uses {names} of the function around it; what it needs must be inside "
            "it, or given as preamble=..."
        )
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise ConfigError(
            f"{key}: the source of {name} is nowhere to be read (typed at a prompt, or made by "
            "exec); give its text instead"
        ) from None
    for node in _parsed(key, text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            # The lines as they were written, less the decorators, which may be anything.
            return "".join(text.splitlines(True)[node.lineno - 1 : node.end_lineno]), name
    raise ConfigError(f"{key}: {name} is not defined by a def of its own")


def _parsed(key: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(f"{key}, line {error.lineno}: {error.msg}") from None


def _refuse_undefined(key: str, name: str, text: str, preamble: str) -> None:
    tree = _parsed("preamble", preamble)
    tree.body += _annotated(_parsed(key, text)).body
    missing = sorted(undefined(tree))
    if not missing:
        return
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines, 1) if re.search(rf"\b{missing[0]}\b", line)), 1)
    where = f"line {first}: {lines[first - 1].strip()[:60]}"
    raise ConfigError(
        f"{key}: {name} uses {', '.join(missing)} ({where}), "
        "defined outside of it; define or import it inside, or give preamble='...' with it"
    )


def _annotated(tree: ast.Module) -> ast.Module:
    """With the annotations of parameters and results where they are evaluated: before the body."""
    extra: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            for hint in [argument.annotation for argument in every] + [node.returns]:
                if hint is not None:
                    extra.append(ast.Expr(hint))
    return ast.Module([*tree.body, *extra], [])
