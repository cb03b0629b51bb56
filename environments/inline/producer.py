"""Calls a program's function on every input and hands on what it returned. Runs inside the jail."""

from __future__ import annotations

import ast
from typing import Any

MAX_DEPTH = 32
_left: dict[str, dict[str, Any]] = {}  # by preamble: the names it defined, for all programs


def prepare(settings: dict[str, Any]) -> None:
    """Executes the preamble once, before any program."""
    _names(settings["preamble"])


def produce(files: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Calls the function with each input's arguments, or without any where there are no inputs.

    Returns:
        `{"outputs": [...]}`, one for each input.

    Raises:
        ValueError: if the program lacks the function, or it returns what is not plain data.
        Exception: whatever else the program raises.
    """
    name = settings["entry"]
    file = f"{name}.py"
    namespace = dict(_names(settings["preamble"]))
    exec(compile(files[file], file, "exec"), namespace)
    entry = namespace.get(name)
    if not callable(entry):
        raise ValueError(f"{file} defines no function {name}")
    # Each input is read anew, so that a function may change the arguments it is given.
    calls = [_arguments(text) for text in settings["inputs"]] or [()]
    return {"outputs": [_plain(entry(*arguments), MAX_DEPTH) for arguments in calls]}


def _names(preamble: str) -> dict[str, Any]:
    if preamble not in _left:
        namespace: dict[str, Any] = {"__name__": "program"}
        exec(compile(preamble, "preamble", "exec"), namespace)
        _left[preamble] = namespace
    return _left[preamble]


def _arguments(text: str) -> tuple[Any, ...]:
    value = ast.literal_eval(text)
    return value if isinstance(value, tuple) else (value,)


def _plain(value: Any, depth: int) -> Any:
    """As JSON will carry it: tuples become lists, arrays and their numbers what they hold."""
    if depth == 0:
        raise ValueError(f"an output is nested over {MAX_DEPTH} deep")
    if value is None or isinstance(value, bool | str):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {_key(key): _plain(item, depth - 1) for key, item in value.items()}
    if callable(convert := getattr(value, "tolist", None)):  # numpy's arrays and numbers
        return _plain(convert(), depth - 1)
    raise ValueError(f"an output must be plain data, got {type(value).__name__}")


def _key(key: Any) -> str:
    # JSON would turn other keys into strings, and two of them perhaps into one.
    if not isinstance(key, str):
        raise ValueError(f"a dict's keys must be strings, got {type(key).__name__}")
    return key
