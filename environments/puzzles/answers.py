"""What an answer may be: plain data of a type that the puzzle states, and not too much of it.

Checked before the checker sees it: "Is it right?" is asked of nothing that is not of the type.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

MAX_PARTS = 65_536  # values at the bottom of an answer; characters, where it is one string
MAX_DEPTH = 8
MAX_INTEGER = 10**400

_PLAIN = {"int": int, "float": float, "str": str, "bool": bool}
_LISTS = ("list", "List")
_DICTS = ("dict", "Dict")

Kind = tuple[Any, ...]
"""A type: ("int",), ("list", kind of the items) or ("dict", kind of the values)."""


def parse_kind(text: str) -> Kind:
    """The type that an annotation such as `list[int]` or `dict[str, bool]` states.

    Raises:
        ValueError: if it is not made of int, float, str, bool, lists and dicts of them.
    """
    try:
        return _kind(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        raise ValueError(
            f"no answer can be of type {text[:60]!r}: expected int, float, str, bool, "
            "list[...] or dict[str, ...] of them"
        ) from None


def _kind(node: ast.expr) -> Kind:
    if isinstance(node, ast.Name) and node.id in _PLAIN:
        return (node.id,)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice
        if node.value.id in _LISTS:
            return ("list", _kind(inner))
        if node.value.id in _DICTS and isinstance(inner, ast.Tuple) and len(inner.elts) == 2:
            key, value = inner.elts
            if _kind(key) == ("str",):  # keys of JSON objects are nothing else
                return ("dict", _kind(value))
    raise ValueError


def check(answer: object, kind: Kind) -> None:
    """Passes an answer of exactly the type: a bool is no int, an int is no float.

    Raises:
        ValueError: with the first reason, in one line.
    """
    _check(answer, kind, MAX_DEPTH)
    count = sum(1 for _ in parts(answer))
    if count > MAX_PARTS:
        raise ValueError(f"an answer has at most {MAX_PARTS} parts, got {count}")


def _check(answer: object, kind: Kind, depth: int) -> None:
    name = kind[0]
    expected = _PLAIN.get(name) or (list if name == "list" else dict)
    if type(answer) is not expected:
        raise ValueError(f"expected {describe(kind)}, got {type(answer).__name__}")
    if depth == 0:
        raise ValueError(f"an answer is nested over {MAX_DEPTH} deep")
    if isinstance(answer, list):
        for item in answer:
            _check(item, kind[1], depth - 1)
    elif isinstance(answer, dict):
        for key, item in answer.items():
            _check(key, ("str",), depth - 1)
            _check(item, kind[1], depth - 1)
    elif isinstance(answer, float):
        if not math.isfinite(answer):
            raise ValueError("an answer's numbers must be finite")
    elif isinstance(answer, int):
        if abs(answer) >= MAX_INTEGER:
            raise ValueError("an answer's integers have at most 400 digits")
    elif isinstance(answer, str) and any("\ud800" <= c <= "\udfff" for c in answer):
        raise ValueError("a string with half of a surrogate pair")


def describe(kind: Kind) -> str:
    """A type as one would write it."""
    if kind[0] == "list":
        return f"list[{describe(kind[1])}]"
    return f"dict[str, {describe(kind[1])}]" if kind[0] == "dict" else str(kind[0])


def parts(answer: object) -> Iterator[object]:
    """The values at the bottom of an answer; the characters, where it is one string or number."""
    if isinstance(answer, list | dict):
        yield from _leaves(answer)
    else:
        yield from answer if isinstance(answer, str) else repr(answer)


def _leaves(answer: object) -> Iterator[object]:
    if isinstance(answer, list):
        for item in answer:
            yield from _leaves(item)
    elif isinstance(answer, dict):
        for item in answer.values():
            yield from _leaves(item)
    else:
        yield answer
